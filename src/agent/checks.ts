import type { Hardware } from '#wire/agent/messages.ts';
import type { Processor } from './hardware.ts';
import type { CatalogueModel, Me, ModelDetails, ProviderStats, Standing } from './market.ts';
import type { StatusBody } from './status-body.ts';

/**
 * The chain from a GPU to a payout, link by link. What was found out comes in (`Facts`), and each check gives a verdict with
 * the next step; undefined means that it could not be looked at, because a link before it is broken. Everything here is
 * pure: `commands/doctor.ts` looks.
 */
export interface Facts {
  readonly hardware: Hardware | undefined;
  readonly processor: Processor;
  readonly folder: {
    readonly path: string;
    /** Why it cannot be read. */
    readonly problem: string | undefined;
    /** Files with secrets that others can read. */
    readonly exposed: readonly string[];
    readonly hubUrl: string | undefined;
    readonly marketUrl: string | undefined;
    readonly hasKey: boolean;
    readonly passedOver: readonly { readonly id: string; readonly because: string }[];
  };
  readonly backends: readonly BackendFact[];
  /** Undefined where no market is named. */
  readonly market: { readonly url: string; readonly problem: string | undefined } | undefined;
  readonly standing: Standing | undefined;
  readonly catalogue: readonly CatalogueModel[] | undefined;
  /** The hub's refusal of an upgrade, or null where it granted one. */
  readonly hub: { readonly url: string; readonly problem: string | undefined } | undefined;
  readonly agent: StatusBody | undefined;
  readonly me: Me | undefined;
  readonly stats: ProviderStats | undefined;
  readonly details: readonly ModelDetails[] | undefined;
  /** Whether the market pays on a chain, and in whole tokens what it promises to our wallet. */
  readonly payout: { readonly onChain: boolean; readonly promised: number | undefined } | undefined;
}

export interface BackendFact {
  readonly id: string;
  readonly source: string;
  /** Why it does not answer. */
  readonly problem: string | undefined;
  /** Of a short answer; undefined where none was asked for. */
  readonly tried: { readonly ms: number; readonly tokens: number } | undefined;
  readonly operationsTried: boolean;
}

export interface Verdict {
  /** The link: `gpu`, `folder`, … */
  readonly check: string;
  readonly result: 'good' | 'warning' | 'bad' | 'unknown';
  readonly said: string;
  readonly next?: string;
}

/** A card below this serves no model that markets take; the figure has its rounding. */
const VRAM_GB_MIN = 7;
const SUCCESS_MIN = 0.8;
const REQUESTS_TO_JUDGE = 10;
const SLOW_MS = 5_000;

export function verdicts(facts: Facts): Verdict[] {
  return [
    gpu(facts),
    folder(facts),
    secrets(facts),
    ...facts.backends.map((backend) => backendAnswers(backend)),
    ...(facts.backends.length === 0 && facts.folder.problem === undefined ? [noModel(facts)] : []),
    marketAnswers(facts),
    keyHolds(facts),
    ...sold(facts),
    hubAnswers(facts),
    agentRuns(facts),
    ...registered(facts),
    standing(facts),
    traffic(facts),
    wallet(facts),
    payout(facts),
  ].flatMap((verdict) => verdict ?? []);
}

/** Whether the chain holds to its end. */
export function worst(found: readonly Verdict[]): Verdict['result'] {
  for (const result of ['bad', 'unknown', 'warning'] as const)
    if (found.some((verdict) => verdict.result === result)) return result;
  return 'good';
}

function gpu({ hardware, processor }: Facts): Verdict {
  const check = 'gpu';
  if (!hardware) {
    return {
      check,
      result: 'warning',
      said: `No NVIDIA or Apple GPU was found; ${processor.cores} cores (${processor.model}) and ${processor.memoryGb} GiB of memory were.`,
      next: 'Small models run on a CPU, and a server elsewhere needs no GPU here. With an NVIDIA card: `nvidia-smi` must work for this user.',
    };
  }
  const memory = hardware.vram_gb ?? 0;
  const name = `${hardware.gpu_count ?? 1} × ${hardware.gpu_model ?? hardware.gpu_type ?? 'GPU'}, ${memory || '?'} GiB each`;
  if (memory > 0 && memory < VRAM_GB_MIN)
    return {
      check,
      result: 'warning',
      said: `${name}: markets ask for 8 GB.`,
      next: 'Ask the operator whether a card this small may serve.',
    };
  return { check, result: 'good', said: `${name}.` };
}

function folder({ folder: { path, problem, hubUrl, marketUrl, hasKey } }: Facts): Verdict {
  const check = 'folder';
  if (problem !== undefined)
    return { check, result: 'bad', said: problem, next: 'Correct the file, or run `cygnet agent setup`.' };
  const missing = [
    ...(marketUrl === undefined ? ['the market (ServiceURL)'] : []),
    ...(hubUrl === undefined ? ['the hub (WebSocketURL)'] : []),
    ...(hasKey ? [] : ['the provider key (ApiKey)']),
  ];
  if (missing.length === 0) return { check, result: 'good', said: `${path} names market, hub and key.` };
  return {
    check,
    result: hubUrl === undefined || !hasKey ? 'bad' : 'warning',
    said: `${path} does not name ${missing.join(', ')}.`,
    next: 'Run `cygnet agent setup`.',
  };
}

