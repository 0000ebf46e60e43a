import type { TierName } from '#domain/tier.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { assert } from '#kit/assert.ts';
import { outputBudgetOf } from './objectives.ts';

/**
 * What happened in each minute, by whom and for whom: every request that was admitted leaves its mark in one cell. Kept in
 * memory while the minute runs, handed over whole when it is over (`minute-table.ts`), so that serving never waits for it.
 * A cell holds counts and durations, and no word of a prompt.
 *
 * Which consumer a request was for is not among the groups: a consumer's own figures are read from its usage, row by row,
 * and there they are exact.
 */
export interface Group {
  readonly modelId: string;
  readonly tier: TierName;
  /** Of the provider, as the operator notes it; `''` when unknown, or when nobody was reached. */
  readonly region: string;
  /** `''` when nobody was reached. */
  readonly providerId: string;
  readonly mode: 'websocket' | 'external' | '';
}

/** Durations of one minute, in whole milliseconds, unsorted. */
export interface Durations {
  readonly ttft: number[];
  /** To the last token, of answers up to so many tokens. */
  readonly ttlt256: number[];
  readonly ttlt512: number[];
  /** From acceptance until somebody was found to ask. */
  readonly queue: number[];
}

export interface Cell extends Group, Durations {
  /** All that count for an objective; a caller's own mistakes do not. */
  requests: number;
  /** Those that spend the error budget. */
  failures: number;
  /** 429, which is counted apart, and not among `requests`. */
  tooMany: number;
  /** Streams that broke after they had begun. */
  disconnects: number;
  /** The client left. */
  cancelled: number;
  /** Attempts beyond the first. */
  retries: number;
  /** Served by an external endpoint. */
  fallbacks: number;
  inputTokens: number;
  outputTokens: number;
  /** From first to last token, of the answers that have one: what tokens per second are measured over. */
  generationMs: number;
}

export interface ClosedMinute {
  /** Minutes since 1970. */
  readonly minute: number;
  readonly cells: readonly Cell[];
}

/** What the error table says of a code (`wire/errors.ts`), as far as it is counted here. */
export interface Blame {
  readonly status: number;
  readonly spendsBudget: boolean;
}

const COUNTS = [
  'requests',
  'failures',
  'tooMany',
  'disconnects',
  'cancelled',
  'retries',
  'fallbacks',
  'inputTokens',
  'outputTokens',
  'generationMs',
] as const satisfies readonly (keyof Cell)[];
const DURATIONS = ['ttft', 'ttlt256', 'ttlt512', 'queue'] as const satisfies readonly (keyof Durations)[];

/** More groups than this in one minute share a last one, whatever was made up to fill memory. */
const CELLS_MAX = 5_000;

/** The names of what a cell counts and of what it keeps durations of. */
export const CELL_COUNTS = COUNTS;
export const CELL_DURATIONS = DURATIONS;

export class MinuteBook {
  readonly #blameOf: (code: string) => Blame;
  #minute: number | undefined;
  #cells = new Map<string, Cell>();
  #closed: ClosedMinute[] = [];

  constructor(blameOf: (code: string) => Blame) {
    this.#blameOf = blameOf;
  }

