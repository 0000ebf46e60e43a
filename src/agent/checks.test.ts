import { describe, expect, it, test } from 'vitest';
import { type Facts, verdicts, worst } from './checks.ts';
import type { StatusBody } from './status-body.ts';

// One row for each way in which the chain from GPU to payout can be broken: what the doctor says of it, and what to do.

const ID = 'Qwen/Qwen3-8B';
const AGENT: StatusBody = {
  version: '1',
  pid: 7,
  node_id: '04',
  node_name: null,
  started_at: '',
  uptime_s: 1,
  draining: false,
  connected: true,
  hubs: [{ url: 'wss://h', registered: true, accepted: [ID], refusal: null }],
  hardware: null,
  processor: { model: 'EPYC', cores: 16, memory_gb: 64 },
  gpu_figures: {},
  limits: { concurrency: 1, requests_per_minute: null },
  active: 0,
  waiting: 0,
  total: 0,
  failed: 0,
  avg_latency_ms: 0,
  requests_per_minute: 0,
  models: [
    {
      id: ID,
      source: 'http://b',
      state: 'ready',
      reasons: [],
      engine: null,
      context_length: null,
      concurrency: 1,
      requests_per_minute: null,
      active: 0,
      waiting: 0,
      total: 0,
      failed: 0,
      refused: 0,
      tokens_in: 0,
      tokens_out: 0,
    },
  ],
};
const ALL_WELL: Facts = {
  hardware: { gpu_model: 'RTX 4090', gpu_count: 1, vram_gb: 23 },
  processor: { model: 'EPYC', cores: 16, memoryGb: 64 },
  folder: {
    path: '/f',
    problem: undefined,
    exposed: [],
    hubUrl: 'wss://h',
    marketUrl: 'https://m',
    hasKey: true,
    passedOver: [],
  },
  backends: [
    { id: ID, source: 'http://b', problem: undefined, tried: { ms: 200, tokens: 16 }, operationsTried: true },
  ],
  market: { url: 'https://m', problem: undefined },
  standing: {
    api_key_valid: true,
    can_connect: true,
    name: 'My GPU',
    status: 'active',
    message: 'Active and earning.',
    step: 5,
    total_steps: 5,
    earnings_enabled: true,
  },
  catalogue: [{ id: ID, slug: 'qwen3-8b', active: true, min_vram_gb: 12, output_price: 0.1 }],
  hub: { url: 'wss://h', problem: undefined },
  agent: AGENT,
  me: { beneficiary_address: '0xab' },
  stats: { total_earnings_usdc: 1.5 },
  details: [{ model_id: ID, recent_success_count: 40, recent_failure_count: 1 }],
  payout: { onChain: true, promised: 1.5 },
};

test('a chain without a broken link is good from end to end', () => {
  const found = verdicts(ALL_WELL);
  expect(found.filter(({ result }) => result !== 'good')).toEqual([]);
  expect(worst(found)).toBe('good');
  expect(found.map(({ check }) => check)).toEqual([
    'gpu',
    'folder',
    `backend ${ID}`,
    'market',
    'key',
    `catalogue ${ID}`,
    'hub',
    'agent',
    'registration wss://h',
    'standing',
    'traffic',
    'wallet',
    'payout',
  ]);
});

const folderIs = (more: Partial<Facts['folder']>): Partial<Facts> => ({
  folder: { ...ALL_WELL.folder, ...more },
});
const backendIs = (more: Partial<Facts['backends'][number]>): Partial<Facts> => ({
  backends: [{ ...(ALL_WELL.backends[0] as Facts['backends'][number]), ...more }],
});
const agentIs = (more: Partial<StatusBody>): Partial<Facts> => ({ agent: { ...AGENT, ...more } });
const standingIs = (more: Partial<NonNullable<Facts['standing']>>): Partial<Facts> => ({
  standing: { ...ALL_WELL.standing, ...more },
});
const modelIs = (state: StatusBody['models'][number]['state'], reasons: string[] = []) => [
  { ...(AGENT.models[0] as StatusBody['models'][number]), state, reasons },
];

