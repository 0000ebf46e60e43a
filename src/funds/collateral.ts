import type { Sender } from '#chain/client.ts';
import { collateralEvents, depositsIn, reasonOf, slashIntent } from '#chain/collateral.ts';
import { cursorOf, moveCursor } from '#chain/cursor-table.ts';
import type { Chain } from '#chain/rpc.ts';
import { type Cursor, cursorBefore } from '#chain/watch.ts';
import type { Database, Sql } from '#db/database.ts';
import { type Asset, valueOf } from '#domain/asset.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import { COLLATERAL_REQUIRED, coverage, type HardwareClass, strongestClass } from '#domain/collateral.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { least, type Pico } from '#domain/money.ts';
import { noteEvent } from '#identity/account-events.ts';
import { gpusOf } from '#identity/nodes.ts';
import { listProviders, ownerAddressOf, setProviderState, withhold } from '#identity/providers.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import { openAccount, writeEntries } from '#ledger/book.ts';
import { collateralAccount } from '#ledger/chart.ts';
import type { Entry } from '#ledger/entries.ts';
import {
  collateralEntry,
  collateralRefundEntry,
  slashEntry,
  slashReturnedEntry,
} from '#ledger/funds-entries.ts';
import { movePledge, NO_PLEDGE, type Pledge, type PledgeMove, type PledgeRefusal } from './pledge.ts';
import { judgeProof } from './proof.ts';
import { rateAt } from './rates.ts';
import { SLASH_LADDER, type SlashLadder, slashAmount, slashStep } from './slash.ts';
import { noteStranger } from './strangers.ts';

/**
 * What providers pledge, in tokens and in dollars.
 *
 * Tokens are in the contract, and the contract is right: its events, once deep enough, are kept here move by move, in their
 * order, together with how far was read. A transaction that a provider submits counts for nothing by itself; it is looked
 * up so that the provider learns early whether it was the right one. Refunds of tokens are between the provider's wallet
 * and the contract.
 *
 * Dollars came by a bank or the like: the operator confirms them under the payment's reference, and pays them back under
 * another. They follow the same machine (`pledge.ts`), with our clock instead of the chain's, and stand in the ledger.
 *
 * A finding against a provider is judged once, by its id: what it takes is written down with the finding, and the contract
 * accepts a reason once, so a repeat takes nothing twice.
 */
export interface CollateralChain {
  readonly chain: Chain;
  readonly contract: Address;
  readonly assets: readonly ChainAsset[];
  readonly confirmations: number;
  readonly firstBlock: bigint;
  /** Undefined where this process may only read: then it slashes no tokens. */
  readonly sender: Sender | undefined;
}

export interface StandingPledge extends Pledge {
  readonly asset: Asset;
  readonly scope: string;
}

/** What the contract took from an account for one finding. */
export interface SlashedTokens {
  readonly asset: Asset;
  readonly amount: bigint;
  readonly account: string;
}

export interface CollateralDeposit {
  readonly id: string;
  readonly method: 'chain' | 'usd';
  readonly asset: Asset | null;
  readonly amount: bigint | null;
  readonly chainId: number | null;
  readonly transaction: Hex | null;
  readonly state: 'pending' | 'confirmed' | 'rejected';
  readonly reason: string;
  readonly createdAt: number;
}

const DOLLARS = 'usd';
const LISTED = 100;
const JUDGED_AT_ONCE = 100;
const PENDING_MAX = 20;
/** How a suspension of ours is told from the operator's: only ours ends by itself. */
const BELOW_MINIMUM = 'Collateral is below the minimum.';

export class Collateral {
  readonly #database: Database;
  readonly #chain: CollateralChain | undefined;
  readonly #clock: Clock;
  readonly #makeId: IdMaker;
  readonly #log: Logger;
  readonly #ladder: SlashLadder;

  constructor(parts: {
    database: Database;
    chain: CollateralChain | undefined;
    clock: Clock;
    makeId: IdMaker;
    log: Logger;
    ladder?: SlashLadder;
  }) {
    this.#database = parts.database;
    this.#chain = parts.chain;
    this.#clock = parts.clock;
    this.#makeId = parts.makeId;
    this.#log = parts.log;
    this.#ladder = parts.ladder ?? SLASH_LADDER;
  }

  get chain(): CollateralChain | undefined {
    return this.#chain;
  }

  // --- what arrives ----------------------------------------------------------------------------------------------------

