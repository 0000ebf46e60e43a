import type { Database, Sql } from '#db/database.ts';
import type { Asset } from '#domain/asset.ts';
import { least, type Pico } from '#domain/money.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { lockAvailable, openAccount, writeEntries } from '#ledger/book.ts';
import { consumerAccount } from '#ledger/chart.ts';
import { depositEntry } from '#ledger/entries.ts';
import { bonusEntry, withdrawalEntry } from '#ledger/funds-entries.ts';
import { spentMoney } from '#ledger/spent-money.ts';
import { bonusOf, DEPOSIT_TERMS, type DepositTerms } from './deposit-rules.ts';

/**
 * The list of what arrived for consumers, and what of it was booked. A deposit has the name that the outside gave it, and
 * its row and its entries are written in one transaction: it is booked once, whoever reports it how often, and a process
 * that dies in between has booked nothing.
 */
export interface Deposit {
  readonly id: string;
  readonly method: 'crypto' | 'card' | 'bank' | 'paypal';
  readonly consumerId: string;
  readonly asset: Asset;
  /** The asset's smallest unit; pico-USD for USD. */
  readonly units: bigint;
  /** Null while nobody said what it is worth. */
  readonly value: Pico | null;
  readonly bonus: Pico;
  readonly state: 'booked' | 'small' | 'unpriced';
  readonly source: string;
  /** Wall milliseconds. */
  readonly receivedAt: number;
}

export class Deposits {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #terms: DepositTerms;

  constructor(parts: { database: Database; clock: Clock; terms?: DepositTerms }) {
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#terms = parts.terms ?? DEPOSIT_TERMS;
  }

