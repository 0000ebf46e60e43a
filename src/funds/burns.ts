import { burnedIn } from '#chain/burns.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import type { Database } from '#db/database.ts';
import { valueOf } from '#domain/asset.ts';
import type { Hex } from '#domain/hex.ts';
import { formatUsd, type Pico } from '#domain/money.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { writeEntries } from '#ledger/book.ts';
import { BURN } from '#ledger/chart.ts';
import { burnEntry } from '#ledger/funds-entries.ts';
import { rateAt } from './rates.ts';

/**
 * What was burned of SWAN with the money that charges set aside for it. The operator buys SWAN, sends it where nobody can
 * spend it, and tells the transaction. The chain is asked whether that is so; the ledger then books what was spent, never more
 * than is set aside. A transaction counts once.
 */
export interface Burn {
  readonly transaction: Hex;
  readonly chainId: number;
  readonly units: bigint;
  readonly spent: Pico;
  readonly verified: boolean;
  readonly actor: string;
  /** Wall milliseconds. */
  readonly at: number;
}

export type BurnAnswer =
  | { readonly state: 'noted' | 'known'; readonly burn: Burn }
  /** Not noted, and why in a sentence. */
  | { readonly state: 'refused'; readonly reason: string };

type BurnChain = Pick<MarketChain, 'chain' | 'assets' | 'confirmations'>;

export class Burns {
  readonly #database: Database;
  readonly #chain: BurnChain | undefined;
  readonly #clock: Clock;

  constructor(parts: { database: Database; chain: BurnChain | undefined; clock: Clock }) {
    this.#database = parts.database;
    this.#chain = parts.chain;
    this.#clock = parts.clock;
  }

  /**
   * Notes a burn. `units` is what the operator says was burned: the chain must have seen at least as much; `spent` is what it
   * cost, the value of what was burned at the rate of now where it is left out. With `unverified` the operator's word is
   * taken, and `units` and the chain's id are needed. Throws `conflict` when the transaction was noted with other amounts.
   */
  async note(about: {
    transaction: Hex;
    units?: bigint | undefined;
    spent?: Pico | undefined;
    unverified?: { chainId: number } | undefined;
    actor: string;
  }): Promise<BurnAnswer> {
    const chainId = about.unverified?.chainId ?? this.#chain?.chain.id;
    if (chainId === undefined) return refused('There is no chain to ask.');
    const id = `${chainId}:${about.transaction}`;
    const known = await this.#find(id);
    if (known) return this.#known(known, about);
    const found = about.unverified
      ? about.units === undefined
        ? 'Say how much was burned.'
        : about.units
      : await this.#seen(about.transaction, about.units);
    if (typeof found === 'string') return refused(found);
    const at = this.#clock.wallMs();
    const spent = about.spent ?? (await this.#worth(found, at));
    if (spent === undefined) return refused('SWAN has no rate: say what the burn cost.');
    if (spent <= 0n) return refused('A burn costs more than nothing.');
    const burn: Burn = {
      transaction: about.transaction,
      chainId,
      units: found,
      spent,
      verified: about.unverified === undefined,
      actor: about.actor,
      at,
    };
    return await this.#database.transaction(async (sql) => {
      // Burns wait for each other here, so what is read below stays true until the commit.
      const [account] = await sql<{ balance: Pico }[]>`
        select balance from accounts where id = ${BURN} for no key update`;
      const [there] = await sql<Row[]>`select * from burns where id = ${id}`;
      if (there) return this.#known(burnOf(there), about);
      const due = account?.balance ?? 0n;
      if (due < spent) {
        return refused(`${formatUsd(due)} is set aside for burning, and this cost ${formatUsd(spent)}.`);
      }
      await sql`
        insert into burns (id, chain_id, transaction, units, spent, verified, actor, at)
        values (
          ${id}, ${chainId}, ${burn.transaction}, ${burn.units}, ${spent}, ${burn.verified}, ${burn.actor}, ${new Date(at)}
        )`;
      await writeEntries(sql, [burnEntry({ id, at, amount: spent })]);
      return { state: 'noted', burn };
    });
  }

  /** The burns, newest first, at most `limit`. */
  async list(limit: number): Promise<Burn[]> {
    const rows = await this.#database.sql<Row[]>`select * from burns order by at desc, id limit ${limit}`;
    return rows.map(burnOf);
  }

  #known(burn: Burn, about: { units?: bigint | undefined; spent?: Pico | undefined }): BurnAnswer {
    const same =
      (about.spent === undefined || about.spent === burn.spent) &&
      (about.units === undefined || about.units <= burn.units);
    if (!same)
      throw new Fault('conflict', { outer: 'This transaction was noted before with other amounts.' });
    return { state: 'known', burn };
  }

  async #find(id: string): Promise<Burn | undefined> {
    const [row] = await this.#database.sql<Row[]>`select * from burns where id = ${id}`;
    return row && burnOf(row);
  }

  /** What the chain saw burned; a sentence where that does not do. */
  async #seen(transaction: Hex, stated: bigint | undefined): Promise<bigint | string> {
    const swan = this.#chain?.assets.find(({ asset }) => asset === 'SWAN');
    if (!this.#chain || !swan) return 'This market knows no SWAN on its chain.';
    const { chain, confirmations } = this.#chain;
    const finding = await burnedIn(chain, { token: swan.token, transaction, confirmations });
    switch (finding.state) {
      case 'absent':
        return 'The transaction is in no block yet.';
      case 'shallow':
        return `The transaction has ${finding.depth} of ${confirmations} confirmations.`;
      case 'failed':
        return 'The transaction failed.';
      case 'other':
        return 'The transaction burned no SWAN.';
      default:
        return stated !== undefined && finding.units < stated
          ? 'The transaction burned less than that.'
          : finding.units;
    }
  }

  async #worth(units: bigint, at: number): Promise<Pico | undefined> {
    const picoPerToken = await rateAt(this.#database.sql, 'SWAN', at);
    const decimals = this.#chain?.assets.find(({ asset }) => asset === 'SWAN')?.decimals ?? SWAN_DECIMALS;
    return picoPerToken === undefined ? undefined : valueOf(units, { decimals, picoPerToken });
  }
}

const SWAN_DECIMALS = 18;

function refused(reason: string): BurnAnswer {
  return { state: 'refused', reason };
}

interface Row {
  transaction: Hex;
  chain_id: bigint;
  units: bigint;
  spent: Pico;
  verified: boolean;
  actor: string;
  at: Date;
}

function burnOf(row: Row): Burn {
  const { transaction, units, spent, verified, actor } = row;
  return { transaction, chainId: Number(row.chain_id), units, spent, verified, actor, at: row.at.getTime() };
}
