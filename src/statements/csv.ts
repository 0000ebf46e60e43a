import { stringify } from 'csv-stringify/sync';
import { decimalUsd, parseUsd } from '#domain/money.ts';
import type { DocumentBody } from '#wire/documents.ts';

/**
 * Tables as RFC 4180 says: commas, CRLF, quotes where they are needed. A text that a spreadsheet would take for a formula
 * gets an apostrophe in front; names come from strangers. An amount (a `bigint`, pico-dollars) is written as a decimal of
 * dollars, exact, and numbers may be negative.
 */
export type Cell = string | number | bigint | null;

export function csvOf(rows: readonly (readonly Cell[])[]): string {
  return stringify(
    rows.map((row) => [...row]),
    {
      record_delimiter: 'windows',
      // The library quotes the delimiter as a whole; half of it ends a row for many readers, too.
      quoted_match: /[\r\n]/,
      escape_formulas: true,
      cast: { bigint: decimalUsd },
    },
  );
}

/** A document as a table: a row for each line, and one with the total. */
export function documentCsv(body: DocumentBody): string {
  const head = [body.document, body.number, body.issued_at, body.customer.id, body.customer.name];
  const total = parseUsd(body.total_usd);
  const none = [null, null, null, null, null, null] as const;
  const lines: Cell[][] =
    body.document === 'receipt'
      ? [[...head, 'deposit', `${body.deposit.method} ${body.deposit.id}`, ...none, total]]
      : body.lines.map((line) => [
          ...head,
          line.kind,
          line.name,
          line.month,
          line.count,
          line.input_tokens,
          line.output_tokens,
          line.units,
          line.seconds,
          parseUsd(line.amount_usd),
        ]);
  return csvOf([COLUMNS, ...lines, [...head, 'total', null, ...none, total]]);
}

const COLUMNS = [
  'document',
  'number',
  'issued_at',
  'customer_id',
  'customer_name',
  'kind',
  'name',
  'month',
  'count',
  'input_tokens',
  'output_tokens',
  'units',
  'seconds',
  'amount_usd',
];
