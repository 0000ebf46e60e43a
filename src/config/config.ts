import { existsSync } from 'node:fs';
import path from 'node:path';
import type { MarketChainSettings } from '#domain/chain-settings.ts';
import type { Hex } from '#domain/hex.ts';
import type { LifeTerms } from '#domain/lifecycle.ts';
import type { Category } from '#domain/model.ts';
import type { Pico } from '#domain/money.ts';
import { SPLIT_POLICIES } from '#domain/policy.ts';
import { packageRoot } from '#kit/package-root.ts';
import type { Sealed } from '#kit/sealed.ts';
import { type EnvironmentSource, readEnvironment } from './env.ts';

/**
 * What this marketplace is set to: read once at the start, checked as a whole, frozen, and handed to the rooms. What an
 * operator may want to change has an environment variable (`env.ts`); what only a test varies has its default here.
 */
export interface Config {
  /** Absolute. */
  readonly dataFolder: string;
  /** Undefined: an embedded PostgreSQL under `dataFolder`. */
  readonly databaseUrl: Sealed<string> | undefined;
  readonly host: string;
  readonly gatewayPort: number;
  readonly hubPort: number;
  readonly hubLinksMax: number;
  /** The files of TLS, absolute; undefined: both ports speak plainly, and a proxy in front of them does TLS. */
  readonly tls: TlsSettings | undefined;
  /** How several gateways are one market; undefined: this process is all of it. */
  readonly shared: SharedSettings | undefined;
  readonly life: LifeSettings;
  readonly logLevel: string;
  readonly limits: Limits;
  readonly playground: PlaygroundSettings;
  readonly watch: WatchSettings;
  readonly access: AccessSettings;
  readonly advertised: AdvertisedSettings;
  readonly hub: HubSettings;
  readonly routing: RoutingSettings;
  readonly money: MoneySettings;
  readonly chain: ChainSettings;
  readonly funds: FundsSettings;
  readonly statements: StatementsSettings;
  /** For `cygnet claim`, which a provider runs. */
  readonly walletKey: Sealed<Hex> | undefined;
  readonly providers: ProviderSettings;
  readonly benchmarks: BenchmarkSettings;
  readonly external: ExternalSettings;
  readonly embeddedAgent: EmbeddedAgentSettings;
  /** Variables named `CYGNET_…` that mean nothing here, most likely misspelt: worth a warning at the start. */
  readonly strangers: readonly string[];
}

export interface TlsSettings {
  readonly cert: string;
  readonly key: string;
  /** Who must have signed the certificates of agents; undefined: agents need none. */
  readonly hubClientCa: string | undefined;
}

/** Several gateways over one PostgreSQL and one Redis. */
export interface SharedSettings {
  readonly redisUrl: Sealed<string>;
  /** Undefined: each gateway serves by its own agents alone. */
  readonly link:
    | {
        readonly secret: Sealed<string>;
        readonly host: string;
        readonly port: number;
        /** Where others reach it; undefined: at the host and the port. */
        readonly url: string | undefined;
      }
    | undefined;
}

/** How the market begins and ends. */
export interface LifeSettings {
  /** How long a stopping market goes on taking requests while it says that it is leaving. */
  readonly drainNoticeMs: number;
  /** How long what is under way may take after that. */
  readonly graceMs: number;
  /** How many agents make the market ready after a start. */
  readonly readyAgents: number;
}

const BODIES_BYTES_MAX = 536_870_912;

/** What one consumer may ask for. */
export interface Limits {
  /** By what a model is limited as; `limitClassOf` says which class a category has. */
  readonly requestsPerMinute: Readonly<Record<LimitClass, number>>;
  readonly concurrentPerKey: number;
  readonly bodyBytesMax: number;
  /** Of a recording to be transcribed. */
  readonly recordingBytesMax: number;
  /** Of all large bodies together that are in hand. */
  readonly bodiesBytesMax: number;
  readonly messagesMax: number;
  readonly messageCharsMax: number;
  readonly inputTokensMax: number;
  readonly outputTokensMax: number;
  readonly embeddingTokensMax: number;
  readonly requestTimeoutMs: number;
  /** How long a client may take over the head of a request, and over the whole of it. */
  readonly headTimeoutMs: number;
  readonly bodyTimeoutMs: number;
}

