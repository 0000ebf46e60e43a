import type { Pico } from './money.ts';
import type { Operation } from './operation.ts';
import type { Serving } from './serving.ts';

/**
 * What serving one request leaves behind: the document from which the charge follows. It is durable before the consumer
 * sees the last byte, it is never changed, and everything after it (the ledger's entry, a day's settlement, a service
 * level) can be recomputed from it. It holds no word of the prompt or the answer.
 */
export interface UsageRecord {
  /** The request's id; also the idempotency key of its charge. */
  readonly id: string;
  /** When it was recorded, wall milliseconds. A label: nothing is decided by it. */
  readonly at: number;
  readonly consumerId: string;
  readonly keyId: string;
  readonly modelId: string;
  readonly operation: Operation;
  /** Who is paid; null when nobody served. */
  readonly providerId: string | null;
  readonly nodeId: string | null;
  /** The attempt that answered (or the last that failed). */
  readonly attemptId: string | null;
  readonly mode: 'websocket' | 'external' | null;
  readonly streamed: boolean;
  /** How it ended: the whole answer; the client left and paid for what it got; the answer broke (free); never began (free). */
  readonly outcome: 'completed' | 'cancelled' | 'broken' | 'failed';
  /** A code of the error table when the outcome is not `completed`. */
  readonly errorCode: string | null;
  /** What is billed. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Images made or recordings transcribed, and seconds of sound. */
  readonly units: number;
  readonly seconds: number;
  /** What the provider stated, when it stated something usable. */
  readonly claimedInputTokens: number | null;
  readonly claimedOutputTokens: number | null;
  /** What was passed on. */
  readonly events: number;
  readonly bytes: number;
  readonly attempts: number;
  /** Milliseconds from acceptance to the first content, and to the end. */
  readonly ttftMs: number | null;
  readonly totalMs: number;
  /** The price version it was charged at (the listed one, or the ask of who served), and the split policy. */
  readonly priceId: string;
  readonly policy: string;
  /** The gross charge; zero when the outcome is `broken` or `failed`. What a plan covers is not in it. */
  readonly charge: Pico;
  /** What the consumer's plan pays of it, at the same price; absent: nothing. */
  readonly covered?: Pico;
  /** What of the plan's quotas that took. */
  readonly coveredTokens?: number;
  readonly coveredUnits?: number;
  /** What the tier made of the price, in basis points; absent: 10,000. `charge` and `covered` are at the price made so. */
  readonly priceFactor?: number;
  /** How it was served. Absent in journals of before there was such a thing. */
  readonly serving?: Serving;
}

/**
 * A later finding that a charge was too high (the exact token count was lower than what was billed). It never raises a
 * charge. `id` is derived from the request, so finding it twice changes nothing.
 */
export interface CorrectionRecord {
  /** `fix_` and the request's id. */
  readonly id: string;
  readonly at: number;
  readonly requestId: string;
  readonly consumerId: string;
  readonly providerId: string;
  readonly policy: string;
  /** Exact counts. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What the consumer gets back. With what the plan gets back, more than zero. */
  readonly refund: Pico;
  /** The gross charge that is corrected: legs are the difference of two splits, so rounding cannot drift. */
  readonly originalCharge: Pico;
  /**
   * What the plan gets back of what it paid, and what that was; absent: it paid nothing. Below zero where fewer tokens were
   * read, so that more of those that were made are within the quota.
   */
  readonly coveredRefund?: Pico;
  readonly originalCovered?: Pico;
}

/** A line of the usage journal. */
export type JournalRecord =
  | { readonly kind: 'usage'; readonly record: UsageRecord }
  | { readonly kind: 'correction'; readonly record: CorrectionRecord };