  /**
   * Books money that came by bank or PayPal, by the operator's word. The reference is the payment's: the same one again
   * answers `known` and books nothing, for another consumer or amount it throws a `conflict`.
   */
  async confirm(payment: {
    method: 'bank' | 'paypal';
    consumerId: string;
    amount: Pico;
    reference: string;
  }): Promise<'booked' | 'known'> {
    const { method, consumerId, amount, reference } = payment;
    const at = this.#clock.wallMs();
    const answer = await this.#database.transaction((sql) =>
      receive(sql, at, {
        id: `${method}:${reference}`,
        method,
        consumerId,
        asset: 'USD',
        units: amount,
        value: amount,
        bonus: 0n,
        state: 'booked',
        source: reference,
        receivedAt: at,
      }),
    );
    return answer === 'known' ? 'known' : 'booked';
  }

  /**
   * Books a deposit that waits, being small or without a rate, by the operator's word. `value` says what it is worth;
   * without it what is noted counts. Throws `conflict` where it was booked with another value.
   */
  async book(id: string, value?: Pico): Promise<'booked' | 'known' | 'unknown' | 'unpriced'> {
    return await this.#database.transaction(async (sql) => {
      const [row] = await sql<Row[]>`select * from deposits where id = ${id} for update`;
      if (!row) return 'unknown';
      if (row.state === 'booked') {
        if (value === undefined || value === row.value) return 'known';
        throw new Fault('conflict', { outer: 'This deposit was booked before, with another value.' });
      }
      const worth = value ?? row.value;
      if (worth === null || worth <= 0n) return 'unpriced';
      const at = this.#clock.wallMs();
      const bonus = bonusOf(row.asset, worth, this.#terms);
      await sql`
        update deposits set state = 'booked', value = ${worth}, bonus = ${bonus}, booked_at = ${new Date(at)}
        where id = ${id}`;
      await credit(sql, at, { ...depositOf(row), value: worth, bonus, state: 'booked' });
      return 'booked';
    });
  }

  /** The latest deposits, newest first: of one consumer, or of all. */
  async list(of: { consumerId?: string; state?: Deposit['state']; limit: number }): Promise<Deposit[]> {
    const rows = await this.#database.sql<Row[]>`
      select * from deposits
      where (${of.consumerId ?? null}::text is null or consumer_id = ${of.consumerId ?? null})
        and (${of.state ?? null}::text is null or state = ${of.state ?? null})
      order by received_at desc, id limit ${of.limit}`;
    return rows.map(depositOf);
  }

  /** What a consumer paid in, was given on top, and spent, ever. */
  async totals(consumerId: string): Promise<{ deposited: Pico; bonus: Pico; spent: Pico }> {
    const [row] = await this.#database.sql<{ deposited: Pico; bonus: Pico; spent: Pico }[]>`
      with paid as (select value, bonus from deposits where consumer_id = ${consumerId} and state = 'booked')
      select
        (select coalesce(sum(value), 0) from paid) as deposited,
        (select coalesce(sum(bonus), 0) from paid) as bonus,
        (select coalesce(sum(charge), 0) from usage where consumer_id = ${consumerId})
          - (select coalesce(sum(refund), 0) from corrections where consumer_id = ${consumerId}) as spent`;
    return row ?? { deposited: 0n, bonus: 0n, spent: 0n };
  }

  /**
   * Notes that unused balance was paid back to a consumer. `short` when less can be: what is set aside for requests stays, and
   * so does what the market gave, which is spent and never paid out. `reference` is the payment's: a repeat answers `known`, with other terms it throws a `conflict`.
   */
  async withdraw(payment: {
    consumerId: string;
    amount: Pico;
    reference: string;
    reason: string;
  }): Promise<'withdrawn' | 'known' | { short: true; available: Pico }> {
    const { consumerId, amount, reference, reason } = payment;
    const at = this.#clock.wallMs();
    return await this.#database.transaction(async (sql) => {
      const available = (await lockAvailable(sql, consumerId)) ?? 0n;
      const [known] = await sql<{ consumer_id: string; amount: Pico }[]>`
        select consumer_id, amount from withdrawals where id = ${reference}`;
      if (known) {
        if (known.consumer_id === consumerId && known.amount === amount) return 'known';
        throw new Fault('conflict', { outer: 'This reference is of another payment.' });
      }
      const most = available < amount ? available : least(available, await paidInAndLeft(sql, consumerId));
      if (most < amount) return { short: true, available: most };
      await sql`
        insert into withdrawals (id, consumer_id, amount, reason, at)
        values (${reference}, ${consumerId}, ${amount}, ${reason}, ${new Date(at)})`;
      await writeEntries(sql, [withdrawalEntry({ id: reference, at, amount, consumerId })]);
      return 'withdrawn';
    });
  }
}

/**
 * Of what a consumer paid in, what is neither spent nor gone again. What the market gave is spent first
 * (`ledger/spent-money.ts`), so whatever else is in the balance was given.
 */
async function paidInAndLeft(sql: Sql, consumerId: string): Promise<Pico> {
  const [row] = await sql<{ left: Pico }[]>`
    with ${spentMoney(sql, { consumers: consumerId, until: EVER })}
    select (
      (
        select coalesce(sum(leg.amount), 0) from entries e, unnest(e.accounts, e.amounts) as leg(account, amount)
        where e.kind in ('deposit', 'withdrawal') and leg.account = ${consumerAccount(consumerId)}
          and e.accounts @> array[${consumerAccount(consumerId)}]::text[]
      )
      - (select coalesce(sum(amount), 0) from card_reversals where consumer_id = ${consumerId} and not reinstated)
      - (select coalesce(sum(paid), 0) from spent)
    )::numeric as left`;
  return row && row.left > 0n ? row.left : 0n;
}

/** Whatever label a request has. */
const EVER = Date.UTC(9_999, 0);

/**
 * Notes a deposit and books it where it is to be booked, within the caller's transaction. `known`: it is there already, on
 * the same terms; on others it throws a `conflict`.
 */
export async function receive(sql: Sql, at: number, deposit: Deposit): Promise<'booked' | 'noted' | 'known'> {
  const { id, method, consumerId, asset, units, value, bonus, state, source, receivedAt } = deposit;
  const [made] = await sql`
    insert into deposits (id, method, consumer_id, asset, units, value, bonus, state, source, received_at, booked_at)
    values (
      ${id}, ${method}, ${consumerId}, ${asset}, ${units}, ${value}, ${bonus}, ${state}, ${source},
      ${new Date(receivedAt)}, ${state === 'booked' ? new Date(at) : null}
    )
    on conflict (id) do nothing returning id`;
  if (!made) {
    const [known] = await sql<{ consumer_id: string; units: bigint; asset: Asset }[]>`
      select consumer_id, units, asset from deposits where id = ${id}`;
    if (known?.consumer_id === consumerId && known.units === units && known.asset === asset) return 'known';
    throw new Fault('conflict', { outer: 'This payment was booked before, for another consumer or amount.' });
  }
  if (state !== 'booked') return 'noted';
  await credit(sql, at, deposit);
  return 'booked';
}

async function credit(sql: Sql, at: number, deposit: Deposit): Promise<void> {
  const { id, consumerId, value, bonus } = deposit;
  await openAccount(sql, { account: consumerAccount(consumerId), kind: 'consumer' });
  await writeEntries(sql, [
    depositEntry({ id, at, consumerId, amount: value ?? 0n }),
    ...(bonus > 0n ? [bonusEntry({ id, at, consumerId, amount: bonus })] : []),
  ]);
}

interface Row {
  id: string;
  method: Deposit['method'];
  consumer_id: string;
  asset: Asset;
  units: bigint;
  value: Pico | null;
  bonus: Pico;
  state: Deposit['state'];
  source: string;
  received_at: Date;
}

function depositOf(row: Row): Deposit {
  const { id, method, asset, units, value, bonus, state, source } = row;
  const receivedAt = row.received_at.getTime();
  return { id, method, consumerId: row.consumer_id, asset, units, value, bonus, state, source, receivedAt };
}
