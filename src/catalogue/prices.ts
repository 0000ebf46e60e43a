import type { Database, Sql } from '#db/database.ts';
import { formatUsd, PICO_PER_USD, type Pico } from '#domain/money.ts';
import type { Amounts } from '#domain/price.ts';

/**
 * Prices, as a history that only grows. A price is set for now or for a future instant, never for the past: what was
 * charged stays what was published. Two bounds catch slips of the hand (a price in dollars where micro-dollars were
 * meant is off by a million): no price above $1,000 per million tokens or per request, ever; and none more than a
 * hundred times the one before it, in either direction, unless it is forced.
 */

/** One version of a model's price. */
export type PriceVersion = {
  readonly id: string;
  /** Wall milliseconds. */
  readonly effectiveFrom: number;
  readonly setAt: number;
  readonly source: string;
} & Amounts;

/** A dollar per million tokens is a million pico-dollars per token. */
const TOKEN_PICO_MAX = 1_000n * (PICO_PER_USD / 1_000_000n);
const REQUEST_PICO_MAX = 1_000n * PICO_PER_USD;
const CHANGE_FACTOR_MAX = 100n;

/** Why these amounts cannot be a price at all; undefined when they can. Pure. */
export function priceOutOfBounds(amounts: Amounts): string | undefined {
  for (const [what, pico] of parts(amounts)) {
    if (pico < 0n) return `The ${what} price is negative.`;
    const most = amounts.unit === 'token' ? TOKEN_PICO_MAX : REQUEST_PICO_MAX;
    if (pico > most) {
      return amounts.unit === 'token'
        ? `The ${what} price is ${formatUsd(pico * 1_000_000n)} per million tokens, above $1,000.`
        : `The price is ${formatUsd(pico)} per ${what}, above $1,000.`;
    }
  }
  return undefined;
}

/** Why going from one price to another looks like a slip of the hand; undefined when it does not. Pure. */
export function suspiciousChange(from: Amounts, to: Amounts): string | undefined {
  if (from.unit !== to.unit) return `The model was priced by the ${from.unit} until now.`;
  const before = new Map(parts(from));
  for (const [what, pico] of parts(to)) {
    const was = before.get(what);
    // A price per minute may come to a model that had none.
    if (was === undefined) continue;
    if (pico > was * CHANGE_FACTOR_MAX || was > pico * CHANGE_FACTOR_MAX) {
      return `The ${what} price would change by more than a hundred times.`;
    }
  }
  return undefined;
}

function parts(amounts: Amounts): [string, Pico][] {
  return amounts.unit === 'token'
    ? [
        ['input', amounts.inputPico],
        ['output', amounts.outputPico],
      ]
    : [
        ['request', amounts.requestPico],
        ...(amounts.minutePico === undefined ? [] : ([['minute', amounts.minutePico]] as [string, Pico][])),
      ];
}

/**
 * Sets a price from `effectiveFrom` on. The id is the caller's: sending it again answers `known`. `refused` carries one
 * sentence; `forced` passes over a suspicious change, never over the bounds or into the past.
 */
export async function setPrice(
  database: Database,
  price: NewPrice,
): Promise<'set' | 'known' | { refused: string }> {
  return await database.transaction((sql) => writePrice(sql, price));
}

/** As `setPrice`, within the caller's transaction. */
export async function writePrice(sql: Sql, price: NewPrice): Promise<'set' | 'known' | { refused: string }> {
  const { amounts } = price;
  const outOfBounds = priceOutOfBounds(amounts);
  if (outOfBounds !== undefined) return { refused: outOfBounds };
  if (price.effectiveFrom < price.at) return { refused: 'A price cannot be set for the past.' };
  // Two prices set at once must each be compared with the other.
  const [model] = await sql`select id from models where id = ${price.modelId} for update`;
  if (!model) return { refused: 'This model is not in the catalogue.' };
  const [known] = await sql`select id from prices where id = ${price.id}`;
  if (known) return 'known';
  const [taken] = await sql`
    select id from prices where model_id = ${price.modelId} and effective_from = ${new Date(price.effectiveFrom)}`;
  if (taken) return { refused: 'Another price begins at that very instant.' };
  const [before] = await sql<Row[]>`
    select * from prices where model_id = ${price.modelId} and effective_from <= ${new Date(price.effectiveFrom)}
    order by effective_from desc limit 1`;
  const suspicious = before && suspiciousChange(version(before), amounts);
  if (suspicious !== undefined && !price.forced) return { refused: suspicious };
  const [input, output, request, minute] =
    amounts.unit === 'token'
      ? [amounts.inputPico, amounts.outputPico, null, null]
      : [null, null, amounts.requestPico, amounts.minutePico ?? null];
  await sql`
    insert into prices
      (id, model_id, effective_from, unit, input_pico, output_pico, request_pico, minute_pico, source, created_at)
    values (
      ${price.id}, ${price.modelId}, ${new Date(price.effectiveFrom)}, ${amounts.unit},
      ${input}, ${output}, ${request}, ${minute}, ${price.source}, ${new Date(price.at)}
    )`;
  return 'set';
}

/** The prices of a model, newest first, those of the future included; at most `limit`. */
export async function priceHistory(
  database: Database,
  which: { modelId: string; limit: number },
): Promise<PriceVersion[]> {
  const rows = await database.sql<Row[]>`
    select * from prices where model_id = ${which.modelId} order by effective_from desc limit ${which.limit}`;
  return rows.map(version);
}

interface Row {
  id: string;
  effective_from: Date;
  unit: 'token' | 'request';
  input_pico: bigint | null;
  output_pico: bigint | null;
  request_pico: bigint | null;
  minute_pico: bigint | null;
  source: string;
  created_at: Date;
}

function version(row: Row): PriceVersion {
  const about = {
    id: row.id,
    effectiveFrom: row.effective_from.getTime(),
    setAt: row.created_at.getTime(),
    source: row.source,
  };
  return row.unit === 'token'
    ? { ...about, unit: 'token', inputPico: row.input_pico ?? 0n, outputPico: row.output_pico ?? 0n }
    : {
        ...about,
        unit: 'request',
        requestPico: row.request_pico ?? 0n,
        ...(row.minute_pico !== null && { minutePico: row.minute_pico }),
      };
}

export interface NewPrice {
  readonly id: string;
  readonly modelId: string;
  readonly amounts: Amounts;
  /** Wall milliseconds, like `at`. */
  readonly effectiveFrom: number;
  readonly source: string;
  /** Also where it changes a lot. */
  readonly forced: boolean;
  readonly at: number;
}
