import { type Address, parseAddress } from '#domain/hex.ts';
import { parseUsd } from '#domain/money.ts';
import { AddressList } from '#kit/address-list.ts';
import { anySecret, databaseUrl, marketSecret, privateKey, redisUrl, rpcUrls } from './secrets.ts';

/**
 * Every environment variable of the server: its name, how it is read, what holds without it, and one line of meaning.
 * This is the only file on the server's side that reads `process.env`; the agent, a program of its own, has
 * `src/agent/env.ts`. An empty variable counts as absent, as shells and container files produce them.
 */

/** Reads a text; throws `RangeError` whose message says what was expected. */
type Parser<T> = (text: string) => T;

export interface Variable<T = unknown> {
  readonly name: string;
  readonly parse: Parser<T>;
  /** What holds when the variable is absent, as it would be written; undefined when absence is a setting of its own. */
  readonly fallback: string | undefined;
  readonly meaning: string;
  /** True when the value may not be quoted in an error. */
  readonly secret: boolean;
}

type Plain<T> = Variable<T> & { readonly fallback: string };
type Optional<T> = Variable<T> & { readonly fallback: undefined };

const plain = <T>(name: string, parse: Parser<T>, fallback: string, meaning: string): Plain<T> => ({
  name,
  parse,
  fallback,
  meaning,
  secret: false,
});

const optional = <T>(name: string, parse: Parser<T>, meaning: string, secret = false): Optional<T> => ({
  name,
  parse,
  fallback: undefined,
  meaning,
  secret,
});

const text: Parser<string> = (value) => value;

const whole =
  (least: number, most: number): Parser<number> =>
  (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most)) throw new RangeError(`a whole number from ${least} to ${most}`);
    return number;
  };

const oneOf =
  <const T extends string>(...values: readonly T[]): Parser<T> =>
  (value) => {
    const found = values.find((each) => each === value);
    if (found === undefined) throw new RangeError(`one of ${values.join(', ')}`);
    return found;
  };

const region: Parser<string> = (value) => {
  if (!/^[a-z0-9-]{1,32}$/.test(value))
    throw new RangeError('at most 32 lower-case letters, digits and dashes');
  return value;
};

const yesOrNo: Parser<boolean> = (value) => {
  if (['1', 'true', 'yes', 'on'].includes(value.toLowerCase())) return true;
  if (['0', 'false', 'no', 'off'].includes(value.toLowerCase())) return false;
  throw new RangeError('yes or no');
};

const percentages: Parser<readonly [number, ...number[]]> = (value) => {
  const [first, ...rest] = value.split(',').map((each) => (/^ *\d{1,3} *$/.test(each) ? Number(each) : 101));
  if (first === undefined || Math.max(first, ...rest) > 100 || rest.length > 9) {
    throw new RangeError('one to ten whole percentages with commas between them, such as 0,10,30');
  }
  return [first, ...rest];
};

const dollars: Parser<bigint> = (value) => {
  const expected = 'an amount of dollars such as 5 or 0.25, not negative';
  let amount: bigint;
  try {
    amount = parseUsd(value);
  } catch {
    throw new RangeError(expected);
  }
  if (amount < 0n) throw new RangeError(expected);
  return amount;
};

const chainAddress: Parser<Address> = (value) => {
  const address = parseAddress(value);
  if (!address) throw new RangeError('an address: 0x and 40 hexadecimal digits');
  return address;
};

const chainToken: Parser<{ token: Address; decimals: number }> = (value) => {
  const [, hex = '', decimals = ''] = /^(0x[0-9a-fA-F]{40}):(\d{1,2})$/.exec(value) ?? [];
  const token = parseAddress(hex);
  if (!token || Number(decimals) > 36) {
    throw new RangeError('an address and its decimals, such as 0x…40 hexadecimal digits…:6');
  }
  return { token, decimals: Number(decimals) };
};

const publicKey: Parser<string> = (value) => {
  if (!/^xpub[1-9A-HJ-NP-Za-km-z]{100,112}$/.test(value)) {
    throw new RangeError('an extended public key that begins with xpub');
  }
  return value;
};

