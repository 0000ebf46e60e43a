import { statSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import type { Hardware } from '#wire/agent/messages.ts';
import type { Backend } from '../backends/backend.ts';
import { type BackendFact, type Facts, type Verdict, verdicts, worst } from '../checks.ts';
import { TOKEN_FILE } from '../control.ts';
import { askAgent } from '../control-client.ts';
import type { AgentEnv } from '../env.ts';
import { findProcessor } from '../hardware.ts';
import { readTls } from '../line-tls.ts';
import { Market } from '../market.ts';
import { openBackend } from '../run.ts';
import { folderOf, type ModelSetting, readModels } from '../settings.ts';
import { answersAsHub } from '../setup/find-hub.ts';
import type { StatusBody } from '../status-body.ts';
import { CONFIG_FILE, MODELS_FILE, readSwanFolder, type SwanFolder } from '../swan-folder.ts';
import type { AccessOptions } from './access.ts';
import { type Answer, plainLine } from './print.ts';

/** `cygnet agent doctor`: looks at every link of the chain from GPU to payout, and says of each what is and what to do. */
export async function doctor(
  options: AccessOptions & { quick?: boolean | undefined },
  env: AgentEnv,
  parts: DoctorParts,
): Promise<Answer & { exitCode: number }> {
  const found = verdicts(await gather(options, env, parts));
  const result = worst(found);
  return {
    value: { result, checks: found },
    lines: [...found.flatMap(linesOf), '', SUMMARY[result]],
    exitCode: result === 'bad' ? 1 : 0,
  };
}

export interface DoctorParts {
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly hardware: Hardware | undefined;
}

const MARKS = { good: 'ok  ', warning: 'note', bad: 'BAD ', unknown: '?   ' } as const;
const SUMMARY = {
  good: 'Every link holds: this machine serves and earns.',
  warning: 'The chain holds; the notes above say what could be better.',
  bad: 'The chain is broken where it says BAD: begin with the first of them.',
  unknown: 'Not everything could be looked at.',
} as const;

function linesOf({ check, result, said, next }: Verdict): string[] {
  const line = `${MARKS[result]}  ${check}: ${plainLine(said)}`;
  return next === undefined || result === 'good' ? [line] : [line, `      → ${plainLine(next)}`];
}

async function gather(
  options: AccessOptions & { quick?: boolean | undefined },
  env: AgentEnv,
  parts: DoctorParts,
): Promise<Facts> {
  const folder = folderOf(options, env);
  let filed: SwanFolder = { models: [], passedOver: [] };
  let settings: readonly ModelSetting[] = [];
  let problem: string | undefined;
  try {
    filed = readSwanFolder(folder);
    settings = readModels(options, env);
  } catch (error) {
    problem = (error as Error).message;
  }
  const agent = await askAgent<StatusBody>(folder, 'GET', '/status').catch(() => undefined);
  const key = options.key ?? env.INFERENCE_API_KEY ?? filed.key;
  const marketUrl = options.market ?? env.CYGNET_AGENT_SERVICE ?? filed.serviceUrl;
  const hubUrl = env.INFERENCE_WS_URL?.split(/[\s,]+/)[0] ?? filed.hubUrl;
  const [backends, market, hubProblem] = await Promise.all([
    Promise.all(settings.map((setting) => lookAtBackend(setting, options.quick === true, agent, parts))),
    lookAtMarket(marketUrl, key),
    hubUrl === undefined ? undefined : lookAtHub(hubUrl, env),
  ]);
  return {
    hardware: parts.hardware,
    processor: findProcessor(),
    folder: {
      path: folder,
      problem,
      exposed: exposedIn(folder),
      hubUrl,
      marketUrl,
      hasKey: key !== undefined,
      passedOver: filed.passedOver,
    },
    backends,
    hub: hubUrl === undefined ? undefined : { url: hubUrl, problem: hubProblem },
    agent,
    ...market,
  };
}

/** As the agent would dial it, with the certificates that the environment names. */
async function lookAtHub(hubUrl: string, env: AgentEnv): Promise<string | undefined> {
  try {
    const files = {
      ca: env.CYGNET_AGENT_TLS_CA,
      cert: env.CYGNET_AGENT_TLS_CERT,
      key: env.CYGNET_AGENT_TLS_KEY,
    };
    return await answersAsHub(hubUrl, readTls(files));
  } catch (error) {
    return (error as Error).message;
  }
}

/** Files with secrets that others than their owner can read. */
function exposedIn(folder: string): string[] {
  if (process.platform === 'win32') return [];
  return [CONFIG_FILE, MODELS_FILE, 'private_key', TOKEN_FILE]
    .map((name) => path.join(folder, name))
    .filter((file) => {
      try {
        return (statSync(file).mode & 0o077) !== 0;
      } catch {
        return false;
      }
    });
}

type MarketFacts = Pick<Facts, 'market' | 'standing' | 'catalogue' | 'me' | 'stats' | 'details' | 'payout'>;

async function lookAtMarket(url: string | undefined, key: string | undefined): Promise<MarketFacts> {
  const nothing = {
    standing: undefined,
    catalogue: undefined,
    me: undefined,
    stats: undefined,
    details: undefined,
    payout: undefined,
  };
  if (url === undefined) return { ...nothing, market: undefined };
  let market: Market;
  try {
    market = new Market(url);
  } catch (error) {
    return { ...nothing, market: { url, problem: (error as Error).message } };
  }
  const maybe = async <T>(work: Promise<T>): Promise<T | undefined> => await work.catch(() => undefined);
  try {
    await market.health();
    const secret = key === undefined ? undefined : new Sealed(key);
    const [standing, catalogue] = await Promise.all([
      secret && maybe(market.standing(secret)),
      maybe(market.catalogue()),
    ]);
    const facts = { ...nothing, market: { url: market.url, problem: undefined }, standing, catalogue };
    if (!secret || standing?.api_key_valid !== true) return facts;
    const [me, stats, details] = await Promise.all([
      maybe(market.me(secret)),
      maybe(market.stats(secret)),
      standing.provider_id === undefined
        ? undefined
        : maybe(market.modelDetails(secret, standing.provider_id)),
    ]);
    const account = me?.beneficiary_address || me?.owner_address || undefined;
    return { ...facts, me, stats, details, payout: await maybe(lookAtPayout(market, account)) };
  } catch (error) {
    return { ...nothing, market: { url: market.url, problem: (error as Error).message } };
  } finally {
    await market.close();
  }
}

async function lookAtPayout(market: Market, account: string | undefined): Promise<Facts['payout']> {
  const listed = await market.settlements();
  if (!listed) return { onChain: false, promised: undefined };
  const batch = listed.settlements.find(({ state }) => state === 'confirmed' || state === 'submitted');
  const proof = batch && account ? await market.proof(batch.batch, account) : undefined;
  const promised = proof && batch ? Number(BigInt(proof.cumulative)) / 10 ** batch.decimals : undefined;
  return { onChain: true, promised };
}

const TRY_MS = 60_000;
const TRY_TOKENS = 16;

async function lookAtBackend(
  setting: ModelSetting,
  quick: boolean,
  agent: StatusBody | undefined,
  { clock, randomness }: DoctorParts,
): Promise<BackendFact> {
  const running = agent?.models.find(({ id }) => id === setting.id);
  const about = { id: setting.id, source: sourceOf(setting), tried: undefined };
  // A file that the agent has loaded is not loaded a second time.
  if (setting.source.kind === 'embedded' && running)
    return {
      ...about,
      problem: running.state === 'failed' ? running.reasons.join(' ') : undefined,
      operationsTried: false,
    };
  let backend: Backend | undefined;
  try {
    backend = await openBackend(setting, { clock, randomness, log: silentLog });
    if (!(await backend.probe())) return { ...about, problem: 'It does not answer.', operationsTried: false };
    const chats = (setting.operations ?? backend.operations).includes('chat/completions');
    if (quick || !chats) return { ...about, problem: undefined, operationsTried: false };
    const tried = await tryChat(backend, setting.id, clock);
    return 'problem' in tried
      ? { ...about, problem: tried.problem, operationsTried: true }
      : { ...about, problem: undefined, tried, operationsTried: true };
  } catch (error) {
    return { ...about, problem: (error as Error).message, operationsTried: false };
  } finally {
    await backend?.close();
  }
}

/** One short answer, as consumers would get it. */
function tryChat(
  backend: Backend,
  model: string,
  clock: Clock,
): Promise<{ ms: number; tokens: number } | { problem: string }> {
  const beganMs = clock.nowMs();
  return new Promise((resolve) => {
    let said = 0;
    const late = clock.after(TRY_MS, () => {
      serving.cancel();
      resolve({ problem: 'It made no whole answer within a minute.' });
    });
    const serving = backend.serve(
      {
        operation: 'chat/completions',
        body: { messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: TRY_TOKENS },
        stream: true,
        identity: { completion: 'doctor', model, createdS: 0 },
      },
      {
        event: (_head, _tail, tokens) => {
          said += tokens;
          return true;
        },
        answer: () => {},
        end: ({ status, error, usage }) => {
          late.cancel();
          if (status !== 200) resolve({ problem: error ?? `It ended with status ${status}.` });
          else resolve({ ms: clock.nowMs() - beganMs, tokens: usage?.completion_tokens ?? said });
        },
      },
    );
  });
}

function sourceOf({ source }: ModelSetting): string {
  if (source.kind === 'embedded') return source.path;
  return source.kind === 'rehearsal' ? `rehearsal:${source.plan}` : source.url;
}