function secrets({ folder: { exposed } }: Facts): Verdict | undefined {
  if (exposed.length === 0) return undefined;
  return {
    check: 'secrets',
    result: 'warning',
    said: `Others on this machine can read ${exposed.join(', ')}.`,
    next: `chmod 600 ${exposed.join(' ')}`,
  };
}

function noModel({ folder: { passedOver } }: Facts): Verdict {
  const why = passedOver.map(({ id, because }) => `${id}: ${because}`).join(' ');
  return {
    check: 'models',
    result: 'bad',
    said: `No model is set up.${why === '' ? '' : ` ${why}`}`,
    next: 'Run `cygnet agent setup`.',
  };
}

function backendAnswers({ id, source, problem, tried, operationsTried }: BackendFact): Verdict {
  const check = `backend ${id}`;
  if (problem !== undefined)
    return {
      check,
      result: 'bad',
      said: `${source}: ${problem}`,
      next: 'Start the model server, or correct `endpoint` and `local_model` in models.json.',
    };
  if (!tried)
    return {
      check,
      result: 'good',
      said: `${source} answers.${operationsTried ? '' : ' No answer of the model was asked for.'}`,
    };
  const rate = tried.ms > 0 ? (tried.tokens * 1_000) / tried.ms : 0;
  const said = `${source} made ${tried.tokens} tokens in ${(tried.ms / 1_000).toFixed(1)} s (${rate.toFixed(1)} a second).`;
  if (tried.ms > SLOW_MS)
    return {
      check,
      result: 'warning',
      said: `${said} Benchmarks allow 5 s.`,
      next: 'Try again with the model loaded; if it stays slow, serve a smaller one or use a GPU.',
    };
  return { check, result: 'good', said };
}

function marketAnswers({ market }: Facts): Verdict | undefined {
  if (!market) return undefined;
  if (market.problem === undefined)
    return { check: 'market', result: 'good', said: `${market.url} answers.` };
  return {
    check: 'market',
    result: 'bad',
    said: market.problem,
    next: 'Check ServiceURL in config.toml, the network, and whether the market is up.',
  };
}

