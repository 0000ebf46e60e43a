import type { Database, Sql } from '#db/database.ts';
import { type Asset, type TokenAsset, wholeTokens } from '#domain/asset.ts';
import { decimalUsd, type Pico } from '#domain/money.ts';
import { monthName, monthOf, monthStart, parseMonth } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import { type DocumentBody, documentSchema, type Issuer } from '#wire/documents.ts';
import {
  type BillingLine,
  type BookedDeposit,
  type Draft,
  GRACE_MS,
  invoiceSubject,
  monthDrafts,
  numberFor,
  receiptDraft,
  receiptSubject,
} from './draft.ts';
import { gatherLines } from './gather.ts';

/**
 * Closes months and issues their documents: cut, gather, issue. Each step is a transaction (issuing: one for each few
 * hundred consumers) that changes nothing when it is repeated, so any number of processes may do this at once and die
 * anywhere. Months are closed and issued in their order, each once.
 *
 * Every document takes its number and is written under a lock on its series: numbers have no gaps, whoever dies.
 */
export interface IssuedDocument {
  readonly number: string;
  readonly kind: DocumentBody['document'];
  readonly consumerId: string;
  /** `2026-11`; null for a receipt. */
  readonly month: string | null;
  /** Wall milliseconds. */
  readonly issuedAt: number;
  readonly total: Pico;
}

/** The decimals of tokens where a market's chain says so. */
export type TokenDecimals = { readonly [asset in TokenAsset]?: number };
const USUAL_DECIMALS = { USDC: 6, USDT: 6, SWAN: 18 } as const;

/** Consumers of one transaction: the lock on a series is held for a moment only. */
const CONSUMERS_AT_ONCE = 200;
const RECEIPTS_AT_ONCE = 200;
/** So many of the first and the last entries say where the ledger begins and how far it has come: single labels may be wrong. */
const SOME = 1_000;

export class Billing {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #issuer: Issuer;
  readonly #decimals: TokenDecimals;

  /** The statements of closing a month read all of it: give a database with a deadline of minutes. */
  constructor(parts: { database: Database; clock: Clock; issuer: Issuer; decimals?: TokenDecimals }) {
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#issuer = parts.issuer;
    this.#decimals = parts.decimals ?? {};
  }

  /** Closes and issues every month that is over, and a receipt for every booked deposit that has none. */
  async round(): Promise<{ months: string[]; documents: number }> {
    const done: string[] = [];
    let documents = 0;
    for (;;) {
      const month = await this.#nextMonth();
      if (month === undefined) break;
      documents += await this.#issueMonth(month);
      done.push(month);
    }
    return { months: done, documents: documents + (await this.issueReceipts()) };
  }