  /**
   * Takes a transaction as a proof of a deposit, and looks at it at once. The same one again answers what is known of it.
   * Throws `conflict` where no owner address is proven, and `thing-unknown` for another chain.
   */
  async submit(
    providerId: string,
    proof: { transaction: Hex; chainId?: number },
  ): Promise<CollateralDeposit> {
    const chain = this.#chain;
    if (!chain || (proof.chainId !== undefined && proof.chainId !== chain.chain.id)) {
      throw new Fault('thing-unknown', { outer: 'This market takes no collateral on that chain.' });
    }
    if (!(await ownerAddressOf(this.#database, providerId))) {
      throw new Fault('conflict', {
        outer: 'Prove your owner address first: the deposit must come from it.',
      });
    }
    const transaction = proof.transaction.toLowerCase() as Hex;
    await this.#note(providerId, async (sql) => {
      await sql`
        insert into collateral_deposits (id, provider_id, method, chain_id, transaction, state, created_at)
        values (
          ${this.#makeId('col')}, ${providerId}, 'chain', ${chain.chain.id}, ${transaction}, 'pending',
          ${new Date(this.#clock.wallMs())}
        )
        on conflict (provider_id, chain_id, transaction) do nothing`;
    });
    const [row] = await this.#database.sql<DepositRow[]>`
      select * from collateral_deposits
      where provider_id = ${providerId} and chain_id = ${chain.chain.id} and transaction = ${transaction}`;
    if (!row) throw new Fault('internal', { inner: 'A deposit that was just noted is gone.' });
    if (row.state === 'pending') {
      await this.#judge(chain, row).catch((error: unknown) =>
        this.#log.warn({ err: error }, 'A proof of collateral could not be looked at; a round will.'),
      );
    }
    return await this.#deposit(row.id);
  }

  /** Notes that a provider means to pay dollars; the operator confirms them when they are there. */
  async announceDollars(providerId: string, amount: Pico): Promise<CollateralDeposit> {
    const id = this.#makeId('col');
    await this.#note(providerId, async (sql) => {
      await sql`
        insert into collateral_deposits (id, provider_id, method, asset, amount, state, created_at)
        values (${id}, ${providerId}, 'usd', 'USD', ${amount}, 'pending', ${new Date(this.#clock.wallMs())})`;
    });
    return await this.#deposit(id);
  }

  /**
   * Confirms dollars that arrived, by the operator's word. `amount` where another one came than was announced. A repeat with
   * the same reference answers `known`; the reference of another payment, and another amount, throw a `conflict`.
   */
  async confirmDollars(
    id: string,
    { reference, amount }: { reference: string; amount?: Pico },
  ): Promise<'confirmed' | 'known' | 'unknown'> {
    if (amount !== undefined && amount <= 0n) {
      throw new Fault('request-invalid', {
        outer: 'What arrived is more than nothing.',
        param: 'amount_usd',
      });
    }
    return await this.#database.transaction(async (sql) => {
      // Two deposits under one reference wait for each other here, and the later one is refused.
      await sql`select pg_advisory_xact_lock(hashtextextended(${`collateral ${reference}`}, 0))`;
      const [row] = await sql<DepositRow[]>`
        select * from collateral_deposits where id = ${id} and method = 'usd' for update`;
      if (!row) return 'unknown';
      if (row.state === 'confirmed' && row.reference === reference) {
        if (amount === undefined || amount === row.amount) return 'known';
        throw new Fault('conflict', { outer: 'This payment was confirmed before, with another amount.' });
      }
      const [other] = await sql`select from collateral_deposits where reference = ${reference}`;
      if (other || row.state !== 'pending') {
        throw new Fault('conflict', { outer: 'This deposit or this reference was decided on before.' });
      }
      const received = amount ?? row.amount ?? 0n;
      const at = this.#clock.wallMs();
      await sql`
        update collateral_deposits
        set state = 'confirmed', amount = ${received}, reference = ${reference}, decided_at = ${new Date(at)}
        where id = ${id}`;
      const { provider_id: providerId } = row;
      await openAccount(sql, { account: collateralAccount(providerId), kind: 'collateral' });
      const about = { id: `deposit:${id}`, at, reference };
      await applyMove(sql, dollarsOf(providerId), { kind: 'deposited', amount: received }, about);
      await writeEntries(sql, [collateralEntry({ id, at, amount: received, providerId })]);
      return 'confirmed';
    });
  }

  /** Gives up waiting for announced dollars. */
  async reject(id: string, reason: string): Promise<'rejected' | 'decided' | 'unknown'> {
    const [row] = await this.#database.sql`
      update collateral_deposits
      set state = 'rejected', reason = ${reason}, decided_at = ${new Date(this.#clock.wallMs())}
      where id = ${id} and state = 'pending' and method = 'usd' returning id`;
    if (row) return 'rejected';
    const [known] = await this.#database.sql`select from collateral_deposits where id = ${id}`;
    return known ? 'decided' : 'unknown';
  }

  async #note(providerId: string, insert: (sql: Sql) => Promise<void>): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await sql`select from providers where id = ${providerId} for update`;
      const [row] = await sql<{ count: bigint }[]>`
        select count(*) as count from collateral_deposits where provider_id = ${providerId} and state = 'pending'`;
      if ((row?.count ?? 0n) >= PENDING_MAX) {
        throw new Fault('conflict', { outer: `At most ${PENDING_MAX} deposits may be pending.` });
      }
      await insert(sql);
    });
  }

  async #judge(chain: CollateralChain, row: DepositRow): Promise<void> {
    const owner = await ownerAddressOf(this.#database, row.provider_id);
    if (!owner || row.transaction === null) return;
    const finding = await depositsIn(chain.chain, {
      collateral: chain.contract,
      transaction: row.transaction,
      confirmations: chain.confirmations,
    });
    const at = this.#clock.wallMs();
    const verdict = judgeProof(finding, {
      owner,
      assets: chain.assets,
      confirmations: chain.confirmations,
      waitedMs: at - row.created_at.getTime(),
    });
    const { sql } = this.#database;
    if (verdict.state === 'pending') {
      await sql`update collateral_deposits set reason = ${verdict.reason} where id = ${row.id} and state = 'pending'`;
      return;
    }
    if (verdict.state === 'rejected') {
      await sql`
        update collateral_deposits set state = 'rejected', reason = ${verdict.reason}, decided_at = ${new Date(at)}
        where id = ${row.id} and state = 'pending'`;
      return;
    }
    await sql`
      update collateral_deposits d
      set state = 'confirmed', reason = '', asset = ${verdict.asset}, amount = ${verdict.amount}, decided_at = ${new Date(at)}
      where id = ${row.id} and state = 'pending' and not exists (
        select from collateral_deposits o
        where o.chain_id = d.chain_id and o.transaction = d.transaction and o.state = 'confirmed'
      )`;
    // Whatever it was that the update passed over: another row has the transaction, or this one was decided on.
    await sql`
      update collateral_deposits
      set state = 'rejected', reason = 'The transaction proved another deposit.', decided_at = ${new Date(at)}
      where id = ${row.id} and state = 'pending'`;
  }

  // --- rounds ----------------------------------------------------------------------------------------------------------

  /** Reads the contract's events and looks at what is pending. Throws when the chain cannot be asked; nothing is lost. */
  async round(): Promise<void> {
    const chain = this.#chain;
    if (!chain) return;
    await chain.chain.checkId();
    while (await this.#read(chain));
    const pending = await this.#database.sql<DepositRow[]>`
      select * from collateral_deposits where state = 'pending' and method = 'chain'
      order by created_at limit ${JUDGED_AT_ONCE}`;
    for (const row of pending) await this.#judge(chain, row);
    await chain.sender?.advance();
  }

  /** True when there is more to read. */
  async #read(chain: CollateralChain): Promise<boolean> {
    const reader = `collateral:${chain.chain.id}:${chain.contract}`;
    const kept = await cursorOf(this.#database.sql, reader);
    const cursor: Cursor = kept ?? (await cursorBefore(chain.chain, chain.firstBlock));
    const { confirmations } = chain;
    const reading = await collateralEvents(chain.chain, {
      collateral: chain.contract,
      cursor,
      confirmations,
    });
    if (reading.cursor.block === cursor.block) return false;
    const times = new Map<bigint, number>();
    for (const { block } of reading.events) {
      if (!times.has(block))
        times.set(block, Number((await chain.chain.block(block))?.timestamp ?? 0n) * 1_000);
    }
    return await this.#database.transaction(async (sql) => {
      // Another process is reading.
      if (!(await moveCursor(sql, reader, { from: kept, to: reading.cursor }))) return false;
      for (const event of reading.events) {
        const at = times.get(event.block) ?? 0;
        const { args } = event as { args: { account?: string; token?: string } };
        const token = args.token?.toLowerCase();
        const holder = args.account?.toLowerCase();
        const asset = chain.assets.find((each) => each.token === token);
        if (!asset || holder === undefined) continue;
        const scope = this.#scope(chain, asset);
        const id = `${chain.chain.id}:${event.id}`;
        const place = { scope, holder, asset: asset.asset };
        const move = await this.#moveOf(sql, event, place);
        if (!move) continue;
        const reference = event.eventName === 'Slashed' ? event.args.reason : event.transaction;
        const { amount } = await applyMove(sql, place, move, { id, at, reference });
        if (move.kind !== 'slashed') continue;
        if (!(await this.#isOurFinding(sql, holder, asset, reference))) {
          const detail = `a slash of ${amount} units of ${asset.asset} of ${holder}, for a reason that is no finding here`;
          await noteStranger(sql, { id, what: 'slash', detail, foundAt: this.#clock.wallMs() });
          this.#log.error(
            { code: 'ledger-behind-chain', slash: id },
            'The chain has a slash that is not ours.',
          );
        }
        // What the contract took it keeps for the market.
        const picoPerToken = await rateAt(sql, asset.asset, at);
        const worth = picoPerToken && valueOf(amount, { decimals: asset.decimals, picoPerToken });
        if (worth) await writeEntries(sql, [slashEntry({ id, at, amount: worth, providerId: undefined })]);
      }
      return reading.behind > 0n;
    });
  }

  /** Whether the reason of a slash is a finding that we judged. The contract keeps its hash only. */
  async #isOurFinding(sql: Sql, owner: string, asset: ChainAsset, reason: string): Promise<boolean> {
    const findings = await sql<{ id: string }[]>`
      select f.id from collateral_findings f
      join wallet_proofs w on w.provider_id = f.provider_id and w.purpose = 'owner'
      where w.address = ${owner} order by f.at desc`;
    return findings.some(({ id }) => reasonOf(`${id}:${asset.token}`) === reason.toLowerCase());
  }

  async #moveOf(
    sql: Sql,
    event: Awaited<ReturnType<typeof collateralEvents>>['events'][number],
    place: Place,
  ): Promise<PledgeMove | undefined> {
    switch (event.eventName) {
      case 'Deposited':
        return { kind: 'deposited', amount: event.args.received };
      case 'RefundRequested': {
        // The contract says what waits altogether.
        const { waiting } = await lockPledge(sql, place);
        return { kind: 'requested', amount: event.args.waiting - waiting };
      }
      case 'RefundCancelled':
        return { kind: 'cancelled' };
      case 'Refunded':
        return { kind: 'refunded' };
      case 'Slashed':
        return { kind: 'slashed', amount: event.args.taken };
      default:
        return undefined;
    }
  }

  // --- dollars back ----------------------------------------------------------------------------------------------------

  /** A provider asks for pledged dollars back, all of them unless said otherwise; they can be paid after seven days. */
  async requestRefund(
    providerId: string,
    amount?: Pico,
  ): Promise<{ refundableAt: number } | { refused: PledgeRefusal }> {
    const at = this.#clock.wallMs();
    return await this.#database.transaction(async (sql) => {
      const place = dollarsOf(providerId);
      const { locked } = await lockPledge(sql, place);
      const move = { kind: 'requested', amount: amount ?? locked } as const;
      const moved = await tryMove(sql, place, move, { id: this.#makeId('move'), at, reference: '' });
      return 'refused' in moved ? moved : { refundableAt: moved.pledge.refundableAt ?? at };
    });
  }

  async cancelRefund(providerId: string): Promise<'cancelled' | { refused: PledgeRefusal }> {
    const at = this.#clock.wallMs();
    return await this.#database.transaction(async (sql) => {
      const about = { id: this.#makeId('move'), at, reference: '' };
      const moved = await tryMove(sql, dollarsOf(providerId), { kind: 'cancelled' }, about);
      return 'refused' in moved ? moved : 'cancelled';
    });
  }

  /**
   * Notes that the operator paid back what waited long enough. A slash that came before has made it less. A repeat with the
   * same reference answers the first amount.
   */
  async payRefund(
    providerId: string,
    reference: string,
  ): Promise<{ paid: Pico; known: boolean } | { refused: PledgeRefusal }> {
    const at = this.#clock.wallMs();
    const id = `refund:${reference}`;
    return await this.#database.transaction(async (sql) => {
      const place = dollarsOf(providerId);
      await lockPledge(sql, place);
      const [known] = await sql<{ amount: bigint; holder: string }[]>`
        select amount, holder from collateral_moves where id = ${id}`;
      if (known) {
        if (known.holder === providerId) return { paid: known.amount, known: true };
        throw new Fault('conflict', { outer: 'This reference is of another payment.' });
      }
      const moved = await tryMove(sql, place, { kind: 'refunded' }, { id, at, reference });
      if ('refused' in moved) return moved;
      const { amount } = moved;
      await writeEntries(sql, [collateralRefundEntry({ id: reference, at, amount, providerId })]);
      return { paid: amount, known: false };
    });
  }

  // --- slashing --------------------------------------------------------------------------------------------------------

  /**
   * Judges a finding: the `failures`-th failure in a row. Dollars are taken at once; for tokens a transaction is sent, and
   * what it took is booked when it is deep enough. From the judgement on the provider gets no requests for as long as the
   * ladder says. The same finding again changes nothing, and sends again what was not sent; nothing at all where an appeal
   * against it was granted meanwhile. Answers what the ladder says.
   */
  async slash(finding: {
    id: string;
    providerId: string;
    failures: number;
    reason: string;
  }): Promise<{ shareBasisPoints: number; withholdMs: number; removes: boolean }> {
    const { id, providerId, failures, reason } = finding;
    const said = slashStep(failures, this.#ladder);
    const at = this.#clock.wallMs();
    const owner = await ownerAddressOf(this.#database, providerId);
    const step = await this.#database.transaction(async (sql) => {
      const [made] = await sql`
        insert into collateral_findings (id, provider_id, reason, failures, share_bps, removes, at)
        values (
          ${id}, ${providerId}, ${reason}, ${failures}, ${said.shareBasisPoints}, ${said.removes}, ${new Date(at)}
        )
        on conflict (id) do nothing returning id`;
      if (!made) {
        const [first] = await sql<
          { provider_id: string; share_bps: number; removes: boolean; set_aside: boolean }[]
        >`
          select provider_id, share_bps, removes, exists (
            select from finding_appeals a where a.finding_id = f.id and a.decision = 'granted'
          ) as set_aside
          from collateral_findings f where id = ${id}`;
        if (first?.provider_id !== providerId) {
          throw new Fault('conflict', { outer: 'This finding is against another provider.' });
        }
        if (first.set_aside) return { shareBasisPoints: 0, withholdMs: 0, removes: false };
        return { ...said, shareBasisPoints: first.share_bps, removes: first.removes };
      }
      await withhold(sql, { id: providerId, until: at + said.withholdMs, because: reason });
      const place = dollarsOf(providerId);
      const amount = slashAmount(await lockPledge(sql, place), said);
      if (amount === 0n) return said;
      const about = { id: `slash:${id}`, at, reference: id };
      const moved = await tryMove(sql, place, { kind: 'slashed', amount }, about);
      if (!('refused' in moved)) {
        await writeEntries(sql, [slashEntry({ id: `${id}:usd`, at, amount: moved.amount, providerId })]);
      }
      return said;
    });
    if (owner) await this.#slashTokens(id, owner, step);
    if (step.removes) await setProviderState(this.#database, { id: providerId, to: 'removed', reason, at });
    return step;
  }

  /**
   * Charges a provider's pledged dollars for a loss that was proven its fault, within the caller's transaction: at most what
   * is pledged, waiting or not, and no step of the ladder. The finding must be new. Answers what was taken; its entry is the
   * caller's to write, together with its own.
   */
  async chargeDollars(
    sql: Sql,
    finding: { id: string; providerId: string; amount: Pico; reason: string; at: number },
  ): Promise<{ taken: Pico; entry: Entry | undefined }> {
    const { id, providerId, reason, at } = finding;
    const place = dollarsOf(providerId);
    const { locked, waiting } = await lockPledge(sql, place);
    const pledged = locked + waiting;
    const amount = least(finding.amount, pledged);
    const shareBps = pledged === 0n ? 0 : Number((amount * 10_000n) / pledged);
    await sql`
      insert into collateral_findings (id, provider_id, reason, failures, share_bps, removes, at)
      values (${id}, ${providerId}, ${reason}, 1, ${shareBps}, false, ${new Date(at)})`;
    if (amount === 0n) return { taken: 0n, entry: undefined };
    const { amount: taken } = await applyMove(
      sql,
      place,
      { kind: 'slashed', amount },
      { id: `slash:${id}`, at, reference: id },
    );
    return { taken, entry: slashEntry({ id: `${id}:usd`, at, amount: taken, providerId }) };
  }

  async #slashTokens(findingId: string, account: Address, step: ReturnType<typeof slashStep>): Promise<void> {
    const chain = this.#chain;
    if (!chain || step.shareBasisPoints === 0) return;
    for (const asset of chain.assets) {
      const scope = this.#scope(chain, asset);
      const reason = reasonOf(`${findingId}:${asset.token}`);
      const [pledge] = await this.#database.sql<{ locked: bigint; waiting: bigint }[]>`
        select locked, waiting from collateral_pledges where scope = ${scope} and holder = ${account}`;
      const amount = pledge ? slashAmount(pledge, step) : 0n;
      if (amount === 0n) continue;
      if (!chain.sender) {
        throw new Fault('internal', { inner: 'This process has no operator key and cannot slash tokens.' });
      }
      const intent = slashIntent(chain.contract, { account, token: asset.token, amount, reason });
      // Sent before, for this finding: the amount then stands.
      if (await chain.sender.knows(intent.id)) continue;
      await chain.sender.send(intent);
    }
  }

  /**
   * Writes down what the operator decided about a finding of its own, once, within the caller's transaction. Granted: what was
   * withheld for it ends; what it took is given back by `giveBack`, in the same transaction.
   */
  async decideFinding(
    sql: Sql,
    appeal: {
      id: string;
      decision: 'granted' | 'rejected';
      reason: string;
      actor: string;
      at: number;
    },
  ): Promise<'decided' | 'known' | 'unknown' | { decidedAs: string }> {
    const { id, decision, reason, actor, at } = appeal;
    const [finding] = await sql<{ provider_id: string; reason: string }[]>`
      select provider_id, reason from collateral_findings where id = ${id}
        and not exists (select from sla_charges c where c.finding_id = ${id})`;
    // What a service level charged is decided about where service levels are: in one place, once.
    if (!finding) return 'unknown';
    const [made] = await sql`
      insert into finding_appeals (finding_id, decision, reason, decided_by, decided_at)
      values (${id}, ${decision}, ${reason}, ${actor}, ${new Date(at)}) on conflict do nothing returning finding_id`;
    if (!made) {
      const [first] = await sql<{ decision: string }[]>`
        select decision from finding_appeals where finding_id = ${id}`;
      return first?.decision === decision ? 'known' : { decidedAs: first?.decision ?? '' };
    }
    const { provider_id: providerId } = finding;
    if (decision === 'granted')
      await sql`
        update providers set withheld_until = null, withheld_because = ''
        where id = ${providerId} and withheld_because = ${finding.reason}`;
    const detail = { finding: id, decision, reason };
    await noteEvent(sql, { at, actor, what: 'finding-appeal-decided', about: providerId, detail });
    return 'decided';
  }

  /**
   * Sets a finding aside whose cause was, within the caller's transaction: one that was judged gives back what it took, and
   * one that is judged later takes nothing. Without that, a judgement that was late (its process died, the chain was away)
   * would take from a provider whose appeal had been granted.
   */
  async setAside(
    sql: Sql,
    finding: { id: string; providerId: string; reason: string; actor: string; at: number },
  ): Promise<{ dollars: Pico; tokens: SlashedTokens[] }> {
    const { id, providerId, reason, actor, at } = finding;
    await sql`
      insert into collateral_findings (id, provider_id, reason, failures, share_bps, removes, at)
      values (${id}, ${providerId}, ${reason}, 1, 0, false, ${new Date(at)})
      on conflict (id) do nothing`;
    await sql`
      insert into finding_appeals (finding_id, decision, reason, decided_by, decided_at)
      values (${id}, 'granted', ${reason}, ${actor}, ${new Date(at)}) on conflict do nothing`;
    return (await this.giveBack(sql, id)) ?? { dollars: 0n, tokens: [] };
  }

  /**
   * Gives back what a finding took, within the caller's transaction: dollars at once, by a new move and a new entry, to what
   * is at work as collateral. Tokens are the contract's to hold: what it took is told, in the token's smallest unit, for the
   * operator to pay. The same again gives nothing twice. Undefined when there is no such finding.
   */
  async giveBack(
    sql: Sql,
    findingId: string,
  ): Promise<{ dollars: Pico; tokens: SlashedTokens[] } | undefined> {
    const at = this.#clock.wallMs();
    const [finding] = await sql<{ provider_id: string }[]>`
      select provider_id from collateral_findings where id = ${findingId}`;
    if (!finding) return undefined;
    const { provider_id: providerId } = finding;
    const place = dollarsOf(providerId);
    await lockPledge(sql, place);
    const [taken] = await sql<{ amount: bigint }[]>`
      select amount from collateral_moves where id = ${`slash:${findingId}`} and kind = 'slashed'`;
    const about = { id: `slash-returned:${findingId}`, at, reference: findingId };
    const [known] = await sql`select id from collateral_moves where id = ${about.id}`;
    const dollars = taken?.amount ?? 0n;
    if (dollars > 0n && !known) {
      const charged = await sql`select from sla_charges where finding_id = ${findingId}`;
      const paidCredit = charged.length > 0;
      await applyMove(sql, place, { kind: 'slash-returned', amount: dollars }, about);
      await writeEntries(sql, [
        slashReturnedEntry({ id: `${findingId}:usd`, at, amount: dollars, providerId, paidCredit }),
      ]);
    }
    return { dollars, tokens: await this.#tokensTakenFor(sql, findingId) };
  }

  async #tokensTakenFor(sql: Sql, findingId: string): Promise<SlashedTokens[]> {
    const taken: SlashedTokens[] = [];
    for (const { asset, token } of this.#chain?.assets ?? []) {
      const reason = reasonOf(`${findingId}:${token}`);
      const [move] = await sql<{ amount: bigint; holder: string }[]>`
        select amount, holder from collateral_moves where kind = 'slashed' and reference = ${reason}`;
      if (move) taken.push({ asset, amount: move.amount, account: move.holder });
    }
    return taken;
  }

  // --- standing --------------------------------------------------------------------------------------------------------

  /** What a provider has pledged, asset by asset. */
  async pledgesOf(providerId: string): Promise<StandingPledge[]> {
    const owner = await ownerAddressOf(this.#database, providerId);
    const rows = await this.#database.sql<PledgeRow[]>`
      select * from collateral_pledges
      where (scope = ${DOLLARS} and holder = ${providerId})
        or (${owner ?? null}::text is not null and scope <> ${DOLLARS} and holder = ${owner ?? null})
      order by scope`;
    return rows.map((row) => ({ ...pledgeOfRow(row), asset: row.asset, scope: row.scope }));
  }

  /** Whether a provider has pledged enough for its machines. */
  async standingOf(
    providerId: string,
  ): Promise<{ hardware: HardwareClass; covered: bigint; enough: boolean; pledges: StandingPledge[] }> {
    const [pledges, gpus] = await Promise.all([
      this.pledgesOf(providerId),
      gpusOf(this.#database, providerId),
    ]);
    const hardware = strongestClass(gpus);
    const covered = coverage(pledges, COLLATERAL_REQUIRED[hardware]);
    return { hardware, covered, enough: covered >= 10_000n, pledges };
  }

  /** Suspends who has not pledged enough, and lets back whom only that kept out. */
  async enforce(): Promise<{ suspended: string[]; restored: string[] }> {
    const suspended: string[] = [];
    const restored: string[] = [];
    const at = this.#clock.wallMs();
    for (const { id, state, reason } of await listProviders(this.#database, PROVIDERS_MAX)) {
      const ours = state === 'suspended' && reason === BELOW_MINIMUM;
      if (state !== 'active' && !ours) continue;
      const { enough } = await this.standingOf(id);
      if (enough === (state === 'active')) continue;
      const to = enough ? 'active' : 'suspended';
      const moved = await setProviderState(this.#database, {
        id,
        to,
        reason: enough ? '' : BELOW_MINIMUM,
        at,
      });
      if (moved === 'moved') (enough ? restored : suspended).push(id);
    }
    return { suspended, restored };
  }

  /** The latest deposits of a provider, newest first. */
  async depositsOf(providerId: string): Promise<CollateralDeposit[]> {
    const rows = await this.#database.sql<DepositRow[]>`
      select * from collateral_deposits where provider_id = ${providerId} order by created_at desc, id limit ${LISTED}`;
    return rows.map(depositOfRow);
  }

  /** Deposits that wait for the operator or the chain, oldest first. */
  async pending(): Promise<(CollateralDeposit & { providerId: string })[]> {
    const rows = await this.#database.sql<DepositRow[]>`
      select * from collateral_deposits where state = 'pending' order by created_at, id limit ${LISTED}`;
    return rows.map((row) => ({ ...depositOfRow(row), providerId: row.provider_id }));
  }

  async #deposit(id: string): Promise<CollateralDeposit> {
    const [row] = await this.#database.sql<DepositRow[]>`select * from collateral_deposits where id = ${id}`;
    if (!row) throw new Fault('thing-unknown');
    return depositOfRow(row);
  }

  #scope(chain: CollateralChain, { token }: ChainAsset): string {
    return `${chain.chain.id}:${chain.contract}:${token}`;
  }
}

const PROVIDERS_MAX = 100_000;

interface Place {
  readonly scope: string;
  readonly holder: string;
  readonly asset: Asset;
}

function dollarsOf(providerId: string): Place {
  return { scope: DOLLARS, holder: providerId, asset: 'USD' };
}

/** The pledge, made where it is missing, and locked until the caller's transaction ends. */
async function lockPledge(sql: Sql, { scope, holder, asset }: Place): Promise<Pledge> {
  await sql`
    insert into collateral_pledges (scope, holder, asset) values (${scope}, ${holder}, ${asset})
    on conflict (scope, holder) do nothing`;
  const [row] = await sql<PledgeRow[]>`
    select * from collateral_pledges where scope = ${scope} and holder = ${holder} for update`;
  return row ? pledgeOfRow(row) : NO_PLEDGE;
}

async function tryMove(
  sql: Sql,
  place: Place,
  move: PledgeMove,
  { id, at, reference }: { id: string; at: number; reference: string },
): Promise<{ pledge: Pledge; amount: bigint } | { refused: PledgeRefusal }> {
  const moved = movePledge(await lockPledge(sql, place), move, at);
  if ('refused' in moved) return moved;
  const { pledge, amount } = moved;
  const { scope, holder } = place;
  await sql`
    insert into collateral_moves (id, scope, holder, kind, amount, reference, at)
    values (${id}, ${scope}, ${holder}, ${move.kind}, ${amount}, ${reference}, ${new Date(at)})`;
  await sql`
    update collateral_pledges set
      deposited = ${pledge.deposited}, locked = ${pledge.locked}, waiting = ${pledge.waiting},
      slashed = ${pledge.slashed}, refunded = ${pledge.refunded},
      refundable_at = ${pledge.refundableAt === undefined ? null : new Date(pledge.refundableAt)}
    where scope = ${scope} and holder = ${holder}`;
  return moved;
}

/** A move that has happened already, elsewhere: that it cannot be means that we have read wrongly. */
async function applyMove(
  sql: Sql,
  place: Place,
  move: PledgeMove,
  about: { id: string; at: number; reference: string },
): Promise<{ pledge: Pledge; amount: bigint }> {
  const moved = await tryMove(sql, place, move, about);
  if ('refused' in moved) {
    throw new Fault('internal', {
      inner: `${about.id} cannot have happened: ${move.kind}, ${moved.refused}.`,
    });
  }
  return moved;
}

interface PledgeRow {
  scope: string;
  holder: string;
  asset: Asset;
  deposited: bigint;
  locked: bigint;
  waiting: bigint;
  slashed: bigint;
  refunded: bigint;
  refundable_at: Date | null;
}

function pledgeOfRow(row: PledgeRow): Pledge {
  const { deposited, locked, waiting, slashed, refunded } = row;
  return { deposited, locked, waiting, slashed, refunded, refundableAt: row.refundable_at?.getTime() };
}

interface DepositRow {
  id: string;
  provider_id: string;
  method: 'chain' | 'usd';
  asset: Asset | null;
  amount: bigint | null;
  chain_id: bigint | null;
  transaction: Hex | null;
  reference: string | null;
  state: CollateralDeposit['state'];
  reason: string;
  created_at: Date;
}

function depositOfRow(row: DepositRow): CollateralDeposit {
  const { id, method, asset, amount, transaction, state, reason } = row;
  const chainId = row.chain_id === null ? null : Number(row.chain_id);
  return {
    id,
    method,
    asset,
    amount,
    chainId,
    transaction,
    state,
    reason,
    createdAt: row.created_at.getTime(),
  };
}
