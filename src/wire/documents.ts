import { z } from 'zod';

/**
 * Documents for consumers as they are issued and kept: invoices, credit notes, receipts. What is kept is this JSON, as text;
 * PDF and CSV are made from it alone. Amounts are decimal texts of dollars, exact; `total_rounded_usd` is the total in whole
 * cents, the one figure of a document that is rounded. Moments are ISO 8601 in UTC, months `2026-11`.
 */
const usd = z.string().regex(/^-?\d+\.\d{2,12}$/);
const count = z.number().int();
const month = z.string().regex(/^\d{4}-\d{2}$/);

const issuer = z.strictObject({
  name: z.string(),
  address: z.array(z.string()),
  tax_id: z.string().nullable(),
  note: z.string().nullable(),
});
const head = {
  number: z.string(),
  issued_at: z.string(),
  issuer,
  customer: z.strictObject({ id: z.string(), name: z.string() }),
  currency: z.literal('USD'),
};
const line = z.strictObject({
  kind: z.enum(['usage', 'plan-fee', 'sla-credit']),
  /** A model, or a plan, or `sla-credit`. */
  name: z.string(),
  /** When it was served or began; an earlier month than the document's where it was written late. */
  month,
  /** Requests, or periods of a plan, or credits. */
  count,
  input_tokens: count,
  output_tokens: count,
  /** Images made or recordings transcribed, and seconds of sound. */
  units: count,
  seconds: count,
  amount_usd: usd,
});

const invoice = z.strictObject({
  document: z.literal('invoice'),
  ...head,
  month,
  lines: z.array(line),
  total_usd: usd,
  total_rounded_usd: usd,
  /** The prepaid balance over the month: opening, what came and went, what this invoice and credit notes made of it. */
  account: z.strictObject({
    opening_usd: usd,
    movements: z.array(z.strictObject({ kind: z.string(), count, amount_usd: usd })),
    charged_usd: usd,
    credited_usd: usd,
    closing_usd: usd,
  }),
});
const creditNote = z.strictObject({
  document: z.literal('credit-note'),
  ...head,
  month,
  /** The invoice that it corrects. */
  corrects: z.string(),
  corrects_month: month,
  lines: z.array(line),
  total_usd: usd,
  total_rounded_usd: usd,
});
const receipt = z.strictObject({
  document: z.literal('receipt'),
  ...head,
  deposit: z.strictObject({
    id: z.string(),
    method: z.enum(['crypto', 'card', 'bank', 'paypal']),
    asset: z.string(),
    /** As it was paid, in whole tokens or dollars. */
    amount: z.string(),
    received_at: z.string(),
    booked_at: z.string(),
    bonus_usd: usd,
  }),
  total_usd: usd,
  total_rounded_usd: usd,
});

export const documentSchema = z.discriminatedUnion('document', [invoice, creditNote, receipt]);

export type DocumentBody = z.output<typeof documentSchema>;
export type InvoiceBody = z.output<typeof invoice>;
export type CreditNoteBody = z.output<typeof creditNote>;
export type ReceiptBody = z.output<typeof receipt>;
export type DocumentLine = z.output<typeof line>;
export type Issuer = z.output<typeof issuer>;