  /** A request that reached a provider, or was dispatched in vain. `queueMs`: from acceptance to the first attempt. */
  served(
    record: UsageRecord,
    about: { tier: TierName; region: string | null; queueMs?: number | undefined },
  ): void {
    const cell = this.#cellOf(record.at, {
      modelId: record.modelId,
      tier: about.tier,
      region: about.region ?? '',
      providerId: record.providerId ?? '',
      mode: record.mode ?? '',
    });
    const blame = record.errorCode === null ? undefined : this.#blameOf(record.errorCode);
    this.#count(cell, blame);
    if (record.outcome === 'broken') cell.disconnects += 1;
    if (record.outcome === 'cancelled') cell.cancelled += 1;
    if (record.mode === 'external') cell.fallbacks += 1;
    cell.retries += Math.max(0, record.attempts - 1);
    cell.inputTokens += record.inputTokens;
    cell.outputTokens += record.outputTokens;
    if (about.queueMs !== undefined) cell.queue.push(whole(about.queueMs));
    if (record.ttftMs === null) return;
    cell.ttft.push(whole(record.ttftMs));
    cell.generationMs += Math.max(0, record.totalMs - record.ttftMs);
    if (record.outcome !== 'completed') return;
    const budget = outputBudgetOf(record.outputTokens);
    if (budget === 256) cell.ttlt256.push(whole(record.totalMs));
    else if (budget === 512) cell.ttlt512.push(whole(record.totalMs));
  }

  /** A request for a model that was refused before anybody was asked. */
  refused(atMs: number, about: { modelId: string; tier: TierName; code: string }): void {
    const { modelId, tier, code } = about;
    this.#count(
      this.#cellOf(atMs, { modelId, tier, region: '', providerId: '', mode: '' }),
      this.#blameOf(code),
    );
  }

  /** The minutes that were over at `nowMs` (wall), oldest first; each is handed out once. */
  takeClosed(nowMs: number): ClosedMinute[] {
    this.#turnTo(Math.floor(nowMs / 60_000));
    const closed = this.#closed;
    this.#closed = [];
    return closed;
  }

  /** Everything, the running minute included: for the end of the process. */
  takeAll(): ClosedMinute[] {
    if (this.#minute !== undefined) this.#turnTo(this.#minute + 1);
    return this.takeClosed(0);
  }

  /** Puts back what could not be kept, to be taken again. */
  putBack(minutes: readonly ClosedMinute[]): void {
    this.#closed = [...minutes, ...this.#closed];
  }

  #count(cell: Cell, blame: Blame | undefined): void {
    if (blame?.status === 429) {
      cell.tooMany += 1;
      return;
    }
    // What a caller did wrong says nothing of the service.
    if (blame && blame.status < 500 && !blame.spendsBudget && cell.providerId === '') return;
    cell.requests += 1;
    if (blame?.spendsBudget) cell.failures += 1;
  }

  #cellOf(atMs: number, group: Group): Cell {
    assert(Number.isFinite(atMs), 'a request happened at some time');
    this.#turnTo(Math.floor(atMs / 60_000));
    const full = this.#cells.size >= CELLS_MAX;
    let key = keyOf(group);
    let cell = this.#cells.get(key);
    if (!cell && full) {
      key = '';
      cell = this.#cells.get(key);
    }
    if (!cell) {
      cell = emptyCell(full ? { ...group, modelId: 'other', region: '', providerId: '', mode: '' } : group);
      this.#cells.set(key, cell);
    }
    return cell;
  }

  /** Closes the minute when a later one begins. What comes late, or from a clock that went back, counts as of now. */
  #turnTo(minute: number): void {
    if (this.#minute === undefined) this.#minute = minute;
    if (minute <= this.#minute) return;
    if (this.#cells.size > 0) this.#closed.push({ minute: this.#minute, cells: [...this.#cells.values()] });
    this.#cells = new Map();
    this.#minute = minute;
  }
}

function keyOf({ modelId, tier, region, providerId, mode }: Group): string {
  return `${modelId}\n${tier}\n${region}\n${providerId}\n${mode}`;
}

function emptyCell(group: Group): Cell {
  return {
    ...group,
    requests: 0,
    failures: 0,
    tooMany: 0,
    disconnects: 0,
    cancelled: 0,
    retries: 0,
    fallbacks: 0,
    inputTokens: 0,
    outputTokens: 0,
    generationMs: 0,
    ttft: [],
    ttlt256: [],
    ttlt512: [],
    queue: [],
  };
}

function whole(ms: number): number {
  return Math.max(1, Math.round(ms));
}
