import { createHash } from 'node:crypto';
import type { Sender } from '#chain/client.ts';
import {
  announcedBatch,
  batchInForce,
  batchWaiting,
  distributorEvents,
  fundedWith,
  lastBatchNumber,
  publishIntent,
  tokenDecimals,
  transferIntent,
} from '#chain/distributor.ts';
import type { Chain } from '#chain/rpc.ts';
import type { Intent, StoredTransaction, TransactionStore } from '#chain/transactions.ts';
import { cursorBefore } from '#chain/watch.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { dayOf } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { CLAIMS_FORMAT, type ClaimsHeader, encodeClaims } from '#wire/claims.ts';
import { type Batch, type CarriedOver, type ClaimRow, type PayoutTerms, planBatch } from './batch.ts';
import { publishClaims } from './publish.ts';
import type { Cut, SeenClaim, Settlement, SettlementStore, SettlementTerms } from './store.ts';
import { MerkleTree } from './tree.ts';
import { verifyClaims } from './verify.ts';

/**
 * The settlement of a day, as a journey in steps that can each be repeated:
 *
 *     cut -> what is owed -> batch -> pending -> file -> verified -> funded -> submitted -> confirmed -> in force
 *
 * What holds it together is the step to `pending`: one transaction keeps the batch and takes its payouts out of the
 * balances. Before it nothing happened; after it the batch exists for ever, its content never changes, and it is carried
 * on by whoever comes next until the chain has it. So there is nothing to undo after a crash, and two programs that settle
 * at once make one batch: everything after `pending` is done once by its id, however many try.
 *
 * A further batch is made only when the one before can no longer be revoked, because its totals build on it.
 *
 * Every round first compares the chain with the ledger. When they do not fit together (a ledger restored from an old
 * backup, another chain, a batch that we never made) nothing is paid until they do: `settlement-stopped`.
 */
export interface SettlementParts {
  readonly store: SettlementStore;
  readonly chain: Chain;
  /** Signs as the operator. */
  readonly sender: Sender;
  /** Where the sender keeps its transactions. */
  readonly transactions: TransactionStore;
  readonly terms: PayoutTerms;
  /** How deep a block must be to count; 1 is the newest. */
  readonly confirmations: number;
  /** The block from which the contract's events are read at first. */
  readonly firstBlock?: bigint;
  /** Where claims files are kept. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Runs before what was read of the chain is kept: a local chain makes itself durable here. */
  readonly beforeFinal?: () => Promise<void>;
  /** Why nothing may be paid out now, as a sentence: what other rooms found. Asked in each round. */
  readonly heldBy?: (() => Promise<string | undefined>) | undefined;
  /** Makes a block. Only for a chain that makes none by itself: a local one, whose clock else stands still. */
  readonly makeBlock?: () => Promise<void>;
}

/** How far the newest batch is, and what it waits for. */
export interface Progress {
  readonly settlement: Settlement | undefined;
  /**
   * - `settled`: it is in force, or there is none: nothing to do before the next cut.
   * - `locked`: confirmed; can still be revoked.
   * - the others: what is being waited for.
   */
  readonly step: 'settled' | 'locked' | 'funding' | 'previous-locked' | 'publishing';
}

/** What a settlement would pay. */
export interface Plan {
  readonly day: string;
  readonly cut: bigint;
  readonly batch: Batch;
}

/** Events are read in stretches; so many of them in one round at most. */
const STRETCHES_MAX = 500;

export class Settler {
  readonly #parts: SettlementParts;
  readonly #place: { distributor: Address; token: Address };

  constructor(parts: SettlementParts) {
    this.#parts = parts;
    const { contract, token } = parts.store.scope;
    this.#place = { distributor: contract, token };
  }