  /** The month to be worked on: one that is closed and not issued, or the next to be closed, once it is over. */
  async #nextMonth(): Promise<string | undefined> {
    const [open] = await this.#database.sql<{ month: string }[]>`
      select month from billing_months where state <> 'issued' order by month limit 1`;
    if (open) return open.month;
    const [last] = await this.#database.sql<{ month: string }[]>`
      select month from billing_months order by month desc limit 1`;
    const [ledger] = await this.#database.sql<{ first: Date | null; newest: Date | null }[]>`
      select (select min(at) from (select at from entries order by seq limit ${SOME}) as e) as first,
        (select max(at) from (select at from entries order by seq desc limit ${SOME}) as e) as newest`;
    if (!ledger?.first || !ledger.newest) return undefined;
    const month = last ? (parseMonth(last.month) ?? 0) + 1 : monthOf(ledger.first.getTime());
    // A clock that jumped years ahead must not close years in which nobody traded yet.
    if (month > monthOf(ledger.newest.getTime())) return undefined;
    if (this.#clock.wallMs() < monthStart(month + 1) + GRACE_MS) return undefined;
    await this.#cut(month);
    return monthName(month);
  }

  /** Closes a month, once: notes the newest entry, when every entry up to it is committed. Writers wait for a moment. */
  async #cut(month: number): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await sql`set local lock_timeout = '10s'`;
      await sql`lock table entries in share mode`;
      await sql`
        insert into billing_months (month, ends_at, cut, made_at)
        select ${monthName(month)}, ${new Date(monthStart(month + 1))},
          coalesce((select seq from entries order by seq desc limit 1), 0), ${new Date(this.#clock.wallMs())}
        on conflict do nothing`;
    });
  }

  async #issueMonth(month: string): Promise<number> {
    await this.#database.transaction((sql) => gatherLines(sql, month));
    let documents = 0;
    for (let after = ''; ; ) {
      const chunk = await this.#database.transaction((sql) => this.#issueChunk(sql, month, after));
      documents += chunk.issued;
      if (chunk.last === undefined) break;
      after = chunk.last;
    }
    await this.#database.sql`
      update billing_months set state = 'issued' where month = ${month} and state = 'gathered'`;
    return documents;
  }

  async #issueChunk(
    sql: Sql,
    month: string,
    after: string,
  ): Promise<{ issued: number; last: string | undefined }> {
    const consumers = await sql<{ id: string }[]>`
      select distinct consumer_id as id from billing_lines
      where month = ${month} and kind <> 'movement' and consumer_id > ${after}
      order by consumer_id limit ${CONSUMERS_AT_ONCE}`;
    const ids = consumers.map(({ id }) => id);
    const last = ids.at(-1);
    if (last === undefined) return { issued: 0, last };
    const rows = await sql<(LineRow & { consumer_id: string })[]>`
      select consumer_id, kind, name, of_month, count, input_tokens, output_tokens, units, seconds, amount
      from billing_lines where month = ${month} and consumer_id = any(${ids}::text[])
      order by consumer_id, of_month, kind desc, name collate "C"`;
    const openings = await sql<{ id: string; opening: Pico }[]>`
      select consumer_id as id, sum(amount)::numeric as opening from billing_lines
      where consumer_id = any(${ids}::text[]) and month < ${month} group by consumer_id`;
    const opening = new Map(openings.map((row) => [row.id, row.opening]));
    const names = await namesOf(sql, ids);
    const earlier = await sql<{ subject: string; number: string }[]>`
      select subject, number from documents where subject = any(${rows
        .filter(({ kind }) => kind === 'refund')
        .map((row) => invoiceSubject(row.consumer_id, row.of_month))}::text[])`;
    const numbers = new Map(earlier.map((row) => [row.subject, row.number]));
    const drafts = ids.flatMap((id) =>
      monthDrafts({
        consumer: { id, name: names.get(id) ?? id },
        month,
        opening: opening.get(id) ?? 0n,
        lines: rows.filter((row) => row.consumer_id === id).map(lineOf),
        numberOf: (of) => numbers.get(invoiceSubject(id, of)),
      }),
    );
    return { issued: await this.#issue(sql, drafts), last };
  }

  /** Issues those of the drafts whose subject has no document yet, in their order. */
  async #issue(sql: Sql, drafts: readonly Draft[]): Promise<number> {
    if (drafts.length === 0) return 0;
    // In one order, so that two processes wait for each other and never both.
    const series = await sql<{ kind: string; last: bigint }[]>`
      select kind, last from document_series order by kind for update`;
    const serials = new Map(series.map(({ kind, last }) => [kind, last]));
    const known = await sql<{ subject: string }[]>`
      select subject from documents where subject = any(${drafts.map(({ subject }) => subject)}::text[])`;
    const there = new Set(known.map(({ subject }) => subject));
    const issuedAt = this.#clock.wallMs();
    const rows = drafts
      .filter(({ subject }) => !there.has(subject))
      .map((draft) => {
        const serial = (serials.get(draft.kind) ?? 0n) + 1n;
        serials.set(draft.kind, serial);
        const number = numberFor(draft.kind, serial);
        const body = draft.finish({ number, issuedAt, issuer: this.#issuer });
        return {
          number,
          kind: draft.kind,
          serial: serial.toString(),
          subject: draft.subject,
          consumer_id: draft.consumerId,
          month: draft.month,
          issued_at: new Date(issuedAt).toISOString(),
          total: draft.total.toString(),
          body: JSON.stringify(body),
        };
      });
    if (rows.length === 0) return 0;
    await sql`
      insert into documents (number, kind, serial, subject, consumer_id, month, issued_at, total, body)
      select number, kind, serial, subject, consumer_id, month, issued_at, total, body
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as t(
        number text, kind text, serial bigint, subject text, consumer_id text, month text, issued_at timestamptz,
        total numeric, body text)`;
    for (const [kind, last] of serials) {
      await sql`update document_series set last = ${last} where kind = ${kind} and last <> ${last}`;
    }
    return rows.length;
  }

  /** A receipt for every booked deposit that has none, oldest first. */
  async issueReceipts(): Promise<number> {
    let issued = 0;
    for (;;) {
      const some = await this.#database.transaction(async (sql) => {
        const rows = await sql<DepositRow[]>`
          select id, method, consumer_id, asset, units, value, bonus, received_at, booked_at from deposits d
          where state = 'booked' and not exists (select from documents where subject = 'receipt:' || d.id)
          order by booked_at, id limit ${RECEIPTS_AT_ONCE}`;
        const names = await namesOf(
          sql,
          rows.map((row) => row.consumer_id),
        );
        return { seen: rows.length, issued: await this.#issue(sql, this.#receipts(rows, names)) };
      });
      issued += some.issued;
      if (some.seen < RECEIPTS_AT_ONCE) return issued;
    }
  }

  /**
   * The receipt of a deposit of this consumer, issued now where it has none. Undefined where the consumer has no such
   * deposit, or it is not booked.
   */
  async receiptFor(depositId: string, consumerId: string): Promise<DocumentBody | undefined> {
    const subject = receiptSubject(depositId);
    return await this.#database.transaction(async (sql) => {
      const rows = await sql<DepositRow[]>`
        select id, method, consumer_id, asset, units, value, bonus, received_at, booked_at from deposits
        where id = ${depositId} and consumer_id = ${consumerId} and state = 'booked'`;
      if (rows.length === 0) return undefined;
      await this.#issue(sql, this.#receipts(rows, await namesOf(sql, [consumerId])));
      const [document] = await sql<{ body: string }[]>`select body from documents where subject = ${subject}`;
      return document && bodyOf(document.body);
    });
  }

  #receipts(rows: readonly DepositRow[], names: ReadonlyMap<string, string>): Draft[] {
    return rows.map((row) =>
      receiptDraft(
        { id: row.consumer_id, name: names.get(row.consumer_id) ?? row.consumer_id },
        {
          id: row.id,
          method: row.method,
          asset: row.asset,
          amount: amountOf(row, this.#decimals),
          value: row.value,
          bonus: row.bonus,
          receivedAt: row.received_at.getTime(),
          bookedAt: row.booked_at.getTime(),
        },
      ),
    );
  }

  /** Documents, newest first: of one consumer, of one month, or all. */
  async list(of: { consumerId?: string; month?: string; limit: number }): Promise<IssuedDocument[]> {
    const { consumerId = null, month = null, limit } = of;
    const rows = await this.#database.sql<
      {
        number: string;
        kind: DocumentBody['document'];
        consumer_id: string;
        month: string | null;
        issued_at: Date;
        total: Pico;
      }[]
    >`
      select number, kind, consumer_id, month, issued_at, total from documents
      where (${consumerId}::text is null or consumer_id = ${consumerId})
        and (${month}::text is null or month = ${month})
      order by issued_at desc, kind, serial desc limit ${limit}`;
    return rows.map((row) => ({
      number: row.number,
      kind: row.kind,
      consumerId: row.consumer_id,
      month: row.month,
      issuedAt: row.issued_at.getTime(),
      total: row.total,
    }));
  }

  /** The document of this number; with `consumerId`, only if it is that consumer's. */
  async find(number: string, consumerId?: string): Promise<DocumentBody | undefined> {
    const [row] = await this.#database.sql<{ body: string }[]>`
      select body from documents
      where number = ${number} and (${consumerId ?? null}::text is null or consumer_id = ${consumerId ?? null})`;
    return row && bodyOf(row.body);
  }
}

function bodyOf(text: string): DocumentBody {
  return documentSchema.parse(JSON.parse(text));
}

function amountOf({ asset, units }: DepositRow, decimals: TokenDecimals): string {
  if (asset === 'USD') return decimalUsd(units);
  return wholeTokens(units, decimals[asset] ?? USUAL_DECIMALS[asset]);
}

async function namesOf(sql: Sql, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await sql<{ id: string; name: string }[]>`
    select id, name from consumers where id = any(${[...ids]}::text[])`;
  return new Map(rows.map(({ id, name }) => [id, name]));
}

interface DepositRow {
  id: string;
  method: BookedDeposit['method'];
  consumer_id: string;
  asset: Asset;
  units: bigint;
  value: Pico;
  bonus: Pico;
  received_at: Date;
  booked_at: Date;
}

interface LineRow {
  kind: BillingLine['kind'];
  name: string;
  of_month: string;
  count: bigint;
  input_tokens: bigint;
  output_tokens: bigint;
  units: bigint;
  seconds: bigint;
  amount: Pico;
}

function lineOf(row: LineRow): BillingLine {
  return {
    kind: row.kind,
    name: row.name,
    ofMonth: row.of_month,
    count: Number(row.count),
    inputTokens: Number(row.input_tokens),
    outputTokens: Number(row.output_tokens),
    units: Number(row.units),
    seconds: Number(row.seconds),
    amount: row.amount,
  };
}
