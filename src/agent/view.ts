import { duration, plainLine, table, usd } from './commands/print.ts';
import type { AgentState } from './run.ts';

/**
 * What a person sees while the agent runs: who it is and where it stands, its models with what they do now, and the latest
 * that the hub or a backend had to say. Pure: a state in, lines out, none wider or more than the terminal is.
 */
export interface View {
  readonly state: AgentState;
  /** Of the last seconds, by model. */
  readonly tokensPerSecond: ReadonlyMap<string, number>;
  readonly market: { readonly url: string; readonly standing: string } | undefined;
  /** Dollars since midnight UTC and in 30 days; undefined while not known. */
  readonly earned: { readonly today: number; readonly month: number } | undefined;
  /** The latest last. */
  readonly news: readonly string[];
  readonly wallMs: number;
}

export function viewLines(view: View, size: { columns: number; rows: number }): string[] {
  const { state, market, earned } = view;
  const up = duration(Math.max(0, (view.wallMs - state.startedAt) / 1_000));
  const lines = [
    `Cygnet agent ${state.version} · ${state.name ?? state.nodeId.slice(0, 12)} · up ${up}${state.draining ? ' · leaving' : ''}`,
    ...state.hubs.map(
      ({ url, registered, refusal }) =>
        `Hub     ${url}  ${registered ? 'registered' : refusal === undefined ? 'connecting' : `refused: ${refusal}`}`,
    ),
    ...(market ? [`Market  ${market.url}  ${market.standing}`] : []),
    ...(earned ? [`Earned  ${usd(earned.today)} today, ${usd(earned.month)} in 30 days`] : []),
    ...gpuLine(state),
    '',
    ...table(
      ['MODEL', 'STATE', '>RUNNING', '>WAITING', '>TOKENS/S', '>REQUESTS', '>FAILED'],
      [
        ...state.models.map((model) => [
          model.id,
          model.state,
          `${model.active}/${model.concurrency}`,
          String(model.waiting),
          rate(view.tokensPerSecond.get(model.id) ?? 0),
          String(model.total),
          String(model.failed),
        ]),
        [
          'all',
          '',
          `${state.active}/${state.limits.concurrency}`,
          String(state.waiting),
          rate([...view.tokensPerSecond.values()].reduce((sum, each) => sum + each, 0)),
          String(state.total),
          String(state.failed),
        ],
      ],
    ),
    ...state.models.flatMap(({ id, reasons }) => reasons.map((reason) => `${id}: ${reason}`)),
  ];
  const end = ['', 'Ctrl-C finishes what runs and leaves.'];
  const room = Math.max(0, size.rows - lines.length - end.length - 1);
  const news = room > 0 ? view.news.slice(-room) : [];
  return [...lines, ...(news.length > 0 ? ['', ...news] : []), ...end]
    .slice(0, Math.max(1, size.rows))
    .map((line) => cut(plainKeepingSpaces(line), size.columns));
}

function gpuLine({ hardware, gpu, processor }: AgentState): string[] {
  if (!hardware)
    return [`CPU     ${processor.model}, ${processor.cores} cores, ${processor.memoryGb} GiB; no GPU found`];
  const count = hardware.gpu_count ?? 1;
  const name = `${count > 1 ? `${count} × ` : ''}${hardware.gpu_model ?? hardware.gpu_type ?? 'GPU'}`;
  const busy = gpu['gpu_utilization'];
  const memory = gpu['memory_utilization'];
  const hot = gpu['gpu_0_temperature_c'];
  const figures = [
    ...(busy === undefined ? [] : [`${Math.round(busy)} % busy`]),
    ...(memory === undefined ? [] : [`${Math.round(memory)} % of memory`]),
    ...(hot === undefined ? [] : [`${Math.round(hot)} °C`]),
  ];
  return [
    `GPU     ${name}, ${hardware.vram_gb || '?'} GiB${figures.length > 0 ? `  ${figures.join(', ')}` : ''}`,
  ];
}

function rate(perSecond: number): string {
  return perSecond >= 100 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}

/** What comes from a hub must not move the cursor; the spaces of a table stay. */
function plainKeepingSpaces(line: string): string {
  return /[\p{Cc}\p{Cf}]/u.test(line) ? plainLine(line) : line;
}

function cut(line: string, columns: number): string {
  const characters = Array.from(line);
  return characters.length <= columns ? line : `${characters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}

/** Tokens per second of each model over the last looks, from counters that only grow. */
export class TokenRates {
  readonly #looks: { atMs: number; tokens: ReadonlyMap<string, number> }[] = [];

  look(state: Pick<AgentState, 'models'>, nowMs: number): ReadonlyMap<string, number> {
    const tokens = new Map(state.models.map(({ id, tokensOut }) => [id, tokensOut]));
    this.#looks.push({ atMs: nowMs, tokens });
    if (this.#looks.length > LOOKS) this.#looks.shift();
    const first = this.#looks[0] as { atMs: number; tokens: ReadonlyMap<string, number> };
    const seconds = (nowMs - first.atMs) / 1_000;
    return new Map(
      [...tokens].map(([id, now]) => [
        id,
        seconds > 0 ? Math.max(0, now - (first.tokens.get(id) ?? 0)) / seconds : 0,
      ]),
    );
  }
}

const LOOKS = 6;
