/**
 * Who trades in the demo month: people and firms that do not exist, at addresses of `demo.example`, which nobody can own.
 * Pure data: what each buys or brings, and how much of it.
 */
export interface DemoConsumer {
  /** Before the `@`. */
  readonly name: string;
  readonly title: string;
  /** Its part of the market's requests. */
  readonly weight: number;
  readonly plan: 'free' | 'pay-as-you-go' | 'pro';
  readonly keys: readonly string[];
  /** Of the models below, how likely each is asked for. */
  readonly taste: Readonly<Record<string, number>>;
  /** Tokens of a usual prompt and a usual answer. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Dollars of a usual payment. */
  readonly paysUsd: string;
  /** Works at weekends too. */
  readonly alwaysOn: boolean;
}

export interface DemoProvider {
  readonly name: string;
  readonly title: string;
  readonly region: string;
  readonly gpu: string;
  readonly gpus: number;
  readonly vramGb: number;
  readonly nodes: number;
  readonly models: readonly string[];
  /** Its part of what is asked of its models. */
  readonly weight: number;
  readonly ttftMs: number;
  readonly tokensPerS: number;
  /** Of its attempts, how many fail. Most of them another provider makes good; a few the consumer sees. */
  readonly failureRate: number;
  /** Of its minutes, how many it is there. */
  readonly uptime: number;
  /** Whoever it is there for when that one is not: no model is without anybody but in a staged trouble. */
  readonly standsInFor?: string;
  readonly collateralUsd: string;
}

const R1 = 'deepseek-ai/DeepSeek-R1-0528';
const KIMI = 'moonshotai/Kimi-K2-Instruct-0905';
const GLM = 'zai-org/GLM-4.7';
const FLASH = 'zai-org/GLM-4.7-Flash';
const LLAMA = 'meta-llama/Llama-3.3-70B-Instruct';
const CODER = 'Qwen/Qwen3-Coder-30B-A3B-Instruct';
const SMALL = 'meta-llama/Llama-3.2-3B-Instruct';
const VECTORS = 'BAAI/bge-large-en-v1.5';
const PICTURES = 'black-forest-labs/FLUX.1-schnell';

export const DEMO_CONSUMERS: readonly DemoConsumer[] = [
  {
    name: 'reed',
    title: 'Reedbed Code Review',
    weight: 34,
    plan: 'pay-as-you-go',
    keys: ['production', 'continuous integration'],
    taste: { [KIMI]: 5, [GLM]: 3, [CODER]: 2 },
    inputTokens: 82_000,
    outputTokens: 5_200,
    paysUsd: '75',
    alwaysOn: false,
  },
  {
    name: 'lantern',
    title: 'Lantern Legal',
    weight: 22,
    plan: 'pay-as-you-go',
    keys: ['contracts', 'research'],
    taste: { [R1]: 6, [GLM]: 3, [VECTORS]: 1 },
    inputTokens: 96_000,
    outputTokens: 3_800,
    paysUsd: '60',
    alwaysOn: false,
  },
  {
    name: 'harbour',
    title: 'Harbour Support Desk',
    weight: 26,
    plan: 'pay-as-you-go',
    keys: ['chat widget', 'nightly summaries'],
    taste: { [FLASH]: 5, [LLAMA]: 4, [VECTORS]: 2 },
    inputTokens: 3_400,
    outputTokens: 420,
    paysUsd: '5',
    alwaysOn: true,
  },
  {
    name: 'mill',
    title: 'Mill Street Studio',
    weight: 10,
    plan: 'pay-as-you-go',
    keys: ['storyboards'],
    taste: { [PICTURES]: 7, [LLAMA]: 3 },
    inputTokens: 1_200,
    outputTokens: 700,
    paysUsd: '10',
    alwaysOn: true,
  },
  {
    name: 'wren',
    title: 'Wren',
    weight: 8,
    plan: 'pro',
    keys: ['laptop'],
    taste: { [LLAMA]: 3, [SMALL]: 5, [CODER]: 2 },
    inputTokens: 2_100,
    outputTokens: 600,
    paysUsd: '20',
    alwaysOn: true,
  },
];

export const DEMO_PROVIDERS: readonly DemoProvider[] = [
  {
    name: 'north',
    title: 'Northern Lights Compute',
    region: 'eu-north',
    gpu: 'NVIDIA H200',
    gpus: 8,
    vramGb: 141,
    nodes: 3,
    models: [R1, KIMI, GLM, LLAMA],
    weight: 42,
    ttftMs: 410,
    tokensPerS: 92,
    failureRate: 0.002,
    uptime: 0.999,
    collateralUsd: '500',
  },
  {
    name: 'delta',
    title: 'Delta GPU Cooperative',
    region: 'us-east',
    gpu: 'NVIDIA H100 80GB',
    gpus: 8,
    vramGb: 80,
    nodes: 2,
    models: [R1, KIMI, GLM, FLASH, LLAMA],
    weight: 30,
    ttftMs: 520,
    tokensPerS: 78,
    failureRate: 0.006,
    uptime: 0.994,
    standsInFor: 'north',
    collateralUsd: '300',
  },
  {
    name: 'saffron',
    title: 'Saffron Data Centre',
    region: 'ap-south',
    gpu: 'NVIDIA A100 80GB',
    gpus: 4,
    vramGb: 80,
    nodes: 2,
    models: [GLM, FLASH, LLAMA, VECTORS],
    weight: 18,
    ttftMs: 760,
    tokensPerS: 51,
    failureRate: 0.011,
    uptime: 0.981,
    standsInFor: 'attic',
    collateralUsd: '200',
  },
  {
    name: 'attic',
    title: 'The Attic',
    region: 'eu-west',
    gpu: 'NVIDIA GeForce RTX 4090',
    gpus: 1,
    vramGb: 24,
    nodes: 1,
    models: [FLASH, CODER, SMALL, VECTORS, PICTURES],
    weight: 12,
    ttftMs: 340,
    tokensPerS: 64,
    failureRate: 0.02,
    uptime: 0.93,
    collateralUsd: '100',
  },
  {
    name: 'copper',
    title: 'Copper Ridge Rigs',
    region: 'us-west',
    gpu: 'NVIDIA GeForce RTX 3090',
    gpus: 2,
    vramGb: 24,
    nodes: 1,
    models: [CODER, SMALL, PICTURES],
    weight: 6,
    ttftMs: 620,
    tokensPerS: 38,
    failureRate: 0.045,
    uptime: 0.86,
    standsInFor: 'attic',
    collateralUsd: '100',
  },
];