/** Chat without a key. */
export interface PlaygroundSettings {
  readonly enabled: boolean;
  /** Of one address. */
  readonly requestsPerHour: number;
  readonly outputTokensMax: number;
}

export type LimitClass = 'llm' | 'image' | 'embedding' | 'other';

/** The class under which requests to a category are counted: multimodal models answer as language models do. */
export function limitClassOf(category: Category): LimitClass {
  if (category === 'llm' || category === 'multimodal') return 'llm';
  return category === 'audio' ? 'other' : category;
}

/** How the market watches itself. */
export interface WatchSettings {
  readonly probes: boolean;
  /** Between two turns of a model, by chance between these. */
  readonly probePauseMs: { readonly least: number; readonly most: number };
  /** What probes may cost the platform a day. */
  readonly probesDaily: Pico;
  readonly webhook: { readonly url: string; readonly secret: Sealed<string> } | undefined;
  /** Whom mail about incidents is for; undefined: there is none. */
  readonly mailTo: string | undefined;
  /** The collector that traces go to; undefined: nothing is traced. */
  readonly traces: { readonly url: string; readonly authorization: Sealed<string> | undefined } | undefined;
}

/** Where others reach this market, as the operator says; undefined where it does not. Without slashes at the end. */
export interface AdvertisedSettings {
  readonly publicUrl: string | undefined;
  readonly hubUrl: string | undefined;
}

/** Who gets in, and from where. */
export interface AccessSettings {
  /** Addresses and networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  readonly signUp: 'open' | 'closed';
  /** Whoever has it may read the metrics; without one, only this machine. */
  readonly metricsToken: Sealed<string> | undefined;
  readonly sessionMs: number;
}

export interface HubSettings {
  /** A connection that has not registered by then is closed. */
  readonly registerDeadlineMs: number;
  /** Silence after which a node counts as gone. Agents send a heartbeat every 30 s. */
  readonly heartbeatTimeoutMs: number;
  /** The largest frame taken from an agent. */
  readonly frameBytesMax: number;
  /** The largest frame sent to a Swan agent, by its generation: A and B close the connection above 1 MiB. */
  readonly agentFrameBytesByGeneration: { readonly A: number; readonly B: number; readonly C: number };
  readonly generationCFrom: string;
  readonly firstTokenDeadlineMs: number;
  readonly gapDeadlineMs: number;
  /** Undelivered bytes kept for one stream before its provider is made to wait or, where it cannot be, cancelled. */
  readonly streamBufferBytesMax: number;
  readonly perModelInFlight: number;
  readonly perLinkInFlight: number;
  /** Upgrades from one address: so many at once, then one each `upgradePerSeconds`. */
  readonly upgradeBurst: number;
  readonly upgradePerSeconds: number;
}

export type StrategyName =
  | 'health-aware'
  | 'round-robin'
  | 'least-connections'
  | 'price'
  | 'throughput'
  | 'latency';

export interface RoutingSettings {
  readonly strategy: StrategyName;
  /** Where this market is, as regions of providers are named; undefined: nowhere in particular. */
  readonly region: string | undefined;
  /** Tries after the first, each on a provider not yet tried. */
  readonly retriesMax: number;
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  /** Whether nodes are asked to load models ahead of requests. */
  readonly warmUp: boolean;
  /** Milliseconds; 0: no requests share a call. */
  readonly embeddingsWindowMs: number;
  /** Each request earns `ratio` of a retry; at most `burst` are saved up. */
  readonly retryBudget: { readonly ratio: number; readonly burst: number };
}

export interface MoneySettings {
  /** A version in `SPLIT_POLICIES`. */
  readonly splitPolicy: string;
  /** The most of one consumer's balance that one process sets aside. */
  readonly exposureMax: Pico;
  readonly demoCredit: Pico;
  /** Below this a provider's balance is carried over. */
  readonly payoutMinimum: Pico;
  /** Unposted usage on disk above which paid work is refused. */
  readonly journalBytesMax: number;
  /** For how many days it is kept how requests were served. */
  readonly outcomeDays: number;
}

