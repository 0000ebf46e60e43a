import type { Cursor } from '#chain/watch.ts';
import type { Database, Sql } from '#db/database.ts';
import type { Address, Hex } from '#domain/hex.ts';
import type { Pico } from '#domain/money.ts';
import { dayName, dayStart } from '#domain/window.ts';
import { Fault } from '#kit/fault.ts';
import { claimEntry, payoutEntry, revokedPayoutEntry } from '#ledger/entries.ts';
import type { ClaimRow, Owed, Payout } from './batch.ts';
import { dollarBook, type PayoutBook } from './payout-book.ts';
import { type Trail, trailOf } from './trail.ts';

/** Which contract pays, in which token. Addresses in lower case. */
export interface Scope {
  readonly chainId: number;
  readonly contract: Address;
  readonly token: Address;
}

/** The end of a day, or of a part of it, by the sequence of entries. */
export interface Cut {
  readonly id: bigint;
  readonly day: string;
  readonly cut: bigint;
  readonly nothingDue: boolean;
  /** Whether a batch was made of it. */
  readonly used: boolean;
}

/**
 * - `pending`: made and in the ledger; the chain may not know of it.
 * - `submitted`: the transaction that publishes it is stored and sent.
 * - `confirmed`: published, deep enough in the chain.
 * - `revoked`: a guardian took it back; its payouts are in the balances again.
 */
export type SettlementState = 'pending' | 'submitted' | 'confirmed' | 'revoked';

/** What a batch is, for ever. */
export interface SettlementTerms {
  readonly number: number;
  readonly day: string;
  readonly cut: bigint;
  readonly decimals: number;
  readonly picoPerToken: Pico;
  readonly minimum: Pico;
  readonly previous: Hex | null;
  readonly accounts: number;
  readonly increase: bigint;
  readonly total: bigint;
  readonly root: Hex;
  readonly claimsHash: Hex;
  /** Wall milliseconds. */
  readonly madeAt: number;
}

export interface Settlement extends SettlementTerms {
  readonly id: string;
  readonly state: SettlementState;
  readonly attempt: number;
}

export interface SeenClaim {
  readonly eventId: string;
  readonly account: Address;
  readonly units: bigint;
  readonly cumulative: bigint;
  readonly block: bigint;
  readonly transaction: Hex;
}

interface Row {
  id: string;
  number: bigint;
  day: string;
  cut: bigint;
  decimals: number;
  pico_per_token: Pico;
  minimum: Pico;
  previous: Hex | null;
  accounts: bigint;
  increase: bigint;
  total: bigint;
  root: Hex;
  claims_hash: Hex;
  made_at: Date;
  state: SettlementState;
  attempt: number;
}

/** Rows of an insert at a time. */
const CHUNK = 5_000;

/**
 * What settlement keeps, for one contract and token, and one ledger that is paid out of. Each writing method is one transaction that can be repeated: what it
 * did is there after any crash, and what it did not do was never there.
 */
export class SettlementStore {
  readonly #database: Database;
  readonly #book: PayoutBook;
  readonly scope: Scope;

  constructor(database: Database, scope: Scope, book: PayoutBook = dollarBook) {
    this.#database = database;
    this.scope = scope;
    this.#book = book;
  }

