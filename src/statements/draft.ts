import { decimalUsd, nearestCents, type Pico } from '#domain/money.ts';
import { assert } from '#kit/assert.ts';
import type {
  CreditNoteBody,
  DocumentBody,
  DocumentLine,
  InvoiceBody,
  Issuer,
  ReceiptBody,
} from '#wire/documents.ts';

/**
 * What documents follow from the lines of a consumer's month: pure, the same lines give the same documents. An invoice has
 * everything that was charged; what was given back of requests on an earlier invoice is a credit note for that invoice. A
 * month in which nothing was charged has no invoice. Every amount is exact; only the total in whole cents is rounded, and
 * nothing is paid by that figure: charges left the prepaid balance when they were made.
 */
export interface BillingLine {
  readonly kind: 'usage' | 'refund' | 'plan-fee' | 'movement';
  readonly name: string;
  readonly ofMonth: string;
  readonly count: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly units: number;
  readonly seconds: number;
  /** What it did to the balance: charges are negative. */
  readonly amount: Pico;
}

/** A document that has no number and no date yet. */
export interface Draft {
  readonly kind: DocumentBody['document'];
  readonly subject: string;
  readonly consumerId: string;
  readonly month: string | null;
  readonly total: Pico;
  finish(given: { number: string; issuedAt: number; issuer: Issuer }): DocumentBody;
}

export interface MonthFacts {
  readonly consumer: { readonly id: string; readonly name: string };
  readonly month: string;
  /** The balance at the month's beginning. */
  readonly opening: Pico;
  readonly lines: readonly BillingLine[];
  /** The number of the invoice of an earlier month. */
  numberOf(month: string): string | undefined;
}

export function monthDrafts(facts: MonthFacts): Draft[] {
  const { consumer, month, opening, lines } = facts;
  const charged = lines.filter(({ kind }) => kind === 'usage' || kind === 'plan-fee');
  const refunds = lines.filter(({ kind }) => kind === 'refund');
  const movements = lines.filter(({ kind }) => kind === 'movement');
  const drafts: Draft[] = [];
  if (charged.length > 0) {
    const total = -sumOf(charged);
    const credited = sumOf(refunds);
    drafts.push({
      kind: 'invoice',
      subject: invoiceSubject(consumer.id, month),
      consumerId: consumer.id,
      month,
      total,
      finish: (given): InvoiceBody => ({
        document: 'invoice',
        ...head(given, consumer),
        month,
        lines: charged.map((each) => documentLine(each, -1n)),
        ...totals(total),
        account: {
          opening_usd: decimalUsd(opening),
          movements: movementsOf(movements),
          charged_usd: decimalUsd(total),
          credited_usd: decimalUsd(credited),
          closing_usd: decimalUsd(opening + sumOf(lines)),
        },
      }),
    });
  }
  for (const earlier of new Set(refunds.map(({ ofMonth }) => ofMonth))) {
    const own = refunds.filter(({ ofMonth }) => ofMonth === earlier);
    const corrects = facts.numberOf(earlier);
    assert(corrects, 'what is given back stands on an earlier invoice');
    const total = sumOf(own);
    drafts.push({
      kind: 'credit-note',
      subject: `credit-note:${consumer.id}:${month}:${earlier}`,
      consumerId: consumer.id,
      month,
      total,
      finish: (given): CreditNoteBody => ({
        document: 'credit-note',
        ...head(given, consumer),
        month,
        corrects,
        corrects_month: earlier,
        lines: own.map((each) => documentLine(each, 1n)),
        ...totals(total),
      }),
    });
  }
  return drafts;
}

/** Movements of one kind are one figure, whichever months they are labelled with. */
function movementsOf(movements: readonly BillingLine[]): InvoiceBody['account']['movements'] {
  return [...new Set(movements.map(({ name }) => name))].map((kind) => {
    const own = movements.filter(({ name }) => name === kind);
    return {
      kind,
      count: own.reduce((sum, each) => sum + each.count, 0),
      amount_usd: decimalUsd(sumOf(own)),
    };
  });
}

export interface BookedDeposit {
  readonly id: string;
  readonly method: ReceiptBody['deposit']['method'];
  readonly asset: string;
  /** As it was paid, in whole tokens or dollars. */
  readonly amount: string;
  readonly value: Pico;
  readonly bonus: Pico;
  readonly receivedAt: number;
  readonly bookedAt: number;
}

export function receiptDraft(consumer: { id: string; name: string }, deposit: BookedDeposit): Draft {
  return {
    kind: 'receipt',
    subject: receiptSubject(deposit.id),
    consumerId: consumer.id,
    month: null,
    total: deposit.value,
    finish: (given): ReceiptBody => ({
      document: 'receipt',
      ...head(given, consumer),
      deposit: {
        id: deposit.id,
        method: deposit.method,
        asset: deposit.asset,
        amount: deposit.amount,
        received_at: new Date(deposit.receivedAt).toISOString(),
        booked_at: new Date(deposit.bookedAt).toISOString(),
        bonus_usd: decimalUsd(deposit.bonus),
      },
      ...totals(deposit.value),
    }),
  };
}

export function invoiceSubject(consumerId: string, month: string): string {
  return `invoice:${consumerId}:${month}`;
}

export function receiptSubject(depositId: string): string {
  return `receipt:${depositId}`;
}

const PREFIX = { invoice: 'INV', 'credit-note': 'CN', receipt: 'REC' } as const;

/** `INV-000042`. */
export function numberFor(kind: DocumentBody['document'], serial: bigint): string {
  return `${PREFIX[kind]}-${serial.toString().padStart(6, '0')}`;
}

/** How long after a month its last usage may still be on its way to the ledger. */
export const GRACE_MS = 15 * 60_000;

function head(
  given: { number: string; issuedAt: number; issuer: Issuer },
  customer: { id: string; name: string },
) {
  return {
    number: given.number,
    issued_at: new Date(given.issuedAt).toISOString(),
    issuer: given.issuer,
    customer: { id: customer.id, name: customer.name },
    currency: 'USD',
  } as const;
}

function totals(total: Pico) {
  return { total_usd: decimalUsd(total), total_rounded_usd: decimalUsd(nearestCents(total)) };
}

function documentLine(line: BillingLine, sign: bigint): DocumentLine {
  return {
    kind: line.kind === 'plan-fee' ? 'plan-fee' : line.name === 'sla-credit' ? 'sla-credit' : 'usage',
    name: line.name,
    month: line.ofMonth,
    count: line.count,
    input_tokens: line.inputTokens,
    output_tokens: line.outputTokens,
    units: line.units,
    seconds: line.seconds,
    amount_usd: decimalUsd(sign * line.amount),
  };
}

function sumOf(lines: readonly BillingLine[]): Pico {
  return lines.reduce((sum, { amount }) => sum + amount, 0n);
}
