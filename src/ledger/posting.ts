import type { Pico } from '#domain/money.ts';
import { OPERATIONS } from '#domain/operation.ts';
import { SPLIT_POLICIES } from '#domain/policy.ts';
import type { CorrectionRecord, JournalRecord, UsageRecord } from '#domain/usage-record.ts';
import { BURN, consumerAccount, FEE, PLANS, providerAccount, TREASURY } from './chart.ts';
import { chargeEntry, correctionEntry, type Entry } from './entries.ts';

/**
 * What posting a batch of journal records means, decided from values alone; the book carries it out. A record that was
 * posted or rejected before means nothing. A record that breaks a promise is rejected with its reason: it moves no money
 * and never holds up the others.
 *
 * The promise that matters most: a request is charged at most what was reserved for it, and what is reserved is part of
 * this process's lease. So a charge always finds its money in the lease, and one that does not is a fault of ours. It is
 * not taken from the free balance instead: that would let a fault spend money which nobody set aside.
 */
export interface PostingPlan {
  usage: UsageRecord[];
  /** The place of each of `usage` in the batch. */
  usageAt: number[];
  corrections: CorrectionRecord[];
  entries: Entry[];
  rejected: Rejection[];
  /** By consumer id: what leaves the lease, the held amount and the balance. */
  charged: Map<string, Pico>;
}

export interface Rejection {
  readonly id: string;
  readonly reason: string;
  readonly record: JournalRecord;
}

/** What the book knows when it decides, with the accounts and leases locked. */
export interface PostingView {
  /** Ids of usage, corrections and rejections that are in the book. */
  known: ReadonlySet<string>;
  /** What this process still leases, by consumer id. Absent: nothing. */
  leased: ReadonlyMap<string, Pico>;
  /** Posted usage that the batch's corrections refer to, by request id. */
  originals: ReadonlyMap<string, CorrectedUsage>;
}

export type CorrectedUsage = Pick<UsageRecord, 'consumerId' | 'providerId' | 'policy' | 'charge' | 'covered'>;

export function planPosting(records: readonly JournalRecord[], view: PostingView): PostingPlan {
  const plan: PostingPlan = {
    usage: [],
    usageAt: [],
    corrections: [],
    entries: [],
    rejected: [],
    charged: new Map(),
  };
  const seen = new Set<string>();
  const fresh = new Map<string, UsageRecord>();
  for (let at = 0; at < records.length; at++) {
    const line = records[at] as JournalRecord;
    const { id } = line.record;
    if (view.known.has(id) || seen.has(id)) continue;
    seen.add(id);
    const flaw = flawOf(line);
    if (flaw !== undefined) {
      plan.rejected.push({ id, reason: flaw, record: line });
    } else if (line.kind === 'usage') {
      const { record } = line;
      const { covered = 0n } = record;
      if (record.charge > 0n) {
        const charged = (plan.charged.get(record.consumerId) ?? 0n) + record.charge;
        if (charged > (view.leased.get(record.consumerId) ?? 0n)) {
          plan.rejected.push({ id, reason: 'the charge is more than what is leased for it', record: line });
          continue;
        }
        plan.charged.set(record.consumerId, charged);
      }
      if (record.charge > 0n || covered > 0n) plan.entries.push(chargeEntry(record));
      fresh.set(id, record);
      plan.usage.push(record);
      plan.usageAt.push(at);
    } else {
      const { record } = line;
      const original = fresh.get(record.requestId) ?? view.originals.get(record.requestId);
      const mismatch = mismatchOf(record, original);
      if (mismatch !== undefined) {
        plan.rejected.push({ id, reason: mismatch, record: line });
        continue;
      }
      plan.corrections.push(record);
      plan.entries.push(correctionEntry(record));
    }
  }
  return plan;
}

/**
 * Whom a batch can touch, before anything is known: the accounts of all its parties and our own, and the consumers whose
 * leases may be charged. What is not flawed is planned again when these are locked.
 */
export function partiesOf(records: readonly JournalRecord[]): {
  accounts: string[];
  providers: string[];
  consumers: string[];
} {
  const consumers = new Set<string>();
  const providers = new Set<string>();
  let last: UsageRecord | CorrectionRecord | undefined;
  let planPays = false;
  for (const { record } of records) {
    planPays ||= 'covered' in record || 'coveredRefund' in record;
    // In a batch most neighbours have the same parties: two comparisons instead of two look-ups.
    if (last?.consumerId === record.consumerId && last.providerId === record.providerId) continue;
    if (!storable(record.consumerId) || record.providerId === null || !storable(record.providerId)) continue;
    last = record;
    providers.add(record.providerId);
    consumers.add(record.consumerId);
  }
  const providerAccounts = [...providers].map(providerAccount).toSorted();
  const accounts = [
    ...[...consumers].map(consumerAccount),
    ...providerAccounts,
    FEE,
    TREASURY,
    BURN,
    ...(planPays ? [PLANS] : []),
  ].toSorted();
  return { accounts, providers: providerAccounts, consumers: [...consumers].toSorted() };
}

