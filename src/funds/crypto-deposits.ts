import { cursorOf, moveCursor } from '#chain/cursor-table.ts';
import type { AddressTree } from '#chain/derived-address.ts';
import type { Chain } from '#chain/rpc.ts';
import { transfersTo } from '#chain/transfers.ts';
import { type Cursor, cursorBefore } from '#chain/watch.ts';
import type { Database } from '#db/database.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address } from '#domain/hex.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { nextIndex } from './deposit-addresses.ts';
import { DEPOSIT_TERMS, type DepositTerms, judgeTransfer } from './deposit-rules.ts';
import { receive } from './deposits.ts';
import { rateAt } from './rates.ts';
import { noteStranger } from './strangers.ts';

/**
 * Tokens that consumers send to their addresses. Read in rounds, token by token, from blocks that are `confirmations` deep:
 * a shallower reorganisation is never seen, so what was credited is never taken back. A deeper one stops the reading until
 * a person has looked (`chain-reorganised`).
 *
 * What was read is booked in one transaction with how far was read. A process that dies before it has read nothing; of two
 * processes one moves the mark, and the other finds it moved. And a deposit is named by its chain, transaction and place,
 * so that reading the same blocks again books nothing.
 *
 * The next addresses that nobody was given are watched too: tokens there say that this ledger has forgotten whom it gave
 * them to (`strangers.ts`).
 */
export class CryptoDeposits {
  readonly #database: Database;
  readonly #chain: Chain;
  readonly #tree: AddressTree | undefined;
  #derived: ReadonlyMap<number, Address> = new Map();
  readonly #assets: readonly ChainAsset[];
  readonly #confirmations: number;
  readonly #firstBlock: bigint;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #terms: DepositTerms;
  readonly #blocksMax: number | undefined;

  constructor(parts: {
    database: Database;
    chain: Chain;
    /** Whose next addresses are watched as well. */
    tree?: AddressTree;
    assets: readonly ChainAsset[];
    confirmations: number;
    /** Where reading begins the first time. */
    firstBlock: bigint;
    clock: Clock;
    log: Logger;
    terms?: DepositTerms;
    blocksMax?: number;
  }) {
    this.#database = parts.database;
    this.#chain = parts.chain;
    this.#tree = parts.tree;
    this.#assets = parts.assets;
    this.#confirmations = parts.confirmations;
    this.#firstBlock = parts.firstBlock;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#terms = parts.terms ?? DEPOSIT_TERMS;
    this.#blocksMax = parts.blocksMax;
  }

  /** Reads everything that is deep enough; how many deposits were booked. Throws when the chain cannot be asked. */
  async round(): Promise<number> {
    await this.#chain.checkId();
    let booked = 0;
    for (const asset of this.#assets) booked += await this.#read(asset);
    return booked;
  }

  async #read(asset: ChainAsset): Promise<number> {
    const reader = `deposits:${this.#chain.id}:${asset.token}`;
    let booked = 0;
    for (;;) {
      const kept = await cursorOf(this.#database.sql, reader);
      const cursor = kept ?? (await cursorBefore(this.#chain, this.#firstBlock));
      const reading = await transfersTo(this.#chain, {
        token: asset.token,
        receivers: () => this.#receivers(),
        cursor,
        confirmations: this.#confirmations,
        ...(this.#blocksMax !== undefined && { blocksMax: this.#blocksMax }),
      });
      if (reading.cursor.block === cursor.block) return booked;
      const more = await this.#book(asset, reader, { kept, ...reading });
      // Another process is reading too.
      if (more === 'moved') return booked;
      booked += more;
      if (reading.behind === 0n) return booked;
    }
  }

  async #book(
    asset: ChainAsset,
    reader: string,
    read: {
      kept: Cursor | undefined;
      cursor: Cursor;
      transfers: Awaited<ReturnType<typeof transfersTo>>['transfers'];
    },
  ): Promise<number | 'moved'> {
    const sentAt = new Map<bigint, number>();
    for (const { block } of read.transfers) {
      if (!sentAt.has(block))
        sentAt.set(block, Number((await this.#chain.block(block))?.timestamp ?? 0n) * 1_000);
    }
    const at = this.#clock.wallMs();
    return await this.#database.transaction(async (sql) => {
      if (!(await moveCursor(sql, reader, { from: read.kept, to: read.cursor }))) return 'moved';
      let booked = 0;
      for (const transfer of read.transfers) {
        const [owner] = await sql<{ consumer_id: string }[]>`
          select consumer_id from deposit_addresses where address = ${transfer.to}`;
        if (!owner) {
          const id = `${this.#chain.id}:${transfer.id}`;
          const detail = `${transfer.units} units of ${asset.asset} at ${transfer.to}, which was given to nobody`;
          await noteStranger(sql, { id, what: 'deposit', detail, foundAt: at });
          this.#log.error(
            { code: 'ledger-behind-chain', deposit: id },
            'Tokens are at an address that was given to nobody.',
          );
          continue;
        }
        const receivedAt = sentAt.get(transfer.block) ?? at;
        const picoPerToken = await rateAt(sql, asset.asset, receivedAt);
        const verdict = judgeTransfer(
          { asset: asset.asset, units: transfer.units, decimals: asset.decimals },
          { picoPerToken, terms: this.#terms },
        );
        const answer = await receive(sql, at, {
          id: `${this.#chain.id}:${transfer.id}`,
          method: 'crypto',
          consumerId: owner.consumer_id,
          asset: asset.asset,
          units: transfer.units,
          ...verdict,
          source: transfer.from,
          receivedAt,
        });
        if (answer === 'booked') booked += 1;
        this.#log.info(
          {
            deposit: transfer.id,
            asset: asset.asset,
            units: `${transfer.units}`,
            state: verdict.state,
            answer,
          },
          'A deposit arrived on the chain.',
        );
      }
      return booked;
    });
  }

  async #receivers(): Promise<Address[]> {
    const { sql } = this.#database;
    // First what is next, then what was given: whoever is given an address in between is among the second.
    const next = this.#tree ? this.#ahead(this.#tree, await nextIndex(sql)) : [];
    const rows = await sql<{ address: Address }[]>`select address from deposit_addresses`;
    return [...new Set([...rows.map(({ address }) => address), ...next])];
  }

  /** Deriving an address takes a millisecond, so those of the last time are kept. */
  #ahead(tree: AddressTree, first: number): Address[] {
    const indices = Array.from({ length: LOOKED_AHEAD }, (_, i) => first + i);
    const known = this.#derived;
    this.#derived = new Map(indices.map((index) => [index, known.get(index) ?? tree.address(index)]));
    return [...this.#derived.values()];
  }
}

/** How many addresses that nobody was given are watched. A backup of yesterday has forgotten no more than were given since. */
const LOOKED_AHEAD = 20;