/** The chain that providers are paid on. */
export interface ChainSettings extends MarketChainSettings {
  /** Whether `cygnet start` runs a chain of its own where no server is named. */
  readonly local: boolean;
}

/** Money from outside. */
export interface FundsSettings {
  /** Consumers' addresses are derived from it. Undefined: crypto is taken on the local chain alone. */
  readonly depositXpub: string | undefined;
  /** Both undefined: no cards. */
  readonly stripeKey: Sealed<string> | undefined;
  readonly stripeWebhookSecret: Sealed<string> | undefined;
  /** Undefined: Stripe's own. */
  readonly stripeApi:
    | { readonly host: string; readonly port: number; readonly protocol: 'http' | 'https' }
    | undefined;
  /** Where people reach this market, without a slash at the end. */
  readonly publicUrl: string;
  /** Whether providers serve only with collateral. */
  readonly collateralRequired: boolean;
}

/** What stands on invoices and receipts beside the facts. Issued ones keep what they were issued with. */
export interface StatementsSettings {
  readonly issuerName: string;
  /** Line by line. */
  readonly issuerAddress: readonly string[];
  readonly issuerTaxId: string | undefined;
  readonly note: string | undefined;
  /** Absolute. Undefined: the font that comes with the market. */
  readonly fontFile: string | undefined;
}

export interface ProviderSettings {
  readonly approval: 'automatic' | 'operator';
  readonly minVramGb: number;
  readonly allowUnknownHardware: boolean;
}

/** Questions with known answers, and what follows from the answers. */
export interface BenchmarkSettings {
  readonly mode: 'off' | 'watch' | 'enforce';
  readonly everyMs: number;
  /** A node's first turn comes within this time. */
  readonly firstWithinMs: number;
  readonly graceMs: number;
  /** By failures in a row; the last step removes. */
  readonly slashPercents: readonly [number, ...number[]];
  /** How long an answer may take. */
  readonly questionMs: number;
  /** Between two questions: a pause of chance up to this. */
  readonly pauseMsMax: number;
  /** Whether the answers of several providers are compared, and whether it is held against who answers unlike the others. */
  readonly likeness: 'off' | 'watch' | 'enforce';
  readonly likenessEveryMs: number;
  /** Between two nodes that a comparison asks: a pause of chance up to this. */
  readonly likenessPauseMsMax: number;
}

/** External endpoints: what seals their keys, and where they may be. */
export interface ExternalSettings {
  /** Undefined: a secret of the data folder's own. */
  readonly secret: Sealed<string> | undefined;
  readonly secretFormer: Sealed<string> | undefined;
  /** Addresses and networks beyond the public Internet. */
  readonly allowNetworks: readonly string[];
}

/** The provider agent that `cygnet start` runs beside the marketplace. */
export interface EmbeddedAgentSettings {
  readonly enabled: boolean;
  /** Absolute. */
  readonly modelPath: string;
  readonly sequences: number;
  readonly threads: number;
}

/** What a provider must have before it is active. */
export function lifeTerms(config: Pick<Config, 'providers' | 'funds' | 'benchmarks'>): LifeTerms {
  return {
    approval: config.providers.approval,
    demandsCollateral: config.funds.collateralRequired,
    demandsBenchmark: config.benchmarks.mode === 'enforce',
  };
}