  /**
   * Ends a day: notes the last entry that counts for it, once. Every entry up to it is committed by then, and none comes
   * later: writers of entries wait for a moment. The labels of entries say which was the last of a day; those that were
   * written late, or by a clock that had jumped, belong to the day that is cut next after they were written.
   *
   * `final` when the day is over; the final cut of a day is made once. Others may come before it.
   */
  async makeCut(day: number, options: { final: boolean; at: number }): Promise<Cut> {
    const { chainId, contract, token } = this.scope;
    const name = dayName(day);
    return await this.#database.transaction(async (sql) => {
      if (options.final) {
        const [known] = await this.#finalCut(sql, name);
        if (known) return known;
      }
      await sql`set local lock_timeout = '10s'`;
      await this.#book.lock(sql);
      const [last] = await sql<{ cut: bigint }[]>`
        select coalesce(max(cut), 0)::bigint as cut from settlement_cuts
        where chain_id = ${chainId} and contract = ${contract} and token = ${token}`;
      const after = last?.cut ?? 0n;
      const cut = (await this.#book.newest(sql, { after, before: new Date(dayStart(day + 1)) })) ?? after;
      const [made] = await sql<{ id: bigint }[]>`
        insert into settlement_cuts (chain_id, contract, token, day, cut, final, made_at)
        values (${chainId}, ${contract}, ${token}, ${name}, ${cut}, ${options.final}, ${new Date(options.at)})
        on conflict do nothing returning id`;
      if (made) return { id: made.id, day: name, cut, nothingDue: false, used: false };
      const [other] = await this.#finalCut(sql, name);
      if (!other) throw new Fault('internal', { inner: `The cut of ${name} was made and is not there.` });
      return other;
    });
  }

  /** Where a cut of this day would be now. Keeps nothing, and waits for nobody. */
  async cutAsOf(day: number): Promise<{ cut: bigint; name: string }> {
    const before = new Date(dayStart(day + 1));
    const newest = await this.#book.newest(this.#database.sql, { after: 0n, before });
    return { cut: newest ?? 0n, name: dayName(day) };
  }

  /** The final cut of a day, if it was made. */
  async finalCut(day: number): Promise<Cut | undefined> {
    return (await this.#finalCut(this.#database.sql, dayName(day)))[0];
  }

  #finalCut(sql: Sql, day: string): Promise<Cut[]> {
    const { chainId, contract, token } = this.scope;
    return sql<Cut[]>`
      select c.id, c.day, c.cut, c.nothing_due as "nothingDue", s.id is not null as used
      from settlement_cuts c left join settlements s on s.cut_id = c.id
      where c.chain_id = ${chainId} and c.contract = ${contract} and c.token = ${token} and c.day = ${day} and c.final`;
  }

  async noteNothingDue(cutId: bigint): Promise<void> {
    await this.#database.sql`update settlement_cuts set nothing_due = true where id = ${cutId}`;
  }

  /**
   * What each provider is owed by the entries up to `cut`, less everything that was ever paid out. Computed backwards from
   * the balance, so that only what came after the cut is read. With the wallet that it has proven and that counts at `at`.
   */
  async owedBy(cut: bigint, at: number): Promise<Owed[]> {
    const rows = await this.#book.owedBy(this.#database.sql, cut, at);
    return rows.map(({ provider, owed, wallet }) => ({
      providerId: provider,
      owed,
      wallet: wallet ?? undefined,
    }));
  }

  /** What each account was ever promised, up to and with batch `number`; revoked batches promised nothing. */
  async promisedBy(number: number): Promise<Map<Address, bigint>> {
    const { chainId, contract, token } = this.scope;
    const rows = await this.#database.sql<{ account: Address; units: bigint }[]>`
      select p.account, sum(p.units) as units
      from settlement_payouts p join settlements s on s.id = p.settlement_id
      where s.chain_id = ${chainId} and s.contract = ${contract} and s.token = ${token}
        and s.number <= ${number} and s.state <> 'revoked'
      group by p.account`;
    return new Map(rows.map(({ account, units }) => [account, units]));
  }

  /** The rows of a batch's claims file: every account that was promised something by then, in order. */
  async rowsOf(settlement: Settlement): Promise<ClaimRow[]> {
    const { chainId, contract, token } = this.scope;
    // A batch that was revoked later still has its file; those revoked before it are not in it.
    return await this.#database.sql<ClaimRow[]>`
      select p.account, sum(p.units) as cumulative,
        coalesce(sum(p.units) filter (where s.number = ${settlement.number}), 0) as increase
      from settlement_payouts p join settlements s on s.id = p.settlement_id
      where s.chain_id = ${chainId} and s.contract = ${contract} and s.token = ${token}
        and (s.number = ${settlement.number} or (s.number < ${settlement.number} and s.state <> 'revoked'))
      group by p.account order by p.account collate "C"`;
  }

  /**
   * Keeps a new batch as `pending`, and takes its payouts out of the balances, in one transaction. False when another
   * process made a batch meanwhile: then nothing was done.
   */
  async make(terms: SettlementTerms, cutId: bigint, payouts: readonly Payout[]): Promise<boolean> {
    const { chainId, contract, token } = this.scope;
    const id = `${chainId}:${contract}:${token}:${terms.number}`;
    return await this.#database.transaction(async (sql) => {
      await sql`select pg_advisory_xact_lock(hashtextextended(${`settlement ${contract} ${token}`}, 0))`;
      const [busy] = await sql`
        select 1 from settlements
        where chain_id = ${chainId} and contract = ${contract} and token = ${token}
          and (number >= ${terms.number} or state in ('pending', 'submitted')) limit 1`;
      if (busy) return false;
      await sql`
        insert into settlements (
          id, chain_id, contract, token, number, cut_id, day, cut, decimals, pico_per_token, minimum, previous, accounts,
          increase, total, root, claims_hash, made_at, asset
        ) values (
          ${id}, ${chainId}, ${contract}, ${token}, ${terms.number}, ${cutId}, ${terms.day}, ${terms.cut},
          ${terms.decimals}, ${terms.picoPerToken}, ${terms.minimum}, ${terms.previous}, ${terms.accounts},
          ${terms.increase}, ${terms.total}, ${terms.root}, ${terms.claimsHash}, ${new Date(terms.madeAt)}, ${this.#book.asset}
        )`;
      for (let i = 0; i < payouts.length; i += CHUNK) {
        const some = payouts.slice(i, i + CHUNK);
        await sql`
          insert into settlement_payouts (settlement_id, provider_id, account, units, paid)
          select ${id}::text, provider, account, units, paid from unnest(
            ${some.map((each) => each.providerId)}::text[], ${some.map((each) => each.account)}::text[],
            ${some.map((each) => each.units)}::numeric[], ${some.map((each) => each.paid)}::numeric[]
          ) as t(provider, account, units, paid)`;
        await this.#book.write(
          sql,
          some.map((each) => payoutEntry({ ...each, settlementId: id, at: terms.madeAt })),
        );
      }
      return true;
    });
  }

  /** The newest batch, revoked ones included. */
  async last(): Promise<Settlement | undefined> {
    return (await this.list(1))[0];
  }

  /** The newest batch before `number` that was not revoked. */
  async before(number: number): Promise<Settlement | undefined> {
    const { chainId, contract, token } = this.scope;
    const [row] = await this.#database.sql<Row[]>`
      select * from settlements
      where chain_id = ${chainId} and contract = ${contract} and token = ${token}
        and number < ${number} and state <> 'revoked'
      order by number desc limit 1`;
    return row && settlementOf(row);
  }

  async find(number: number): Promise<Settlement | undefined> {
    const { chainId, contract, token } = this.scope;
    const [row] = await this.#database.sql<Row[]>`
      select * from settlements
      where chain_id = ${chainId} and contract = ${contract} and token = ${token} and number = ${number}`;
    return row && settlementOf(row);
  }

  /** Newest first. */
  async list(limit: number): Promise<Settlement[]> {
    const { chainId, contract, token } = this.scope;
    const rows = await this.#database.sql<Row[]>`
      select * from settlements where chain_id = ${chainId} and contract = ${contract} and token = ${token}
      order by number desc limit ${limit}`;
    return rows.map(settlementOf);
  }

  async payoutsOf(settlement: Settlement, limit: number): Promise<Omit<Payout, 'remainder'>[]> {
    return await this.#database.sql<Omit<Payout, 'remainder'>[]>`
      select provider_id as "providerId", account, units, paid from settlement_payouts
      where settlement_id = ${settlement.id} order by provider_id limit ${limit}`;
  }

  /** What a provider was paid, by batch, newest first. */
  async payoutsTo(
    providerId: string,
    limit: number,
  ): Promise<{ settlement: Settlement; account: Address; units: bigint; paid: Pico }[]> {
    const { chainId, contract, token } = this.scope;
    const rows = await this.#database.sql<(Row & { account: Address; units: bigint; paid: Pico })[]>`
      select s.*, p.account, p.units, p.paid from settlement_payouts p join settlements s on s.id = p.settlement_id
      where p.provider_id = ${providerId}
        and s.chain_id = ${chainId} and s.contract = ${contract} and s.token = ${token}
      order by s.number desc limit ${limit}`;
    return rows.map((row) => ({
      settlement: settlementOf(row),
      account: row.account,
      units: row.units,
      paid: row.paid,
    }));
  }

  /** Moves a batch on, at `at`. False when it was not in that state and attempt any more: another process was faster. */
  async move(
    settlement: Settlement,
    to: { state: 'submitted' | 'confirmed' | 'pending'; attempt?: number; at: number },
  ): Promise<boolean> {
    const { state, attempt = settlement.attempt, at } = to;
    const moved = await this.#database.sql`
      with moved as (
        update settlements set state = ${state}, attempt = ${attempt}
        where id = ${settlement.id} and state = ${settlement.state} and attempt = ${settlement.attempt}
        returning id
      ), noted as (
        insert into settlement_moves (settlement_id, move, attempt, at)
        select id, ${state}, ${attempt}::integer, ${new Date(at)}::timestamptz from moved
        on conflict do nothing
      )
      select id from moved`;
    return moved.count === 1;
  }

  /** Notes, once, that a batch can no longer be revoked. */
  async noteInForce({ id, attempt }: Settlement, at: number): Promise<void> {
    await this.#database.sql`
      insert into settlement_moves (settlement_id, move, attempt, at)
      values (${id}, 'in-force', ${attempt}, ${new Date(at)}) on conflict do nothing`;
  }

  /** How a batch went on. */
  async trailOf(settlement: Settlement): Promise<Trail> {
    return await trailOf(this.#database.sql, this.scope, settlement);
  }

  // --- what the chain says -------------------------------------------------------------------------------------------

  async cursor(): Promise<Cursor | undefined> {
    const [row] = await this.#database.sql<Cursor[]>`
      select block, hash from chain_cursors where reader = ${this.#reader}`;
    return row;
  }

  /**
   * Keeps what was read after `from`, posts its entries, and moves the cursor on. False, and nothing done, when another
   * process has read on from there. Throws `settlement-stopped` when the contract paid what no batch of ours promised.
   */
  async note(
    from: Cursor | undefined,
    read: { cursor: Cursor; claims: readonly SeenClaim[]; revoked: readonly number[]; at: number },
  ): Promise<boolean> {
    return await this.#database.transaction(async (sql) => {
      const { block, hash } = read.cursor;
      const moved = from
        ? await sql`
            update chain_cursors set block = ${block}, hash = ${hash}
            where reader = ${this.#reader} and block = ${from.block} and hash = ${from.hash}`
        : await sql`
            insert into chain_cursors (reader, block, hash) values (${this.#reader}, ${block}, ${hash})
            on conflict do nothing`;
      if (moved.count !== 1) return false;
      for (const number of read.revoked) await this.#revoke(sql, number, read.at);
      for (const claim of read.claims) await this.#claim(sql, claim, read.at);
      return true;
    });
  }

  get #reader(): string {
    const { chainId, contract, token } = this.scope;
    return `settlement:${chainId}:${contract}:${token}`;
  }

  async #revoke(sql: Sql, number: number, at: number): Promise<void> {
    const { chainId, contract, token } = this.scope;
    // A revocation that is deep enough to be read came after a publication that is.
    const [row] = await sql<Row[]>`
      select * from settlements
      where chain_id = ${chainId} and contract = ${contract} and token = ${token} and number = ${number} for update`;
    if (!row) {
      throw new Fault('settlement-stopped', {
        inner: `Batch ${number} was revoked on chain and is not in the ledger.`,
      });
    }
    if (row.state === 'revoked') return;
    if (row.state === 'pending') await sql`update settlements set state = 'submitted' where id = ${row.id}`;
    if (row.state !== 'confirmed') await sql`update settlements set state = 'confirmed' where id = ${row.id}`;
    await sql`update settlements set state = 'revoked' where id = ${row.id}`;
    await sql`
      insert into settlement_moves (settlement_id, move, attempt, at)
      values (${row.id}, 'revoked', ${row.attempt}, ${new Date(at)})`;
    const payouts = await sql<{ providerId: string; account: Address; units: bigint; paid: Pico }[]>`
      select provider_id as "providerId", account, units, paid from settlement_payouts
      where settlement_id = ${row.id} order by provider_id`;
    for (let i = 0; i < payouts.length; i += CHUNK) {
      const some = payouts.slice(i, i + CHUNK);
      await this.#book.write(
        sql,
        some.map((each) => revokedPayoutEntry({ ...each, settlementId: row.id, at })),
      );
    }
  }

  async #claim(sql: Sql, claim: SeenClaim, at: number): Promise<void> {
    const { chainId, contract, token } = this.scope;
    const { eventId, account, units, cumulative, block, transaction } = claim;
    // A claim collects whole payouts, from what was claimed before up to its total.
    const [collected] = await sql<{ units: bigint; paid: Pico }[]>`
      select coalesce(sum(units), 0) as units, coalesce(sum(paid), 0) as paid from (
        select p.units, p.paid, sum(p.units) over (order by s.number, p.provider_id) as upto
        from settlement_payouts p join settlements s on s.id = p.settlement_id
        where s.chain_id = ${chainId} and s.contract = ${contract} and s.token = ${token}
          and s.state <> 'revoked' and p.account = ${account}
      ) as payouts where upto > ${cumulative - units} and upto <= ${cumulative}`;
    if (collected?.units !== units) {
      throw new Fault('settlement-stopped', {
        inner: `${account} was paid ${units} on chain, up to ${cumulative}, and the ledger has promised ${collected?.units} of it.`,
      });
    }
    await sql`
      insert into settlement_claims (
        event_id, chain_id, contract, token, account, units, cumulative, paid, block, transaction
      ) values (
        ${eventId}, ${chainId}, ${contract}, ${token}, ${account}, ${units}, ${cumulative}, ${collected.paid}, ${block},
        ${transaction}
      )`;
    await this.#book.write(sql, [claimEntry({ eventId, account, units, paid: collected.paid, at })]);
  }

  /** Everything that was claimed, in units. */
  async claimedByAll(): Promise<bigint> {
    const { chainId, contract, token } = this.scope;
    const [row] = await this.#database.sql<{ claimed: bigint }[]>`
      select coalesce(sum(units), 0) as claimed from settlement_claims
      where chain_id = ${chainId} and contract = ${contract} and token = ${token}`;
    return row?.claimed ?? 0n;
  }

  /** What the account was promised and what it was paid, in units. */
  async standingOf(account: Address): Promise<{ promised: bigint; claimed: bigint }> {
    const { chainId, contract, token } = this.scope;
    const [row] = await this.#database.sql<{ promised: bigint; claimed: bigint }[]>`
      select
        (select coalesce(sum(p.units), 0) from settlement_payouts p join settlements s on s.id = p.settlement_id
         where s.chain_id = ${chainId} and s.contract = ${contract} and s.token = ${token}
           and s.state <> 'revoked' and p.account = ${account}) as promised,
        (select coalesce(sum(units), 0) from settlement_claims
         where chain_id = ${chainId} and contract = ${contract} and token = ${token} and account = ${account}) as claimed`;
    return row ?? { promised: 0n, claimed: 0n };
  }
}

function settlementOf(row: Row): Settlement {
  return {
    id: row.id,
    number: Number(row.number),
    day: row.day,
    cut: row.cut,
    decimals: row.decimals,
    picoPerToken: row.pico_per_token,
    minimum: row.minimum,
    previous: row.previous,
    accounts: Number(row.accounts),
    increase: row.increase,
    total: row.total,
    root: row.root,
    claimsHash: row.claims_hash,
    madeAt: row.made_at.getTime(),
    state: row.state,
    attempt: row.attempt,
  };
}