test.each<[string, Partial<Facts>, string, 'bad' | 'warning' | 'unknown', string]>([
  ['no GPU', { hardware: undefined }, 'gpu', 'warning', 'nvidia-smi'],
  ['a small GPU', { hardware: { vram_gb: 4, gpu_count: 1 } }, 'gpu', 'warning', 'operator'],
  ['a broken file', folderIs({ problem: 'config.toml in /f is not valid.' }), 'folder', 'bad', 'setup'],
  ['nothing set up', folderIs({ hubUrl: undefined, hasKey: false }), 'folder', 'bad', 'setup'],
  ['no market named', folderIs({ marketUrl: undefined }), 'folder', 'warning', 'setup'],
  [
    'a key that others can read',
    folderIs({ exposed: ['/f/config.toml'] }),
    'secrets',
    'warning',
    'chmod 600 /f/config.toml',
  ],
  ['no model', { backends: [] }, 'models', 'bad', 'setup'],
  [
    'a server that is down',
    backendIs({ problem: 'It does not answer.', tried: undefined }),
    `backend ${ID}`,
    'bad',
    'model server',
  ],
  ['a slow model', backendIs({ tried: { ms: 9_000, tokens: 16 } }), `backend ${ID}`, 'warning', 'smaller'],
  [
    'a market that is away',
    { market: { url: 'https://m', problem: 'It does not answer.' } },
    'market',
    'bad',
    'ServiceURL',
  ],
  [
    'a key that is revoked',
    standingIs({ api_key_valid: false, message: 'Revoked.' }),
    'key',
    'bad',
    'cygnet agent setup --email',
  ],
  ['a market without a word', { standing: undefined }, 'key', 'unknown', ''],
  ['a model that is not sold', { catalogue: [] }, `catalogue ${ID}`, 'bad', 'models --all'],
  [
    'a model too large',
    { catalogue: [{ id: ID, min_vram_gb: 48, output_price: 1 }] },
    `catalogue ${ID}`,
    'warning',
    'smaller model',
  ],
  ['a hub that is away', { hub: { url: 'wss://h', problem: 'ECONNREFUSED' } }, 'hub', 'bad', 'WebSocketURL'],
  ['no agent', { agent: undefined }, 'agent', 'bad', 'cygnet agent run'],
  ['an agent that leaves', agentIs({ draining: true }), 'agent', 'warning', ''],
  [
    'a refused registration',
    agentIs({ hubs: [{ url: 'wss://h', registered: false, accepted: [], refusal: 'Unknown key.' }] }),
    'registration wss://h',
    'bad',
    'key',
  ],
  [
    'a line that is lost',
    agentIs({ hubs: [{ url: 'wss://h', registered: false, accepted: [], refusal: null }] }),
    'registration wss://h',
    'bad',
    'log',
  ],
  [
    'a model that the hub does not take',
    agentIs({ hubs: [{ url: 'wss://h', registered: true, accepted: [], refusal: null }] }),
    'registration wss://h',
    'bad',
    'as the market does',
  ],
  [
    'a model that is not as pinned',
    agentIs({ models: [...AGENT.models, ...modelIs('not as pinned', ['The engine is ollama.'])] }),
    'registration wss://h',
    'warning',
    'pinned',
  ],
  [
    'collateral that is missing',
    standingIs({
      status: 'approved',
      step: 3,
      step_label: 'Deposit collateral',
      earnings_enabled: false,
      next_steps: ['Deposit 20 USDC.'],
    }),
    'standing',
    'warning',
    'cygnet agent deposit',
  ],
  [
    'suspension',
    standingIs({ status: 'suspended', step: 4, earnings_enabled: false }),
    'standing',
    'bad',
    '',
  ],
  ['no traffic', { details: [{ model_id: ID }] }, 'traffic', 'warning', 'models --all'],
  [
    'too many failures',
    { details: [{ model_id: ID, recent_success_count: 6, recent_failure_count: 4 }] },
    'traffic',
    'bad',
    'concurrency',
  ],
  ['no wallet', { me: {} }, 'wallet', 'warning', '--set-wallet'],
  [
    'a market without a chain',
    { payout: { onChain: false, promised: undefined } },
    'payout',
    'warning',
    'operator',
  ],
])('%s is found, and what to do is said', (_what, broken, check, result, next) => {
  const found = verdicts({ ...ALL_WELL, ...broken });
  const verdict = found.find((each) => each.check === check);
  expect(verdict).toMatchObject({ result });
  expect(verdict?.next ?? '').toContain(next);
  expect(worst(found)).not.toBe('good');
});

describe('a link that cannot be looked at', () => {
  it('is passed over, since an earlier one is broken', () => {
    const found = verdicts({
      ...ALL_WELL,
      ...folderIs({ hubUrl: undefined, marketUrl: undefined, hasKey: false }),
      backends: [],
      market: undefined,
      standing: undefined,
      catalogue: undefined,
      hub: undefined,
      agent: undefined,
      me: undefined,
      stats: undefined,
      details: undefined,
      payout: undefined,
    });
    expect(found.map(({ check }) => check)).toEqual(['gpu', 'folder', 'models', 'agent']);
  });

  it('is passed over, too, where a handful of requests is no judgement yet', () => {
    const few = { details: [{ model_id: ID, recent_success_count: 3, recent_failure_count: 2 }] };
    expect(verdicts({ ...ALL_WELL, ...few }).find(({ check }) => check === 'traffic')).toMatchObject({
      result: 'good',
    });
  });
});