/** The grouped sums of the entries' legs, by account. */
export function sumsOf(entries: readonly Pick<Entry, 'legs'>[]): Map<string, Pico> {
  const sums = new Map<string, Pico>();
  for (const { legs } of entries) {
    for (const { account, amount } of legs) sums.set(account, (sums.get(account) ?? 0n) + amount);
  }
  return sums;
}

function mismatchOf(record: CorrectionRecord, original: CorrectedUsage | undefined): string | undefined {
  if (!original) return 'the corrected request is not in the book';
  if (record.originalCharge !== original.charge) return 'the corrected charge is another';
  if ((record.originalCovered ?? 0n) !== (original.covered ?? 0n)) return 'the corrected charge is another';
  if (record.consumerId !== original.consumerId) return 'the corrected request is of another consumer';
  if (record.providerId !== original.providerId) return 'the corrected request is of another provider';
  if (record.policy !== original.policy) return 'the corrected request has another policy';
  return undefined;
}

const OPERATION_WORDS: ReadonlySet<string> = new Set(OPERATIONS);
const OUTCOMES = new Set(['completed', 'cancelled', 'broken', 'failed']);
const PRICE_FACTOR_MAX = 1_000_000;
/** Larger amounts are a fault, and would not fit the column. */
const AMOUNT_MAX = 10n ** 30n;

/**
 * What is wrong with a record by itself. The journal's checksum says that it is what was written; this says that what was
 * written can be posted, so that SQL has nothing left to refuse.
 */
function flawOf(line: JournalRecord): string | undefined {
  const { record } = line;
  const texts: (string | null)[] = [record.id, record.consumerId, record.providerId, record.policy];
  const counts: (number | null)[] = [record.inputTokens, record.outputTokens];
  const amounts: Pico[] = [];
  const times: (number | null)[] = [];
  if (line.kind === 'usage') {
    const { record: usage } = line;
    texts.push(usage.keyId, usage.modelId, usage.nodeId, usage.attemptId, usage.errorCode, usage.priceId);
    counts.push(
      usage.units,
      usage.seconds,
      usage.claimedInputTokens,
      usage.claimedOutputTokens,
      usage.events,
      usage.bytes,
      usage.attempts,
    );
    times.push(usage.ttftMs, usage.totalMs);
    amounts.push(usage.charge, usage.covered ?? 0n);
    counts.push(usage.coveredTokens ?? 0, usage.coveredUnits ?? 0);
    const { priceFactor = 10_000 } = usage;
    if (!Number.isSafeInteger(priceFactor) || priceFactor < 10_000 || priceFactor > PRICE_FACTOR_MAX)
      return 'the price factor is not one';
    if (!OPERATION_WORDS.has(usage.operation)) return 'the operation is not known';
    if (!OUTCOMES.has(usage.outcome)) return 'the outcome is not known';
    if (usage.mode !== null && usage.mode !== 'websocket' && usage.mode !== 'external')
      return 'the mode is not known';
    if (usage.totalMs === null || typeof usage.streamed !== 'boolean') return 'a field is missing';
    if (usage.charge > 0n || (usage.covered ?? 0n) > 0n) {
      if (usage.outcome === 'broken' || usage.outcome === 'failed') return 'a broken answer is charged';
      if (usage.providerId === null) return 'a charge names nobody to be paid';
    }
  } else {
    texts.push(line.record.requestId);
    amounts.push(line.record.refund, line.record.originalCharge);
    if (line.record.id !== `fix_${line.record.requestId}`)
      return 'the correction is not named after its request';
    if (line.record.providerId === null) return 'a field is missing';
    const { refund, originalCharge, coveredRefund = 0n, originalCovered = 0n } = line.record;
    const back = refund + coveredRefund;
    // What the plan gets back may be below zero, but neither part is more than what it is a part of.
    if (refund < 0n || refund > originalCharge || coveredRefund > originalCovered || back <= 0n)
      return 'the refund is not a part of the charge';
    amounts.push(originalCovered);
  }
  if (record.inputTokens === null || record.outputTokens === null) return 'a field is missing';
  if (!texts.every((text) => text === null || storable(text))) return 'a text cannot be stored';
  if (!counts.every((count) => count === null || (Number.isSafeInteger(count) && count >= 0)))
    return 'a count is not a whole number';
  if (!times.every((time) => time === null || Number.isFinite(time))) return 'a duration is not a number';
  if (!Number.isFinite(record.at) || Math.abs(record.at) > 8.64e15) return 'the time is not a time';
  if (!amounts.every((amount) => typeof amount === 'bigint' && amount >= 0n && amount <= AMOUNT_MAX))
    return 'an amount is out of bounds';
  if (!Object.hasOwn(SPLIT_POLICIES, record.policy)) return 'the split policy is not known';
  return undefined;
}

/** PostgreSQL stores neither NUL nor half a character. */
function storable(text: unknown): boolean {
  return typeof text === 'string' && text.length <= 500 && !text.includes('\0') && text.isWellFormed();
}