const webAddress: Parser<string> = (value) => {
  if (!/^https?:\/\/[^\s?#]+$/.test(value) || !URL.canParse(value)) {
    throw new RangeError('a URL that begins with https:// or http://');
  }
  return value.replace(/\/+$/, '');
};

const linkAddress: Parser<string> = (value) => {
  if (!/^wss?:\/\/[^\s/?#]+$/.test(value) || !URL.canParse(value)) {
    throw new RangeError('a URL such as ws://10.0.0.5:8082, without a path');
  }
  return value;
};

const socketAddress: Parser<string> = (value) => {
  if (!/^wss?:\/\/[^\s?#]+$/.test(value) || !URL.canParse(value)) {
    throw new RangeError('a URL that begins with wss:// or ws://');
  }
  return value.replace(/\/+$/, '').replace(/\/ws$/, '');
};

const addresses: Parser<readonly string[]> = (value) => {
  const entries = value.split(/[\s,]+/).filter((entry) => entry !== '');
  // Throws what was expected.
  new AddressList(entries).has('');
  return entries;
};

const mailAddress: Parser<string> = (value) => {
  if (!/^[^\s@,<>]+@[^\s@,<>]+$/.test(value)) throw new RangeError('one e-mail address');
  return value;
};

const version: Parser<string> = (value) => {
  if (!/^\d{1,6}\.\d{1,6}\.\d{1,6}$/.test(value)) throw new RangeError('a version such as 0.6.0');
  return value;
};

const port = whole(0, 65_535);
const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;

export const VARIABLES = {
  databaseUrl: optional(
    'DATABASE_URL',
    databaseUrl,
    'The PostgreSQL database to use. Without it, an embedded PostgreSQL runs under the data folder.',
    true,
  ),
  redisUrl: optional(
    'CYGNET_REDIS_URL',
    redisUrl,
    'The Redis or Valkey over which several gateways share limits. Without it, each process counts for itself.',
    true,
  ),
  linkSecret: optional(
    'CYGNET_LINK_SECRET',
    marketSecret,
    'What gateways prove themselves to each other with: then each serves by the agents of all. The same for all of them.',
    true,
  ),
  linkPort: plain(
    'CYGNET_LINK_PORT',
    port,
    '8082',
    'The private port that other gateways dial, where there is a link secret; 0 takes any free one.',
  ),
  linkHost: plain(
    'CYGNET_LINK_HOST',
    text,
    '127.0.0.1',
    'The address that the private port listens on. Keep it in a network of your own: what goes over it is not encrypted.',
  ),
  linkUrl: optional(
    'CYGNET_LINK_URL',
    linkAddress,
    'Where the other gateways reach the private port, as ws://host:port. Without it, at CYGNET_LINK_HOST.',
  ),
  dataFolder: plain('CYGNET_DATA_DIR', text, './.cygnet', 'Where this marketplace keeps its files.'),
  host: plain('CYGNET_HOST', text, '127.0.0.1', 'The address to listen on; 0.0.0.0 opens it to the network.'),
  gatewayPort: plain(
    'CYGNET_GATEWAY_PORT',
    port,
    '8100',
    'The port of the consumer API; 0 takes any free one.',
  ),
  hubPort: plain('CYGNET_HUB_PORT', port, '8081', 'The port that providers dial; 0 takes any free one.'),
  hubLinksMax: plain(
    'CYGNET_HUB_LINKS_MAX',
    whole(1, 1_000_000),
    '20000',
    'How many agents may be connected to this process at once; each takes about 20 kB and one file handle.',
  ),
  hubPublicUrl: optional(
    'CYGNET_HUB_PUBLIC_URL',
    socketAddress,
    'What providers dial from elsewhere, such as wss://hub.example.org; without it they are told the port.',
  ),
  tlsCert: optional(
    'CYGNET_TLS_CERT',
    text,
    'A PEM file with the certificate of both ports and what leads to its root. Read again when it changes, and on SIGHUP.',
  ),
  tlsKey: optional('CYGNET_TLS_KEY', text, 'The PEM file with the key of that certificate.'),
  hubClientCa: optional(
    'CYGNET_HUB_CLIENT_CA',
    text,
    'A PEM file: agents must show a certificate that one of these signed (mTLS).',
  ),
  drainNoticeMs: plain(
    'CYGNET_DRAIN_NOTICE_MS',
    whole(0, 600_000),
    '0',
    'How long a stopping market goes on taking requests while /health says draining, so that a balancer moves on first.',
  ),
  graceMs: plain(
    'CYGNET_GRACE_MS',
    whole(0, HOUR_MS),
    '120000',
    'How long answers under way may take when the market stops, in milliseconds; then they end with an error.',
  ),
  readyAgents: plain(
    'CYGNET_READY_AGENTS',
    whole(0, 1_000_000),
    '0',
    'How many agents must have registered after a start before /health says ok.',
  ),
  logLevel: plain(
    'CYGNET_LOG_LEVEL',
    oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'),
    'info',
    'The least severe log line that is written.',
  ),

  llmRequestsPerMinute: plain(
    'CYGNET_LLM_REQUESTS_PER_MINUTE',
    whole(1, 1_000_000_000),
    '200',
    'Requests a minute and key to language and multimodal models.',
  ),
  imageRequestsPerMinute: plain(
    'CYGNET_IMAGE_REQUESTS_PER_MINUTE',
    whole(1, 1_000_000_000),
    '60',
    'Requests a minute and key to image models.',
  ),
  embeddingRequestsPerMinute: plain(
    'CYGNET_EMBEDDING_REQUESTS_PER_MINUTE',
    whole(1, 1_000_000_000),
    '500',
    'Requests a minute and key to embedding models.',
  ),
  otherRequestsPerMinute: plain(
    'CYGNET_OTHER_REQUESTS_PER_MINUTE',
    whole(1, 1_000_000_000),
    '200',
    'Requests a minute and key to everything else.',
  ),
  concurrentPerKey: plain(
    'CYGNET_CONCURRENT_PER_KEY',
    whole(1, 1_000_000),
    '100',
    'Requests under way at once for one key.',
  ),
  playground: plain(
    'CYGNET_PLAYGROUND',
    yesOrNo,
    'yes',
    'Whether people may chat without a key. The consumer con_playground pays, with what it was given.',
  ),
  bodyBytesMax: plain(
    'CYGNET_BODY_BYTES_MAX',
    whole(1_024, 256 * MIB),
    '10000000',
    'The largest request body, in bytes.',
  ),
  recordingBytesMax: plain(
    'CYGNET_RECORDING_BYTES_MAX',
    whole(1_024, 64 * MIB),
    '26214400',
    'The largest recording to be transcribed, in bytes.',
  ),
  messagesMax: plain(
    'CYGNET_MESSAGES_MAX',
    whole(1, 1_000_000),
    '100',
    'The most messages in one chat request.',
  ),
  messageCharsMax: plain(
    'CYGNET_MESSAGE_CHARS_MAX',
    whole(1, 256 * MIB),
    '100000',
    'The longest message of a chat request, in characters.',
  ),
  inputTokensMax: plain(
    'CYGNET_INPUT_TOKENS_MAX',
    whole(1, 100_000_000),
    '128000',
    'The longest prompt, in tokens, whatever the model could take.',
  ),
  outputTokensMax: plain(
    'CYGNET_OUTPUT_TOKENS_MAX',
    whole(1, 100_000_000),
    '16384',
    'The longest answer, in tokens, whatever the model could give.',
  ),
  embeddingTokensMax: plain(
    'CYGNET_EMBEDDING_TOKENS_MAX',
    whole(1, 100_000_000),
    '8192',
    'The longest input of an embedding, in tokens.',
  ),
  requestTimeoutMs: plain(
    'CYGNET_REQUEST_TIMEOUT_MS',
    whole(1, 24 * HOUR_MS),
    '120000',
    'The longest a request may take from beginning to end, in milliseconds.',
  ),

  probes: plain(
    'CYGNET_PROBES',
    yesOrNo,
    'yes',
    'Whether the market asks its own models every 30 to 60 seconds. The consumer con_probes pays, with money of the platform.',
  ),
  probesDaily: plain(
    'CYGNET_PROBES_DAILY_USD',
    dollars,
    '0.25',
    'What those probes may cost the platform a day. Used up, they wait for the next.',
  ),
  incidentWebhook: optional(
    'CYGNET_INCIDENT_WEBHOOK',
    webAddress,
    'Where the steps of incidents are posted, signed. Judged like the URL of an external endpoint.',
  ),
  incidentWebhookSecret: optional(
    'CYGNET_INCIDENT_WEBHOOK_SECRET',
    anySecret,
    'What those posts are signed with (HMAC-SHA256).',
    true,
  ),
  incidentMailTo: optional(
    'CYGNET_INCIDENT_MAIL_TO',
    mailAddress,
    'Whom mail about incidents is for. It is put down as files in the folder mail of the data folder.',
  ),
  metricsToken: optional(
    'CYGNET_METRICS_TOKEN',
    anySecret,
    'What a reader of /metrics sends as Authorization: Bearer …. Without it only this machine may read them.',
    true,
  ),
  otlpUrl: optional(
    'CYGNET_OTLP_URL',
    webAddress,
    'Where an OpenTelemetry collector takes OTLP over HTTP, without /v1/traces. Without it nothing is traced.',
  ),
  otlpAuthorization: optional(
    'CYGNET_OTLP_AUTHORIZATION',
    anySecret,
    'What the collector wants as the Authorization header.',
    true,
  ),
  trustedProxies: optional(
    'CYGNET_TRUSTED_PROXIES',
    addresses,
    'Addresses and networks of reverse proxies whose X-Forwarded-For is believed, with commas between them.',
  ),
  signUp: plain(
    'CYGNET_SIGN_UP',
    oneOf('open', 'closed'),
    'open',
    'Whether anyone may make an account, or only the operator.',
  ),
  sessionHours: plain('CYGNET_SESSION_HOURS', whole(1, 24 * 30), '12', 'How long a login lasts, in hours.'),

  generationCFrom: plain(
    'CYGNET_GENERATION_C_FROM',
    version,
    '0.6.0',
    'The first Swan agent version that takes large frames and understands cancel.',
  ),
  firstTokenDeadlineMs: plain(
    'CYGNET_FIRST_TOKEN_DEADLINE_MS',
    whole(1, HOUR_MS),
    '30000',
    'How long one provider may take to its first token, in milliseconds.',
  ),
  gapDeadlineMs: plain(
    'CYGNET_GAP_DEADLINE_MS',
    whole(1, HOUR_MS),
    '30000',
    'How long a stream may stand still between tokens, in milliseconds.',
  ),
  perModelInFlight: plain(
    'CYGNET_PER_MODEL_IN_FLIGHT',
    whole(1, 100_000),
    '10',
    'Requests at once to one model of one provider node that does not state its capacity.',
  ),
  perLinkInFlight: plain(
    'CYGNET_PER_LINK_IN_FLIGHT',
    whole(1, 100_000),
    '50',
    'Requests at once to one provider node, over all its models.',
  ),

  routingStrategy: plain(
    'CYGNET_ROUTING_STRATEGY',
    oneOf('health-aware', 'round-robin', 'least-connections', 'price', 'throughput', 'latency'),
    'health-aware',
    'How a provider is chosen among those that can serve.',
  ),
  region: optional(
    'CYGNET_REGION',
    region,
    'Where this market is, as its operator names the regions of providers (such as eu-west): near ones are preferred.',
  ),
  retriesMax: plain(
    'CYGNET_RETRIES_MAX',
    whole(0, 10),
    '2',
    'How many further providers are tried when one fails before its first token.',
  ),

  embeddingsWindowMs: plain(
    'CYGNET_EMBEDDINGS_WINDOW_MS',
    whole(0, 100),
    '0',
    'The longest that small requests for embeddings wait behind another call, to travel as one; 0: each travels alone.',
  ),
  warmUp: plain(
    'CYGNET_WARM_UP',
    yesOrNo,
    'yes',
    'Whether nodes are asked to load a model ahead of its next request, by a small one that nobody pays for.',
  ),

  splitPolicy: plain(
    'CYGNET_SPLIT_POLICY',
    text,
    'standard-1',
    'How a payment is shared out: standard-1 (5 % fee, then 70/20/10) or bootstrap-1 (5 % fee, then all to the provider).',
  ),
  exposureMax: plain(
    'CYGNET_EXPOSURE_MAX_USD',
    dollars,
    '5',
    "The most of one consumer's money, in dollars, that one server process sets aside at a time.",
  ),
  demoCredit: plain(
    'CYGNET_DEMO_CREDIT_USD',
    dollars,
    '5',
    'What the demo consumer of `cygnet start` begins with, in dollars.',
  ),
  journalBytesMax: plain(
    'CYGNET_JOURNAL_BYTES_MAX',
    whole(MIB, 1024 * 1024 * MIB),
    '1073741824',
    'How many bytes of served but unposted requests may wait on disk before paid work is refused.',
  ),
  outcomeDays: plain(
    'CYGNET_OUTCOME_DAYS',
    whole(1, 3_650),
    '90',
    'For how many days it is kept how each request was served or why it was refused. Money is kept for ever.',
  ),

  payoutMinimum: plain(
    'CYGNET_PAYOUT_MIN_USD',
    dollars,
    '50',
    'The least a provider is paid at once, in dollars; what is below it carries over.',
  ),

  localChain: plain(
    'CYGNET_LOCAL_CHAIN',
    yesOrNo,
    'yes',
    'Whether `cygnet start` runs a chain of its own on this machine where CYGNET_CHAIN_RPC names none.',
  ),
  chainRpc: optional(
    'CYGNET_CHAIN_RPC',
    rpcUrls,
    'RPC servers of the chain that providers are paid on, with commas between them; several must agree.',
    true,
  ),
  chainId: plain(
    'CYGNET_CHAIN_ID',
    whole(1, Number.MAX_SAFE_INTEGER),
    '254',
    'The id of that chain (254 is Swan Chain).',
  ),
  distributor: optional(
    'CYGNET_DISTRIBUTOR',
    chainAddress,
    'The address of the MerkleDistributor on that chain.',
  ),
  collateralContract: optional(
    'CYGNET_COLLATERAL_CONTRACT',
    chainAddress,
    'The address of the ProviderCollateral on that chain.',
  ),
  payoutToken: optional(
    'CYGNET_PAYOUT_TOKEN',
    chainAddress,
    'The token that providers are paid in, one for a dollar: USDC or USDT.',
  ),
  payoutTokenDecimals: plain(
    'CYGNET_PAYOUT_TOKEN_DECIMALS',
    whole(0, 36),
    '6',
    'The decimals of that token; the chain must say the same.',
  ),
  operatorKey: optional(
    'CYGNET_OPERATOR_KEY',
    privateKey,
    'The private key that publishes batches and holds what is paid out. Without it this process pays nobody.',
    true,
  ),
  chainConfirmations: plain(
    'CYGNET_CHAIN_CONFIRMATIONS',
    whole(1, 10_000),
    '13',
    'How deep a block must be to count; 13 survives the loss of the newest 12.',
  ),
  chainFirstBlock: plain(
    'CYGNET_CHAIN_FIRST_BLOCK',
    whole(0, Number.MAX_SAFE_INTEGER),
    '0',
    'The block in which the distributor was deployed: events are read from there.',
  ),
  chainMaxFeeGwei: plain(
    'CYGNET_CHAIN_MAX_FEE_GWEI',
    whole(1, 1_000_000_000),
    '100',
    'The most that is offered for a unit of gas, in gwei.',
  ),

  usdc: optional(
    'CYGNET_USDC',
    chainToken,
    'USDC on that chain, for deposits and collateral: ADDRESS:DECIMALS.',
  ),
  usdt: optional('CYGNET_USDT', chainToken, 'USDT on that chain, likewise.'),
  swan: optional(
    'CYGNET_SWAN',
    chainToken,
    'SWAN on that chain, likewise; its rate is set with `cygnet deposits rate`.',
  ),
  depositConfirmations: plain(
    'CYGNET_DEPOSIT_CONFIRMATIONS',
    whole(1, 10_000),
    '3',
    'How deep a deposit must be in the chain to be credited.',
  ),
  depositXpub: optional(
    'CYGNET_DEPOSIT_XPUB',
    publicKey,
    "The extended public key from which consumers' deposit addresses are derived. Its private key belongs elsewhere.",
  ),
  stripeKey: optional(
    'CYGNET_STRIPE_KEY',
    anySecret,
    'The secret key of a Stripe account, to take cards.',
    true,
  ),
  stripeWebhookSecret: optional(
    'CYGNET_STRIPE_WEBHOOK_SECRET',
    anySecret,
    "The signing secret of Stripe's webhook to /api/v1/webhooks/stripe.",
    true,
  ),
  publicUrl: optional(
    'CYGNET_PUBLIC_URL',
    webAddress,
    'Where people reach this market, for the way back from a payment and for programs that ask.',
  ),
  collateralRequired: plain(
    'CYGNET_COLLATERAL_REQUIRED',
    yesOrNo,
    'no',
    'Whether a provider is suspended while its collateral is below the minimum.',
  ),

  issuerName: plain('CYGNET_ISSUER_NAME', text, 'Cygnet', 'Who issues invoices and receipts.'),
  issuerAddress: optional('CYGNET_ISSUER_ADDRESS', text, 'Their address, with | between its lines.'),
  issuerTaxId: optional('CYGNET_ISSUER_TAX_ID', text, 'Their tax number.'),
  invoiceNote: optional(
    'CYGNET_INVOICE_NOTE',
    text,
    'A sentence at the end of invoices and receipts, such as one that a tax law wants.',
  ),
  invoiceFont: optional(
    'CYGNET_INVOICE_FONT',
    text,
    'A TrueType or OpenType file for PDF documents, where names need characters that DejaVu Sans lacks.',
  ),

  walletKey: optional(
    'CYGNET_WALLET_KEY',
    privateKey,
    "The private key of a provider's wallet, for `cygnet claim` alone.",
    true,
  ),

  providerApproval: plain(
    'CYGNET_PROVIDER_APPROVAL',
    oneOf('automatic', 'operator'),
    'automatic',
    'Whether a new provider may serve at once or waits for the operator.',
  ),
  benchmarks: plain(
    'CYGNET_BENCHMARKS',
    oneOf('off', 'watch', 'enforce'),
    'watch',
    'Whether nodes are asked questions with known answers (watch), and whether who fails is kept from earning (enforce).',
  ),
  benchmarkEveryHours: plain(
    'CYGNET_BENCHMARK_EVERY_HOURS',
    whole(1, 720),
    '24',
    'How often a node is benchmarked on each of its models, in hours.',
  ),
  likeness: plain(
    'CYGNET_LIKENESS',
    oneOf('off', 'watch', 'enforce'),
    'watch',
    'Whether the same ordinary prompts are asked of several providers (watch), and whether nodes that answer unlike the others stand behind them (enforce).',
  ),
  likenessEveryHours: plain(
    'CYGNET_LIKENESS_EVERY_HOURS',
    whole(1, 720),
    '4',
    'How often the nodes of a model are compared, in hours, more or less by half. The allowance of probes pays.',
  ),
  graceDays: plain(
    'CYGNET_GRACE_DAYS',
    whole(0, 365),
    '7',
    'For so many days after its first activation a provider loses no collateral by benchmarks.',
  ),
  slashLadder: plain(
    'CYGNET_SLASH_LADDER',
    percentages,
    '0,10,30',
    'What the first, the second … failed benchmark in a row takes of the collateral, in percent; the last one also removes the provider.',
  ),
  minVramGb: plain(
    'CYGNET_MIN_VRAM_GB',
    whole(0, 10_000),
    '8',
    'The least memory of one GPU, in GB, that may earn (one GB of rounding is forgiven).',
  ),
  allowUnknownHardware: plain(
    'CYGNET_ALLOW_UNKNOWN_HARDWARE',
    yesOrNo,
    'yes',
    'Whether a provider that reports no GPU (a CPU, a proxy) may earn.',
  ),

  secret: optional(
    'CYGNET_SECRET',
    marketSecret,
    'Seals the upstream keys of external endpoints: at least 32 characters, the same for every server of a market. Without it, one is made and kept in the data folder.',
    true,
  ),
  secretFormer: optional(
    'CYGNET_SECRET_FORMER',
    marketSecret,
    'The secret before the present one: keys that were sealed under it can still be read.',
    true,
  ),
  externalAllowNetworks: optional(
    'CYGNET_EXTERNAL_ALLOW_NETWORKS',
    addresses,
    'Addresses and networks beyond the public Internet where external endpoints may be, with commas between them. There, http and any port are allowed too.',
  ),

  embeddedAgent: plain(
    'CYGNET_EMBEDDED_AGENT',
    yesOrNo,
    'yes',
    'Whether `cygnet start` also runs a provider agent with the shipped model.',
  ),
  embeddedModel: optional(
    'CYGNET_EMBEDDED_MODEL',
    text,
    'The GGUF file that agent serves. Without it, the shipped cygnet-nano.',
  ),
  embeddedSequences: plain(
    'CYGNET_EMBEDDED_SEQUENCES',
    whole(1, 64),
    '4',
    'How many requests that agent generates at once.',
  ),
  embeddedThreads: plain(
    'CYGNET_EMBEDDED_THREADS',
    whole(1, 256),
    '1',
    'How many CPU threads that agent computes with.',
  ),
} as const satisfies Record<string, Variable>;

type Variables = typeof VARIABLES;
type ValueOf<V> = V extends Plain<infer T> ? T : V extends Optional<infer T> ? T | undefined : never;

/** What the environment says, read and typed. */
export type Environment = { readonly [K in keyof Variables]: ValueOf<Variables[K]> };

/** A set of environment variables, as `process.env` is one. */
export type EnvironmentSource = Readonly<Record<string, string | undefined>>;

/**
 * Reads every variable. Never throws: `problems` lists all that is wrong, one sentence each, with the bad value quoted
 * (a secret's never); a variable with a problem has its fallback in `values`. `strangers` are variables that begin with
 * `CYGNET_` and mean nothing here: most likely misspelt.
 */
export function readEnvironment(source: EnvironmentSource = process.env): {
  values: Environment;
  problems: string[];
  strangers: string[];
} {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [field, variable] of Object.entries<Variable>(VARIABLES)) {
    const given = source[variable.name]?.trim() || undefined;
    const written = given ?? variable.fallback;
    if (written === undefined) continue;
    try {
      values[field] = variable.parse(written);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const shown = variable.secret ? 'is not readable' : `is ${JSON.stringify(written.slice(0, 80))}`;
      problems.push(`${variable.name} ${shown}: expected ${error.message}.`);
      if (variable.fallback !== undefined) values[field] = variable.parse(variable.fallback);
    }
  }
  const known = new Set(Object.values<Variable>(VARIABLES).map((variable) => variable.name));
  const strangers = Object.keys(source).filter(
    // CYGNET_AGENT_* belong to the agent's program, which may share an environment with us.
    (name) => name.startsWith('CYGNET_') && !name.startsWith('CYGNET_AGENT_') && !known.has(name),
  );
  return { values: values as Environment, problems, strangers };
}

/**
 * What a child process of ours inherits: this process's environment without our own settings and secrets, which are none
 * of its business.
 */
export function childEnvironment(source: EnvironmentSource = process.env): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined || name === 'DATABASE_URL' || name.startsWith('CYGNET_')) continue;
    inherited[name] = value;
  }
  return inherited;
}
