import { uncovered } from '#domain/cover.ts';
import { type Price, priceOf } from '#domain/price.ts';
import type { Usage } from '#domain/usage.ts';
import type { CorrectionRecord, UsageRecord } from '#domain/usage-record.ts';

/** What a recount found. */
export interface ExactCount {
  /** Undefined when the prompt's template is not known. */
  readonly inputTokens: number | undefined;
  /** The tokens of the delivered text; undefined when there was more to the answer than text. */
  readonly outputTokens: number | undefined;
  /** Ends of answers that the provider may count as a token each. */
  readonly stopTokens: number;
  /** The answer came to its end. Of a cut one, a provider honestly made more than was delivered. */
  readonly complete: boolean;
}

export interface Verdict {
  /** What is to be paid for: never more than was claimed, and never more than was counted. */
  readonly bill: Usage;
  /** The claim was too high beyond what two honest counts can differ: it lowers the provider's record. */
  readonly overclaimed: boolean;
  /** Tokens claimed beyond the count, input and output together. */
  readonly excess: number;
}

/** Two honest counts differ by this much: a model may write a word in other pieces than a tokenizer would. */
const TOLERANCE_SHARE = 0.02;
const TOLERANCE_TOKENS = 2;

/** Judges what a provider claimed by what was counted. What could not be counted stands as claimed. */
export function verdict(claimed: Usage, exact: ExactCount): Verdict {
  const mostOutput = exact.outputTokens === undefined ? undefined : exact.outputTokens + exact.stopTokens;
  const inputExcess = excess(claimed.inputTokens, exact.inputTokens);
  const outputExcess = excess(claimed.outputTokens, mostOutput);
  return {
    bill: {
      inputTokens: claimed.inputTokens - inputExcess,
      outputTokens: claimed.outputTokens - outputExcess,
    },
    overclaimed:
      beyondTolerance(inputExcess, exact.inputTokens) ||
      (exact.complete && beyondTolerance(outputExcess, mostOutput)),
    excess: inputExcess + outputExcess,
  };
}

/** What the provider of `record` claimed; what it did not state is what was billed. */
export function claimOf(record: UsageRecord): Usage {
  return {
    inputTokens: record.claimedInputTokens ?? record.inputTokens,
    outputTokens: record.claimedOutputTokens ?? record.outputTokens,
  };
}

/**
 * The correction that `exact` calls for; undefined when the charge was not too high. `atMs` is wall time, a label.
 * The counts in it are what should have been billed.
 */
export function correctionOf(
  record: UsageRecord,
  price: Price,
  exact: ExactCount,
  atMs: number,
): CorrectionRecord | undefined {
  if (record.providerId === null) return undefined;
  const { bill } = verdict(record, exact);
  const { covered, coveredTokens: tokens = 0, coveredUnits: units = 0 } = record;
  const cost = priceOf(bill, price);
  const due = covered === undefined ? cost : priceOf(uncovered(bill, { tokens, units }), price);
  const refund = due < record.charge ? record.charge - due : 0n;
  const coveredRefund = (covered ?? 0n) - (cost - due);
  if (refund + coveredRefund <= 0n) return undefined;
  return {
    id: `fix_${record.id}`,
    at: atMs,
    requestId: record.id,
    consumerId: record.consumerId,
    providerId: record.providerId,
    policy: record.policy,
    ...bill,
    refund,
    originalCharge: record.charge,
    ...(covered !== undefined && { coveredRefund, originalCovered: covered }),
  };
}

function excess(claimed: number, most: number | undefined): number {
  return most === undefined ? 0 : Math.max(0, claimed - most);
}

function beyondTolerance(tokens: number, counted: number | undefined): boolean {
  return counted !== undefined && tokens > counted * TOLERANCE_SHARE + TOLERANCE_TOKENS;
}