  /**
   * One round: carries on what is under way, reads what was claimed, and, once a day is over, ends it and makes its batch.
   * Throws when the chain or the database does not answer; nothing is lost. Throws `settlement-stopped` when a person has
   * to look.
   */
  async round(): Promise<Progress> {
    const progress = await this.carryOn();
    if (progress.step !== 'settled') return progress;
    const { store, clock } = this.#parts;
    const yesterday = dayOf(clock.wallMs()) - 1;
    const known = await store.finalCut(yesterday);
    if (known?.used || known?.nothingDue) return progress;
    const cut = known ?? (await store.makeCut(yesterday, { final: true, at: clock.wallMs() }));
    return (await this.#make(cut)) ? await this.carryOn() : progress;
  }

  /**
   * Settles through a day, which may be today: everything that is in the ledger and belongs to it by then. Undefined when
   * nothing is due. Throws `settlement-busy` while an earlier batch is under way.
   */
  async settle(day: number): Promise<Progress | undefined> {
    const { store, clock } = this.#parts;
    const today = dayOf(clock.wallMs());
    if (day > today)
      throw new Fault('settlement-busy', { inner: 'A day that has not begun cannot be settled.' });
    const progress = await this.carryOn();
    if (progress.step !== 'settled') {
      throw new Fault('settlement-busy', {
        inner: `Batch ${progress.settlement?.number} is still under way (${progress.step}).`,
      });
    }
    const at = clock.wallMs();
    let cut = await store.makeCut(day, { final: day < today, at });
    // What was ended before and settled leaves nothing of that day.
    if (cut.used || cut.nothingDue) cut = await store.makeCut(day, { final: false, at });
    return (await this.#make(cut)) ? await this.carryOn() : undefined;
  }

  /** Of the token that it pays in. */
  get decimals(): number {
    return this.#parts.terms.decimals;
  }

  /** What `settle` would pay now. Changes nothing. */
  async plan(day: number): Promise<Plan> {
    const { store } = this.#parts;
    const { cut, name } = await store.cutAsOf(day);
    const { batch } = await this.#plan(cut);
    return { day: name, cut, batch };
  }

  /** Carries on what is under way, as far as it goes now. */
  async carryOn(): Promise<Progress> {
    await this.#parts.sender.advance();
    await this.#endTimeLock();
    await this.check();
    await this.#watch();
    const { store } = this.#parts;
    for (;;) {
      const settlement = await store.last();
      if (!settlement || settlement.state === 'revoked') return { settlement, step: 'settled' };
      if (settlement.state === 'confirmed') {
        return { settlement, step: (await this.#inForce(settlement)) ? 'settled' : 'locked' };
      }
      const waiting =
        settlement.state === 'pending' ? await this.#submit(settlement) : await this.#confirm(settlement);
      if (waiting) return { settlement: await store.last(), step: waiting };
    }
  }

  /**
   * Compares what the chain and the ledger say of each other's batches. Throws `settlement-stopped` when one of them must be
   * of another world: then nothing may be paid on the word of either.
   */
  async check(): Promise<void> {
    const { store, chain, terms } = this.#parts;
    await chain.checkId();
    const decimals = await tokenDecimals(chain, this.#place.token);
    if (decimals !== terms.decimals) {
      stop(`The token has ${decimals} decimals, and this market is set to ${terms.decimals}.`);
    }
    const held = await this.#parts.heldBy?.();
    if (held !== undefined) stop(held);
    const onChain = await lastBatchNumber(chain, this.#place);
    const last = await store.last();
    const known = last?.number ?? 0;
    if (onChain > known) {
      stop(
        `The chain has batch ${onChain} and the ledger ends with ${known}. The ledger is older than the chain: was a backup restored? Payouts stay stopped until the newest ledger is back.`,
      );
    }
    const underWay = last?.state === 'pending' || last?.state === 'submitted';
    const certain = underWay ? known - 1 : known;
    if (onChain < certain) {
      stop(
        `The ledger has ${certain} confirmed batches and the contract only ${onChain}. Is this the chain and the contract that were used before?`,
      );
    }
    for (const there of [await batchInForce(chain, this.#place), await batchWaiting(chain, this.#place)]) {
      if (there.number === 0) continue;
      const ours = await store.find(there.number);
      if (ours?.root === there.root && ours.total === there.total) continue;
      stop(
        `Batch ${there.number} on chain has the root ${there.root} and the total ${there.total}; in the ledger ${ours?.root} and ${ours?.total}. Payouts stay stopped.`,
      );
    }
  }

  // --- making ---------------------------------------------------------------------------------------------------------

  async #plan(cut: bigint): Promise<{ batch: Batch; previous: Settlement | undefined; last: number }> {
    const { store, terms, clock } = this.#parts;
    const newest = await store.last();
    const last = newest?.number ?? 0;
    const previous = await store.before(last + 1);
    const before = await store.promisedBy(last);
    return { batch: planBatch(await store.owedBy(cut, clock.wallMs()), before, terms), previous, last };
  }

  /** False when nothing is due. */
  async #make(cut: Cut): Promise<boolean> {
    const { store, terms, clock, log } = this.#parts;
    const { batch, previous, last } = await this.#plan(cut.cut);
    noteCarriedOver(log, cut, batch.carriedOver);
    if (batch.increase === 0n) {
      await store.noteNothingDue(cut.id);
      log.info({ day: cut.day, cut: cut.cut }, 'A day was ended, and nobody is due a payout.');
      return false;
    }
    const tree = new MerkleTree(store.scope, batch.rows);
    const draft: Omit<SettlementTerms, 'claimsHash'> = {
      number: last + 1,
      day: cut.day,
      cut: cut.cut,
      decimals: terms.decimals,
      picoPerToken: terms.picoPerToken,
      minimum: terms.minimum,
      previous: previous?.claimsHash ?? null,
      accounts: batch.rows.length,
      increase: batch.increase,
      total: batch.total,
      root: tree.root,
      madeAt: clock.wallMs(),
    };
    const claimsHash = hashOf(headerOf(store, draft), batch.rows);
    if (await store.make({ ...draft, claimsHash }, cut.id, batch.payouts)) {
      log.info(
        {
          batch: draft.number,
          day: cut.day,
          cut: cut.cut,
          payouts: batch.payouts.length,
          carriedOver: batch.carriedOver.length,
          increase: batch.increase,
        },
        'A batch was made.',
      );
    }
    return true;
  }

  /** The claims file of a batch, written where it is missing. The same bytes whenever it is written. */
  async fileOf(settlement: Settlement): Promise<string> {
    const { store, folder } = this.#parts;
    return await writeClaims(store, folder, settlement);
  }

  // --- publishing -----------------------------------------------------------------------------------------------------

  /** What is being waited for; undefined when the batch is submitted. */
  async #submit(settlement: Settlement): Promise<Progress['step'] | undefined> {
    const { store, chain, sender, transactions, clock } = this.#parts;
    const intent = this.#publication(settlement);
    if (!(await transactions.find(intent.id))) {
      await this.#verify(settlement);
      const waiting = await batchWaiting(chain, this.#place);
      if (waiting.number === settlement.number) {
        // Published by a transaction that this database does not know; `check` has compared it.
        await store.move(settlement, { state: 'submitted', at: clock.wallMs() });
        return undefined;
      }
      if (waiting.number > 0) return 'previous-locked';
      if (!(await this.#funded(settlement))) return 'funding';
      await sender.send(intent);
    }
    await store.move(settlement, { state: 'submitted', at: clock.wallMs() });
    return undefined;
  }

  #publication(settlement: Settlement): Intent {
    const { number, root, increase, total, claimsHash, attempt } = settlement;
    const intent = publishIntent(this.#place, { number, root, increase, total, claimsHash });
    return attempt === 1 ? intent : { ...intent, id: `${intent.id}:${attempt}` };
  }

  /** Nothing is submitted that the independent verifier and the ledger do not agree with. */
  async #verify(settlement: Settlement): Promise<void> {
    const { store } = this.#parts;
    const file = await this.fileOf(settlement);
    const previous = await store.before(settlement.number);
    const verdict = await verifyClaims(file, {
      ...(previous && { previous: await this.fileOf(previous) }),
      onChain: settlement,
    });
    if (!verdict.ok) stop(`The verifier refuses batch ${settlement.number}: ${verdict.findings.join(' ')}`);
  }

  /** True when the contract has enough; otherwise what is missing is on its way. */
  async #funded(settlement: Settlement): Promise<boolean> {
    const { chain, sender, transactions } = this.#parts;
    for (let n = 1; ; n++) {
      const id = `fund:${settlement.id}:${n}`;
      const sent = await transactions.find(id);
      if (sent && !sent.outcome) return (await fundedWith(chain, this.#place)) >= settlement.total;
      if (sent) continue;
      const missing = settlement.total - (await fundedWith(chain, this.#place));
      if (missing <= 0n) return true;
      const { token, distributor } = this.#place;
      await sender.send(transferIntent(id, { token, to: distributor, amount: missing }));
      return false;
    }
  }

  /** What is being waited for; undefined when it moved on. */
  async #confirm(settlement: Settlement): Promise<Progress['step'] | undefined> {
    const { store, transactions, clock, log } = this.#parts;
    const sent = await transactions.find(this.#publication(settlement).id);
    if (sent && !sent.outcome) return 'publishing';
    if (await this.#announced(settlement, sent?.outcome?.block)) {
      await store.move(settlement, { state: 'confirmed', at: clock.wallMs() });
      log.info({ batch: settlement.number, hash: outcomeHash(sent) }, 'A batch is confirmed.');
      return undefined;
    }
    if (!sent) return 'publishing';
    // It reverted, or its nonce was used by another: it changed nothing, and is tried again by a new transaction.
    log.warn(
      { batch: settlement.number, attempt: settlement.attempt, status: sent.outcome?.status },
      'Publishing a batch did not succeed; it will be tried again.',
    );
    await store.move(settlement, {
      state: 'pending',
      attempt: settlement.attempt + 1,
      at: clock.wallMs(),
    });
    return 'publishing';
  }

  /** True when the contract announced this batch, as it is, in a block that is deep enough. */
  async #announced(settlement: Settlement, block: bigint | undefined): Promise<boolean> {
    const { chain, confirmations, firstBlock = 0n } = this.#parts;
    const said = await announcedBatch(chain, this.#place, settlement.number, {
      confirmations,
      from: block ?? firstBlock,
    });
    if (!said) return false;
    const { root, total, increase, claimsHash } = settlement;
    if (
      said.root === root &&
      said.total === total &&
      said.increase === increase &&
      said.claimsHash === claimsHash
    ) {
      return true;
    }
    return stop(
      `The contract announced batch ${settlement.number} with another content than the ledger has. Payouts stay stopped.`,
    );
  }

  /**
   * A chain whose blocks come with transactions alone has the time of its newest block: with nothing else to do it would
   * never reach the end of a time lock, nor the batch that comes after.
   */
  async #endTimeLock(): Promise<void> {
    const { chain, clock, makeBlock } = this.#parts;
    if (!makeBlock) return;
    const { number, activeAt } = await batchWaiting(chain, this.#place);
    if (number > 0 && activeAt * 1_000 <= clock.wallMs()) await makeBlock();
  }

  /** True when the batch can no longer be revoked, which is noted. */
  async #inForce(settlement: Settlement): Promise<boolean> {
    const { store, chain, confirmations, clock } = this.#parts;
    const deep = (await chain.head()) - BigInt(confirmations) + 1n;
    if (deep < 0n) return false;
    if ((await batchInForce(chain, this.#place, deep)).number !== settlement.number) return false;
    await store.noteInForce(settlement, clock.wallMs());
    return true;
  }

  // --- what was claimed -----------------------------------------------------------------------------------------------

  async #watch(): Promise<void> {
    const { store, chain, confirmations, clock, log } = this.#parts;
    const { distributor, token } = this.#place;
    for (let n = 0; n < STRETCHES_MAX; n++) {
      const from = await store.cursor();
      const cursor = from ?? (await cursorBefore(chain, this.#parts.firstBlock ?? 0n));
      const read = await distributorEvents(chain, { distributor, cursor, confirmations });
      if (from && read.cursor.block === from.block) return;
      await this.#parts.beforeFinal?.();
      const claims: SeenClaim[] = [];
      const revoked: number[] = [];
      for (const event of read.events) {
        if (event.eventName === 'Claimed' && lower(event.args.token) === token) {
          const { account, paid, cumulative } = event.args;
          const { id, block, transaction } = event;
          claims.push({ eventId: id, account: lower(account), units: paid, cumulative, block, transaction });
        } else if (event.eventName === 'BatchRevoked' && lower(event.args.token) === token) {
          revoked.push(Number(event.args.number));
        }
      }
      if (!(await store.note(from, { cursor: read.cursor, claims, revoked, at: clock.wallMs() }))) return;
      for (const number of revoked) {
        log.error({ batch: number }, 'A batch was revoked on chain; its payouts are in the balances again.');
      }
      if (claims.length > 0) log.info({ claims: claims.length }, 'Claims were posted.');
      if (read.behind === 0n) return;
    }
  }
}

/** Writes the claims file of a batch, or finds it written. */
export async function writeClaims(
  store: SettlementStore,
  folder: string,
  settlement: Settlement,
): Promise<string> {
  const { file } = await publishClaims(folder, headerOf(store, settlement), await store.rowsOf(settlement));
  return file;
}

function headerOf(store: SettlementStore, terms: Omit<SettlementTerms, 'claimsHash'>): ClaimsHeader {
  return {
    format: CLAIMS_FORMAT,
    ...store.scope,
    decimals: terms.decimals,
    picoPerToken: terms.picoPerToken.toString(),
    batch: terms.number,
    day: terms.day,
    cut: terms.cut.toString(),
    previous: terms.previous,
    count: terms.accounts,
    increase: terms.increase.toString(),
    total: terms.total.toString(),
    root: terms.root,
  };
}

function hashOf(header: ClaimsHeader, rows: readonly ClaimRow[]): Hex {
  const digest = createHash('sha256');
  for (const chunk of encodeClaims(header, rows)) digest.update(chunk);
  return `0x${digest.digest('hex')}`;
}

function noteCarriedOver(log: Logger, cut: Cut, carriedOver: readonly CarriedOver[]): void {
  const counts: Record<string, number> = {};
  for (const { reason } of carriedOver) counts[reason] = (counts[reason] ?? 0) + 1;
  const waiting = carriedOver.filter(({ reason }) => reason === 'without-wallet');
  if (waiting.length === 0) return;
  log.warn(
    { day: cut.day, ...counts, providers: waiting.slice(0, 20).map(({ providerId }) => providerId) },
    'Providers are owed a payout and have proven no wallet.',
  );
}

const lower = (address: string): Address => address.toLowerCase() as Address;

const outcomeHash = (sent: StoredTransaction | undefined): Hex | undefined => sent?.outcome?.hash;

function stop(sentence: string): never {
  throw new Fault('settlement-stopped', { inner: sentence });
}