/** Settings that do not hold together. `problems` are all of them, one sentence each, without any secret. */
export class ConfigProblems extends Error {
  override name = 'ConfigProblems';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** What a test or an embedding program sets otherwise than the environment does. Lists and amounts replace; objects merge. */
export type ConfigChanges = Changes<Config>;
type Changes<T> = { readonly [K in keyof T]?: Changed<T[K]> };
type Changed<T> = T extends Sealed<unknown> | string | number | bigint | boolean | undefined ? T : Changes<T>;

/**
 * Reads the configuration from `source` (the process's environment by default), with `changes` on top. Throws
 * `ConfigProblems` that names everything wrong at once.
 */
export function readConfig(source?: EnvironmentSource, changes: ConfigChanges = {}): Config {
  const { values: env, problems, strangers } = readEnvironment(source);
  const settings: Config = {
    dataFolder: path.resolve(env.dataFolder),
    databaseUrl: env.databaseUrl,
    host: env.host,
    gatewayPort: env.gatewayPort,
    hubPort: env.hubPort,
    hubLinksMax: env.hubLinksMax,
    tls:
      env.tlsCert === undefined || env.tlsKey === undefined
        ? undefined
        : {
            cert: path.resolve(env.tlsCert),
            key: path.resolve(env.tlsKey),
            hubClientCa: env.hubClientCa === undefined ? undefined : path.resolve(env.hubClientCa),
          },
    shared:
      env.redisUrl === undefined
        ? undefined
        : {
            redisUrl: env.redisUrl,
            link:
              env.linkSecret === undefined
                ? undefined
                : { secret: env.linkSecret, host: env.linkHost, port: env.linkPort, url: env.linkUrl },
          },
    life: { drainNoticeMs: env.drainNoticeMs, graceMs: env.graceMs, readyAgents: env.readyAgents },
    logLevel: env.logLevel,
    limits: {
      requestsPerMinute: {
        llm: env.llmRequestsPerMinute,
        image: env.imageRequestsPerMinute,
        embedding: env.embeddingRequestsPerMinute,
        other: env.otherRequestsPerMinute,
      },
      concurrentPerKey: env.concurrentPerKey,
      bodyBytesMax: env.bodyBytesMax,
      recordingBytesMax: env.recordingBytesMax,
      bodiesBytesMax: Math.max(BODIES_BYTES_MAX, 4 * Math.max(env.bodyBytesMax, env.recordingBytesMax)),
      messagesMax: env.messagesMax,
      messageCharsMax: env.messageCharsMax,
      inputTokensMax: env.inputTokensMax,
      outputTokensMax: env.outputTokensMax,
      embeddingTokensMax: env.embeddingTokensMax,
      requestTimeoutMs: env.requestTimeoutMs,
      headTimeoutMs: 20_000,
      bodyTimeoutMs: 60_000,
    },
    watch: {
      probes: env.probes,
      probePauseMs: { least: 30_000, most: 60_000 },
      probesDaily: env.probesDaily,
      webhook:
        env.incidentWebhook === undefined || env.incidentWebhookSecret === undefined
          ? undefined
          : { url: env.incidentWebhook, secret: env.incidentWebhookSecret },
      mailTo: env.incidentMailTo,
      traces:
        env.otlpUrl === undefined ? undefined : { url: env.otlpUrl, authorization: env.otlpAuthorization },
    },
    playground: { enabled: env.playground, requestsPerHour: 5, outputTokensMax: 100 },
    advertised: { publicUrl: env.publicUrl, hubUrl: env.hubPublicUrl },
    access: {
      trustedProxies: env.trustedProxies ?? [],
      signUp: env.signUp,
      metricsToken: env.metricsToken,
      sessionMs: env.sessionHours * 3_600_000,
    },
    hub: {
      registerDeadlineMs: 30_000,
      heartbeatTimeoutMs: 80_000,
      frameBytesMax: 64 * 1024 * 1024,
      // Below the agents' read limits (1 MiB and 64 MiB) by room for the envelope around a request.
      agentFrameBytesByGeneration: { A: 1_000_000, B: 1_000_000, C: 60_000_000 },
      generationCFrom: env.generationCFrom,
      firstTokenDeadlineMs: env.firstTokenDeadlineMs,
      gapDeadlineMs: env.gapDeadlineMs,
      streamBufferBytesMax: 1024 * 1024,
      perModelInFlight: env.perModelInFlight,
      perLinkInFlight: env.perLinkInFlight,
      upgradeBurst: 5,
      upgradePerSeconds: 5,
    },
    routing: {
      strategy: env.routingStrategy,
      region: env.region,
      retriesMax: env.retriesMax,
      warmUp: env.warmUp,
      embeddingsWindowMs: env.embeddingsWindowMs,
      backoff: { baseMs: 50, capMs: 1_000 },
      retryBudget: { ratio: 0.1, burst: 20 },
    },
    money: {
      splitPolicy: env.splitPolicy,
      exposureMax: env.exposureMax,
      demoCredit: env.demoCredit,
      payoutMinimum: env.payoutMinimum,
      journalBytesMax: env.journalBytesMax,
      outcomeDays: env.outcomeDays,
    },
    chain: {
      local: env.localChain,
      rpcUrls: env.chainRpc,
      chainId: env.chainId,
      distributor: env.distributor,
      collateral: env.collateralContract,
      payoutToken: env.payoutToken,
      payoutTokenDecimals: env.payoutTokenDecimals,
      assets: [
        ...(env.usdc ? [{ asset: 'USDC' as const, ...env.usdc }] : []),
        ...(env.usdt ? [{ asset: 'USDT' as const, ...env.usdt }] : []),
        ...(env.swan ? [{ asset: 'SWAN' as const, ...env.swan }] : []),
      ],
      depositConfirmations: env.depositConfirmations,
      operatorKey: env.operatorKey,
      confirmations: env.chainConfirmations,
      firstBlock: BigInt(env.chainFirstBlock),
      maxFeePerGas: BigInt(env.chainMaxFeeGwei) * 1_000_000_000n,
      timeLockS: 60,
    },
    funds: {
      depositXpub: env.depositXpub,
      stripeKey: env.stripeKey,
      stripeWebhookSecret: env.stripeWebhookSecret,
      stripeApi: undefined,
      publicUrl: env.publicUrl ?? `http://127.0.0.1:${env.gatewayPort}`,
      collateralRequired: env.collateralRequired,
    },
    statements: {
      issuerName: env.issuerName,
      issuerAddress: (env.issuerAddress ?? '')
        .split('|')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
      issuerTaxId: env.issuerTaxId,
      note: env.invoiceNote,
      fontFile: env.invoiceFont === undefined ? undefined : path.resolve(env.invoiceFont),
    },
    walletKey: env.walletKey,
    providers: {
      approval: env.providerApproval,
      minVramGb: env.minVramGb,
      allowUnknownHardware: env.allowUnknownHardware,
    },
    benchmarks: {
      mode: env.benchmarks,
      everyMs: env.benchmarkEveryHours * 3_600_000,
      // Where it is in the way of earning it comes at once; else when the newcomer has tried the market.
      firstWithinMs: env.benchmarks === 'enforce' ? 5_000 : 600_000,
      graceMs: env.graceDays * 86_400_000,
      slashPercents: env.slashLadder,
      questionMs: 60_000,
      pauseMsMax: 1_500,
      likeness: env.likeness,
      likenessEveryMs: env.likenessEveryHours * 3_600_000,
      likenessPauseMsMax: 20_000,
    },
    external: {
      secret: env.secret,
      secretFormer: env.secretFormer,
      allowNetworks: env.externalAllowNetworks ?? [],
    },
    embeddedAgent: {
      enabled: env.embeddedAgent,
      modelPath:
        env.embeddedModel === undefined
          ? path.join(packageRoot(), 'models', 'cygnet-nano-q8_0.gguf')
          : path.resolve(env.embeddedModel),
      sequences: env.embeddedSequences,
      threads: env.embeddedThreads,
    },
    strangers,
  };
  const config = merge({ ...settings }, changes) as unknown as Config;
  if ((env.tlsCert === undefined) !== (env.tlsKey === undefined)) {
    problems.push('CYGNET_TLS_CERT and CYGNET_TLS_KEY go together: one of them is missing.');
  }
  if ((env.incidentWebhook === undefined) !== (env.incidentWebhookSecret === undefined)) {
    problems.push(
      'CYGNET_INCIDENT_WEBHOOK and CYGNET_INCIDENT_WEBHOOK_SECRET go together: one of them is missing.',
    );
  }
  if (env.hubClientCa !== undefined && env.tlsCert === undefined) {
    problems.push('CYGNET_HUB_CLIENT_CA needs CYGNET_TLS_CERT and CYGNET_TLS_KEY.');
  }
  problems.push(...crossChecks(config));
  if (problems.length > 0) throw new ConfigProblems(problems);
  return freeze(config);
}

/** What single values cannot show: settings that are each fine and do not go together. */
function crossChecks(config: Config): string[] {
  const { hub, limits, money, chain } = config;
  const problems: string[] = [];
  if (config.gatewayPort !== 0 && config.gatewayPort === config.hubPort) {
    problems.push(
      `CYGNET_GATEWAY_PORT and CYGNET_HUB_PORT are both ${config.gatewayPort}: they must differ.`,
    );
  }
  if (!Object.hasOwn(SPLIT_POLICIES, money.splitPolicy)) {
    problems.push(
      `CYGNET_SPLIT_POLICY is ${JSON.stringify(money.splitPolicy)}: expected one of ${Object.keys(SPLIT_POLICIES).join(', ')}.`,
    );
  }
  if (chain.rpcUrls && !(chain.distributor && chain.payoutToken)) {
    problems.push('CYGNET_CHAIN_RPC is set: CYGNET_DISTRIBUTOR and CYGNET_PAYOUT_TOKEN must be set too.');
  }
  if (!chain.rpcUrls && (chain.distributor || chain.payoutToken || chain.collateral || chain.operatorKey)) {
    problems.push(
      'CYGNET_DISTRIBUTOR, CYGNET_COLLATERAL_CONTRACT, CYGNET_PAYOUT_TOKEN and CYGNET_OPERATOR_KEY are of a chain: CYGNET_CHAIN_RPC must be set too.',
    );
  }
  if ((config.funds.stripeKey === undefined) !== (config.funds.stripeWebhookSecret === undefined)) {
    problems.push('CYGNET_STRIPE_KEY and CYGNET_STRIPE_WEBHOOK_SECRET go together: one of them is missing.');
  }
  const { fontFile } = config.statements;
  if (fontFile !== undefined && !existsSync(fontFile)) {
    problems.push(`CYGNET_INVOICE_FONT is ${JSON.stringify(fontFile)}: there is no such file.`);
  }
  if (money.exposureMax === 0n) problems.push('CYGNET_EXPOSURE_MAX_USD is 0: nothing could ever be served.');
  for (const [name, ms] of [
    ['CYGNET_FIRST_TOKEN_DEADLINE_MS', hub.firstTokenDeadlineMs],
    ['CYGNET_GAP_DEADLINE_MS', hub.gapDeadlineMs],
  ] as const) {
    if (ms > limits.requestTimeoutMs) {
      problems.push(`${name} is ${ms}, longer than CYGNET_REQUEST_TIMEOUT_MS (${limits.requestTimeoutMs}).`);
    }
  }
  if (hub.perModelInFlight > hub.perLinkInFlight) {
    problems.push(
      `CYGNET_PER_MODEL_IN_FLIGHT is ${hub.perModelInFlight}, more than CYGNET_PER_LINK_IN_FLIGHT (${hub.perLinkInFlight}).`,
    );
  }
  for (const [generation, bytes] of Object.entries(hub.agentFrameBytesByGeneration)) {
    if (bytes > hub.frameBytesMax) {
      problems.push(
        `hub.agentFrameBytesByGeneration.${generation} is ${bytes}, more than hub.frameBytesMax.`,
      );
    }
  }
  // The shortest read deadline an agent can have is two heartbeats; less would throw out healthy nodes.
  if (hub.heartbeatTimeoutMs <= hub.registerDeadlineMs) {
    problems.push(
      `hub.heartbeatTimeoutMs is ${hub.heartbeatTimeoutMs}, not more than hub.registerDeadlineMs.`,
    );
  }
  return problems;
}

function isPart(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function merge(base: Record<string, unknown>, changes: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...base };
  for (const [field, change] of Object.entries(changes)) {
    const before = merged[field];
    merged[field] = isPart(change) && isPart(before) ? merge(before, change) : change;
  }
  return merged;
}

function freeze<T>(value: T): T {
  if (isPart(value)) Object.values(value).forEach(freeze);
  return Object.freeze(value);
}
