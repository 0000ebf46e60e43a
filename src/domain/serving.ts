import type { TierName } from './tier.ts';

/**
 * How one request was served, beside what was served: the way it took and who is to blame. It travels with the usage record
 * and ends in a row of its own, which is dropped when it is old. No word of a prompt or an answer is in it.
 */
export interface Serving {
  readonly tier: TierName;
  /** From acceptance until somebody was found to ask, in milliseconds; null when nobody was. */
  readonly queueMs: number | null;
  /** Of the provider that answered, or failed last, as the operator notes it. */
  readonly region: string | null;
  /** Every attempt, in the order of time; those at other models of the request first. */
  readonly tries: readonly Try[];
  /** Whose fault it was that it did not end well (`wire/errors.ts`); null when it did. */
  readonly whose: 'caller' | 'provider' | 'platform' | null;
  /** What stood in for the first choice; null: nothing. */
  readonly fallback: Fallback | null;
}

/** One attempt. */
export interface Try {
  readonly attemptId: string;
  readonly modelId: string;
  readonly providerId: string;
  readonly nodeId: string;
  readonly mode: 'websocket' | 'external';
  readonly region: string | null;
  readonly result: TryResult;
  /** Milliseconds from acceptance until it began, and how long it took. */
  readonly startedMs: number;
  readonly tookMs: number;
}

/**
 * `served`: the whole answer came. `empty`: an answer without content. `busy`: no room after all. `refused`: the model cannot
 * serve this request. `failed`: the provider said so. `lost`: its connection went. `between`: the
 * line to the gateway that it is connected to went. `slow`: it met a deadline. `endless`: more
 * came than was asked for. `left`: the consumer left. `stopped`: this process ended it.
 */
export type TryResult =
  | 'served'
  | 'empty'
  | 'busy'
  | 'refused'
  | 'failed'
  | 'lost'
  | 'between'
  | 'slow'
  | 'endless'
  | 'left'
  | 'stopped';

/** `smaller-model` stood in by the market's posture, `other-model` as the request named it, `endpoint` is an external one. */
export type Fallback = 'smaller-model' | 'other-model' | 'endpoint';
