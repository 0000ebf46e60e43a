import type { Operation } from './operation.ts';
import type { Try } from './serving.ts';
import type { TierName } from './tier.ts';

/**
 * A request of a known key that ended without a usage record: refused before anybody was asked, or left by its client until
 * then. What is known of it, and no word of it: names come from our own tables, never from outside. It is no money: nothing was
 * charged, and nothing follows from it but what is shown of it.
 */
export interface Refusal {
  /** The request's id; the row of a request that is noted twice is one. */
  readonly id: string;
  /** When it ended, wall milliseconds. */
  readonly at: number;
  readonly consumerId: string;
  readonly keyId: string;
  readonly tier: TierName;
  /** Of the catalogue; null when none of it was named, or when it ended before anybody had read which. */
  readonly modelId: string | null;
  readonly operation: Operation;
  /** Whether a stream was asked for, as far as that was read. */
  readonly streamed: boolean;
  /** Of the gateway that refused it, as its settings name it; null when they do not. */
  readonly region: string | null;
  readonly status: number;
  /** Of the error table (`wire/errors.ts`). */
  readonly code: string;
  readonly whose: 'caller' | 'provider' | 'platform';
  /** How long it stood in the line for a busy model, in milliseconds; null when it never did. */
  readonly queueMs: number | null;
  /** From acceptance to its end, in milliseconds. */
  readonly totalMs: number;
  /** Nearly always none. Attempts at a first model, where the request was refused at the next. */
  readonly tries: readonly Try[];
}