function keyHolds({ standing: says, market }: Facts): Verdict | undefined {
  if (!market || market.problem !== undefined) return undefined;
  if (!says)
    return { check: 'key', result: 'unknown', said: 'The market does not say whether the key holds.' };
  if (says.api_key_valid === false || says.can_connect === false)
    return {
      check: 'key',
      result: 'bad',
      said: says.message ?? 'The market does not know this key.',
      next: 'Make a new one: `cygnet agent setup --email <address>`.',
    };
  return { check: 'key', result: 'good', said: `The key is ${says.name ? `${says.name}'s` : 'known'}.` };
}

function sold({ catalogue, backends, hardware }: Facts): Verdict[] {
  if (!catalogue) return [];
  return backends.map(({ id }) => {
    const check = `catalogue ${id}`;
    const known = catalogue.find((model) => model.id === id || model.slug === id);
    if (!known)
      return {
        check,
        result: 'bad',
        said: 'This market does not sell it.',
        next: 'Name it as the market does: `cygnet agent models --all` lists the ids.',
      };
    const needs = known.min_vram_gb ?? 0;
    const has = (hardware?.vram_gb ?? 0) * (hardware?.gpu_count ?? 1);
    if (has > 0 && needs > has + 1 && needs * 0.95 > has)
      return {
        check,
        result: 'warning',
        said: `The market reckons with ${needs} GB of GPU memory, and there are ${has} GB.`,
        next: 'If the server keeps layers on the CPU it will be slow: serve a smaller model.',
      };
    return { check, result: 'good', said: `Sold for $${known.output_price ?? '?'} a million tokens out.` };
  });
}

function hubAnswers({ hub }: Facts): Verdict | undefined {
  if (!hub) return undefined;
  if (hub.problem === undefined) return { check: 'hub', result: 'good', said: `${hub.url} answers.` };
  return {
    check: 'hub',
    result: 'bad',
    said: `${hub.url} grants no connection: ${hub.problem}.`,
    next: 'Check WebSocketURL in config.toml (without /ws), the network, and the certificate (--tls-ca).',
  };
}

function agentRuns({ agent, folder: { path } }: Facts): Verdict {
  if (agent)
    return {
      check: 'agent',
      result: agent.draining ? 'warning' : 'good',
      said: agent.draining ? 'The agent is leaving.' : `The agent runs as process ${agent.pid}.`,
    };
  return {
    check: 'agent',
    result: 'bad',
    said: `No agent runs from ${path}.`,
    next: 'Start it: `cygnet agent run`.',
  };
}

function registered({ agent }: Facts): Verdict[] {
  if (!agent) return [];
  return agent.hubs.map(({ url, registered: is, refusal, accepted }) => {
    const check = `registration ${url}`;
    if (!is)
      return {
        check,
        result: 'bad',
        said: refusal === null ? 'Not registered; the agent goes on trying.' : `Refused: ${refusal}`,
        next: refusal === null ? "Look at the agent's log." : 'Correct the key, or ask the operator.',
      };
    const offered = agent.models.filter(({ state }) => state === 'ready' || state === 'degraded');
    const missing = offered.filter(({ id }) => !accepted.includes(id)).map(({ id }) => id);
    const down = agent.models.filter((model) => !offered.includes(model));
    if (accepted.length === 0 || missing.length > 0)
      return {
        check,
        result: accepted.length === 0 ? 'bad' : 'warning',
        said: `The hub took ${accepted.length} of ${agent.models.length} models${missing.length > 0 ? `, and not ${missing.join(', ')}` : ''}.`,
        next:
          down.length > 0 && missing.length === 0
            ? 'See the models above that do not answer.'
            : 'Name the models as the market does, then send SIGHUP or run `cygnet agent reload`.',
      };
    if (down.length > 0)
      return {
        check,
        result: 'warning',
        said: `Registered, without ${down.map(({ id, state, reasons }) => `${id} (${[state, ...reasons].join('; ')})`).join(', ')}.`,
        next: 'Start what is down, or correct what is pinned.',
      };
    return { check, result: 'good', said: `Registered with ${accepted.join(', ')}.` };
  });
}

function standing({ standing: says }: Facts): Verdict | undefined {
  if (!says || says.api_key_valid === false) return undefined;
  const said = says.message ?? says.status ?? 'The market says nothing of it.';
  if (says.earnings_enabled === true && (says.step === undefined || says.step === says.total_steps))
    return { check: 'standing', result: 'good', said };
  const step =
    says.step === undefined ? '' : ` (step ${says.step} of ${says.total_steps}: ${says.step_label})`;
  const next = says.next_steps?.join(' ');
  return {
    check: 'standing',
    result: says.status === 'suspended' || says.status === 'removed' ? 'bad' : 'warning',
    said: `${said}${step}`,
    ...(next ? { next: `${next} For collateral: \`cygnet agent deposit\`.` } : {}),
  };
}

function traffic({ details, agent, standing: says }: Facts): Verdict | undefined {
  if (!details || says?.earnings_enabled !== true) return undefined;
  const well = details.reduce((sum, each) => sum + (each.recent_success_count ?? 0), 0);
  const badly = details.reduce((sum, each) => sum + (each.recent_failure_count ?? 0), 0);
  if (well + badly === 0)
    return {
      check: 'traffic',
      result: agent ? 'warning' : 'unknown',
      said: 'No request came in the last day.',
      next: '`cygnet agent models --all` shows what is asked for. A new node is tried carefully at first.',
    };
  const share = well / (well + badly);
  if (well + badly >= REQUESTS_TO_JUDGE && share < SUCCESS_MIN)
    return {
      check: 'traffic',
      result: 'bad',
      said: `Only ${Math.round(share * 100)} % of ${well + badly} requests of the last day ended well.`,
      next: 'Below 80 % the market sends you less. Lower `concurrency`, and look at the log for what failed.',
    };
  return {
    check: 'traffic',
    result: 'good',
    said: `${well} of ${well + badly} requests of the last day ended well.`,
  };
}

function wallet({ me }: Facts): Verdict | undefined {
  if (!me) return undefined;
  const address = me.beneficiary_address || me.owner_address;
  if (address) return { check: 'wallet', result: 'good', said: `Earnings are paid to ${address}.` };
  return {
    check: 'wallet',
    result: 'warning',
    said: 'No wallet is set: earnings add up, and are not paid out.',
    next: '`cygnet agent claim --set-wallet 0x…`',
  };
}

function payout({ payout: pays, stats }: Facts): Verdict | undefined {
  if (!pays) return undefined;
  const earned = stats?.total_earnings_usdc;
  const sum = earned === undefined ? '' : ` Earned since ever: $${earned.toFixed(4)}.`;
  if (!pays.onChain)
    return {
      check: 'payout',
      result: 'warning',
      said: `This market settles on no chain.${sum}`,
      next: 'Ask the operator how earnings are paid.',
    };
  if (pays.promised === undefined || pays.promised === 0)
    return {
      check: 'payout',
      result: 'good',
      said: `No batch pays this wallet yet.${sum} Days are settled after midnight UTC, above the market's minimum.`,
    };
  return {
    check: 'payout',
    result: 'good',
    said: `The newest batch promises ${pays.promised} tokens since ever.${sum}`,
    next: 'Collect: `cygnet agent claim --rpc <url>`.',
  };
}
