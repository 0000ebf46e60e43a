import { collateralEvents, pledgeOf as pledgeOnChain } from '#chain/collateral.ts';
import { cursorOf } from '#chain/cursor-table.ts';
import type { Chain } from '#chain/rpc.ts';
import { transfersTo } from '#chain/transfers.ts';
import { type Cursor, cursorBefore } from '#chain/watch.ts';
import type { Database, Sql } from '#db/database.ts';
import type { Asset } from '#domain/asset.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address } from '#domain/hex.ts';
import type { Pico } from '#domain/money.ts';
import type { Difference } from '#ledger/audit.ts';
import { movePledge, NO_PLEDGE, type Pledge, type PledgeMove } from './pledge.ts';
import { openStrangers } from './strangers.ts';

/**
 * The audit of money in and out: every deposit, bonus, withdrawal, reversal, plan's month and pledge has its entry and the
 * reverse; each arrival carries the name that the outside gave it, and none is there twice; a pledge is what its moves make
 * of it. With the chain: each crypto deposit is a transfer to the consumer's address in a block that counts, each such
 * transfer is a deposit, and each pledge is what the contract's events and the contract itself say.
 *
 * What is compared with the chain is what was read of it: up to the block of the reader's mark, no further. It is read
 * again from the first block in stretches, so it takes time that grows with the chain and not with the market.
 */
export interface FundsAudit {
  readonly checkedDeposits: number;
  readonly checkedPledges: number;
  readonly differences: readonly Difference[];
}

export interface AuditedChain {
  readonly chain: Chain;
  readonly collateral: Address | undefined;
  readonly assets: readonly ChainAsset[];
  readonly firstBlock: bigint;
}

const LISTED = 100;

type Row = { where: string; found: Pico | string | null; expected: Pico | string | null };

export async function auditFunds(parts: {
  database: Database;
  chain?: AuditedChain | undefined;
}): Promise<FundsAudit> {
  const { database, chain } = parts;
  const differences: Difference[] = [];
  const note: Note = (what, rows) => {
    for (const { where, found, expected } of rows) {
      differences.push({ what, where, found: String(found), expected: String(expected) });
    }
  };
  // One snapshot for the tables and for what is then compared with the chain.
  const kept = await database.transaction(async (sql) => {
    await sql`set transaction isolation level repeatable read, read only`;
    await sql`set local statement_timeout = '10min'`;
    await auditArrivals(sql, note);
    await auditDepartures(sql, note);
    await auditPledgedDollars(sql, note);
    const pledges = await auditMoves(sql, note);
    const strangers = await openStrangers(sql, LISTED);
    note(
      'The chain shows what this ledger does not know of. Was a backup restored?',
      strangers.map(({ id, detail }) => ({ where: id, found: 'nothing', expected: detail })),
    );
    return { pledges, ...(await keptOfChain(sql, chain)) };
  });
  if (chain) {
    for (const asset of chain.assets) await auditTransfers(chain, asset, kept, note);
    await auditContract(chain, kept, note);
  }
  return { checkedDeposits: kept.deposits, checkedPledges: kept.pledges.length, differences };
}

type Note = (what: string, rows: Iterable<{ where: string; found: unknown; expected: unknown }>) => void;

// --- the tables --------------------------------------------------------------------------------------------------------

async function auditArrivals(sql: Sql, note: Note): Promise<void> {
  note(
    'A deposit and its entry differ.',
    await sql<Row[]>`
      select coalesce('deposit:' || d.id, e.id) as "where", e.amount as found, d.value as expected
      from (select * from deposits where state = 'booked') d
      full join (select id, account, amount from postings where kind = 'deposit' and account like 'consumer:%') e
        on e.id = 'deposit:' || d.id
      where e.amount is distinct from d.value or e.account is distinct from 'consumer:' || d.consumer_id
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'A bonus and its deposit differ.',
    await sql<Row[]>`
      select coalesce('bonus:' || d.id, e.id) as "where", e.amount as found, d.bonus as expected
      from (select * from deposits where state = 'booked' and bonus > 0) d
      full join (select id, account, amount from postings where kind = 'bonus' and account like 'consumer:%') e
        on e.id = 'bonus:' || d.id
      where e.amount is distinct from d.bonus or e.account is distinct from 'consumer:' || d.consumer_id
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'A deposit does not carry the name of its payment.',
    await sql<Row[]>`
      select id as "where", source as found,
        case method when 'crypto' then 'a transfer on a chain' when 'card' then 'a checkout of its consumer'
          else 'its reference' end as expected
      from deposits d
      where case method
        when 'crypto' then id !~ '^\\d+:0x[0-9a-f]{64}:\\d+$' or asset = 'USD'
        when 'card' then id not like 'card:%' or not exists (
          select from card_checkouts c where c.session_id = d.source and c.consumer_id = d.consumer_id
        )
        else id <> method || ':' || source or source = '' end
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'One checkout was credited more than once.',
    await sql<Row[]>`
      select source as "where", count(*)::text as found, '1' as expected
      from deposits where method = 'card' group by source having count(*) > 1 order by 1 limit ${LISTED + 1}`,
  );
  note(
    'A deposit went to a consumer whose address it was not sent to.',
    // Of tokens, the address is looked at with the chain; here only that the consumer has one.
    await sql<Row[]>`
      select id as "where", consumer_id as found, 'a consumer with an address' as expected
      from deposits d where method = 'crypto'
        and not exists (select from deposit_addresses a where a.consumer_id = d.consumer_id)
      order by 1 limit ${LISTED + 1}`,
  );
}

async function auditDepartures(sql: Sql, note: Note): Promise<void> {
  note(
    'A withdrawal and its entry differ.',
    await sql<Row[]>`
      select coalesce('withdrawal:' || w.id, e.id) as "where", -e.amount as found, w.amount as expected
      from withdrawals w
      full join (select id, account, amount from postings where kind = 'withdrawal' and account like 'consumer:%') e
        on e.id = 'withdrawal:' || w.id
      where -e.amount is distinct from w.amount or e.account is distinct from 'consumer:' || w.consumer_id
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'A reversal and its entry differ.',
    await sql<Row[]>`
      select coalesce('reversal:' || r.id, e.id) as "where", e.amount as found, r.amount as expected
      from card_reversals r
      full join (select id, amount from postings where kind = 'reversal' and account = 'platform:cash') e
        on e.id = 'reversal:' || r.id
      where e.amount is distinct from r.amount
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'A reinstatement and its entry differ.',
    await sql<Row[]>`
      select coalesce('reinstatement:' || r.id, e.id) as "where", -e.amount as found, r.amount as expected
      from (select * from card_reversals where reinstated) r
      full join (select id, amount from postings where kind = 'reinstatement' and account = 'platform:cash') e
        on e.id = 'reinstatement:' || r.id
      where -e.amount is distinct from r.amount
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'More of a card payment went back than was paid.',
    await sql<Row[]>`
      select d.id as "where", sum(r.amount) as found, d.value as expected
      from deposits d join card_reversals r on r.deposit_id = d.id and not r.reinstated
      group by d.id, d.value having sum(r.amount) > d.value order by 1 limit ${LISTED + 1}`,
  );
  note(
    'What consumers owe is not what went back and was not taken.',
    await sql<Row[]>`
      select 'platform:receivable' as "where", a.balance as found, -coalesce(o.owed, 0) as expected
      from accounts a, (select sum(amount - taken) as owed from card_reversals where not reinstated) o
      where a.id = 'platform:receivable' and a.balance <> -coalesce(o.owed, 0)`,
  );
  note(
    'What was taken for card money that went back is not what its entries took.',
    // What a reversal took at once, and each collection since; of one that was reinstated, all of it went back.
    await sql<Row[]>`
      with took as (
        select regexp_replace(id, case kind when 'reversal' then '^reversal:' else '^collection:(.*):[0-9]+$' end,
            case kind when 'reversal' then '' else '\\1' end) as reversal,
          substr(account, 10) as consumer_id, -amount as amount
        from postings where kind in ('reversal', 'collection') and account like 'consumer:%'
      ), sums as (
        select reversal, sum(amount) as amount, min(consumer_id) as consumer_id, count(distinct consumer_id) as consumers
        from took group by reversal
      ), given as (
        select substr(id, 15) as reversal, amount from postings
        where kind = 'reinstatement' and account like 'consumer:%'
      )
      select coalesce(r.id, s.reversal) as "where", coalesce(s.amount, 0) || ' less ' || coalesce(g.amount, 0) as found,
        coalesce(r.taken, 0)::text as expected
      from card_reversals r full join sums s on s.reversal = r.id left join given g on g.reversal = coalesce(r.id, s.reversal)
      where r.id is null or coalesce(s.amount, 0) <> r.taken or s.consumers > 1 or s.consumer_id <> r.consumer_id
        or coalesce(g.amount, 0) <> case when r.reinstated then r.taken else 0 end
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    "A plan's month and its entry differ.",
    await sql<Row[]>`
      select coalesce(p.id, e.id) as "where", -e.amount as found, p.fee as expected
      from (
        select 'plan-fee:' || consumer_id || ':' || plan || ':'
          || to_char(starts_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as id, fee, consumer_id
        from plan_periods
      ) p
      full join (select id, account, amount from postings where kind = 'plan-fee' and account like 'consumer:%') e
        on e.id = p.id
      where -e.amount is distinct from p.fee or e.account is distinct from 'consumer:' || p.consumer_id
      order by 1 limit ${LISTED + 1}`,
  );
}

async function auditPledgedDollars(sql: Sql, note: Note): Promise<void> {
  note(
    'Pledged dollars and their account differ.',
    await sql<Row[]>`
      select coalesce('collateral:' || p.holder, a.id) as "where", a.balance as found, p.amount as expected
      from (select holder, locked + waiting as amount from collateral_pledges where scope = 'usd') p
      full join (select id, balance from accounts where kind = 'collateral') a on a.id = 'collateral:' || p.holder
      where coalesce(a.balance, 0) <> coalesce(p.amount, 0)
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'A move of pledged dollars and its entry differ.',
    await sql<Row[]>`
      with moves as (
        select case kind
            when 'deposited' then 'collateral:' || substr(id, length('deposit:') + 1)
            when 'refunded' then 'collateral-refund:' || reference
            when 'slash-returned' then 'slash-returned:' || reference || ':usd'
            else 'slash:' || reference || ':usd' end as id,
          case when kind in ('deposited', 'slash-returned') then amount else -amount end as amount, holder
        from collateral_moves
        where scope = 'usd' and kind in ('deposited', 'refunded', 'slashed', 'slash-returned')
      )
      select coalesce(m.id, e.id) as "where", e.amount as found, m.amount as expected
      from moves m
      full join (select id, account, amount from postings where account like 'collateral:%') e on e.id = m.id
      where e.amount is distinct from m.amount or e.account is distinct from 'collateral:' || m.holder
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'A finding was set aside, and what it took was not given back.',
    await sql<Row[]>`
      select a.finding_id as "where", coalesce(back.amount, 0) as found, taken.amount as expected
      from finding_appeals a
      join collateral_moves taken on taken.id = 'slash:' || a.finding_id and taken.kind = 'slashed' and taken.scope = 'usd'
      left join collateral_moves back on back.id = 'slash-returned:' || a.finding_id
      where a.decision = 'granted' and back.amount is distinct from taken.amount
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'Dollars were pledged without a payment that was confirmed.',
    await sql<Row[]>`
      select coalesce('deposit:' || d.id, m.id) as "where", m.amount as found, d.amount as expected
      from (select * from collateral_deposits where method = 'usd' and state = 'confirmed') d
      full join (select id, holder, amount from collateral_moves where scope = 'usd' and kind = 'deposited') m
        on m.id = 'deposit:' || d.id
      where m.amount is distinct from d.amount or m.holder is distinct from d.provider_id or d.reference is null
      order by 1 limit ${LISTED + 1}`,
  );
  note(
    'A slash of tokens was booked that the contract did not tell of.',
    await sql<Row[]>`
      select e.id as "where", e.amount as found, '0' as expected
      from postings e
      where e.kind = 'slash' and e.account = 'platform:cash'
        and not exists (select from collateral_moves m where 'slash:' || m.id = e.id and m.kind = 'slashed')
      order by 1 limit ${LISTED + 1}`,
  );
}

interface KeptPledge extends Pledge {
  readonly scope: string;
  readonly holder: string;
}

/** Makes every pledge anew from its moves, by the machine that made it. Answers the pledges as they are kept. */
async function auditMoves(sql: Sql, note: Note): Promise<KeptPledge[]> {
  const rows = await sql<(Omit<KeptPledge, 'refundableAt'> & { refundable_at: Date | null; asset: Asset })[]>`
    select scope, holder, deposited, locked, waiting, slashed, refunded, refundable_at from collateral_pledges`;
  const moves = await sql<
    { id: string; scope: string; holder: string; kind: PledgeMove['kind']; amount: bigint; at: Date }[]
  >`select id, scope, holder, kind, amount, at from collateral_moves order by seq`;
  const rebuilt = new Map<string, Pledge>();
  for (const { id, scope, holder, kind, amount, at } of moves) {
    const key = `${scope} ${holder}`;
    const move: PledgeMove = kind === 'cancelled' || kind === 'refunded' ? { kind } : { kind, amount };
    const moved = movePledge(rebuilt.get(key) ?? NO_PLEDGE, move, at.getTime());
    if ('refused' in moved || moved.amount !== amount) {
      const found = 'refused' in moved ? moved.refused : moved.amount;
      note('A move of a pledge cannot have happened.', [{ where: id, found, expected: amount }]);
      continue;
    }
    rebuilt.set(key, moved.pledge);
  }
  const pledges = rows.map(({ refundable_at: at, ...row }) => ({ ...row, refundableAt: at?.getTime() }));
  const known = new Set<string>();
  for (const pledge of pledges) {
    const key = `${pledge.scope} ${pledge.holder}`;
    known.add(key);
    const found = wordsOf(pledge);
    const expected = wordsOf(rebuilt.get(key) ?? NO_PLEDGE);
    if (found !== expected)
      note('A pledge is not what its moves make of it.', [{ where: key, found, expected }]);
  }
  for (const [key, pledge] of rebuilt) {
    if (known.has(key)) continue;
    note('A pledge is not what its moves make of it.', [
      { where: key, found: 'nothing', expected: wordsOf(pledge) },
    ]);
  }
  return pledges;
}

function wordsOf(pledge: Pledge): string {
  const { deposited, locked, waiting, slashed, refunded } = pledge;
  return `deposited ${deposited}, locked ${locked}, waiting ${waiting}, slashed ${slashed}, refunded ${refunded}`;
}

// --- the chain ---------------------------------------------------------------------------------------------------------

interface KeptOfChain {
  readonly deposits: number;
  /** By event: what was credited, or noted and not credited. */
  readonly transfers: Map<string, { consumerId: string; asset: Asset; units: bigint }>;
  readonly owners: ReadonlyMap<string, string>;
  readonly moves: Map<string, { scope: string; holder: string; kind: string; amount: bigint }>;
  /** By reader: up to where it read. */
  readonly cursors: ReadonlyMap<string, Cursor>;
}

async function keptOfChain(sql: Sql, chain: AuditedChain | undefined): Promise<KeptOfChain> {
  const [count] = await sql<{ deposits: bigint }[]>`select count(*) as deposits from deposits`;
  const deposits = Number(count?.deposits ?? 0n);
  const nothing = { transfers: new Map(), owners: new Map(), moves: new Map(), cursors: new Map() };
  if (!chain) return { deposits, ...nothing };
  const { id: chainId } = chain.chain;
  const transfers = await sql<{ id: string; consumer_id: string; asset: Asset; units: bigint }[]>`
    select id, consumer_id, asset, units from deposits where method = 'crypto' and id like ${`${chainId}:%`}`;
  const owners = await sql<{ address: string; consumer_id: string }[]>`
    select address, consumer_id from deposit_addresses`;
  const moves = await sql<{ id: string; scope: string; holder: string; kind: string; amount: bigint }[]>`
    select id, scope, holder, kind, amount from collateral_moves where scope like ${`${chainId}:%`}`;
  const cursors = new Map<string, Cursor>();
  const readers = [
    `collateral:${chainId}:${chain.collateral}`,
    ...chain.assets.map(({ token }) => `deposits:${chainId}:${token}`),
  ];
  for (const reader of readers) {
    const cursor = await cursorOf(sql, reader);
    if (cursor) cursors.set(reader, cursor);
  }
  return {
    deposits,
    transfers: new Map(
      transfers.map(({ id, consumer_id: consumerId, asset, units }) => [id, { consumerId, asset, units }]),
    ),
    owners: new Map(owners.map(({ address, consumer_id: consumerId }) => [address, consumerId])),
    moves: new Map(moves.map(({ id, ...move }) => [id, move])),
    cursors,
  };
}

/** True when the block up to which was read is still what it was. Otherwise that is the difference. */
async function stillThere(
  chain: Chain,
  reader: string,
  { block, hash }: Cursor,
  note: Note,
): Promise<boolean> {
  const found = (await chain.block(block))?.hash;
  if (found === hash) return true;
  note('The chain that was read is another than the one that is there.', [
    { where: `${reader}, block ${block}`, found: hash, expected: found ?? 'no such block' },
  ]);
  return false;
}

/** Each credited transfer of one token is on the chain, and each on the chain is credited or noted. */
async function auditTransfers(
  { chain, firstBlock }: AuditedChain,
  { asset, token }: ChainAsset,
  kept: KeptOfChain,
  note: Note,
): Promise<void> {
  const reader = `deposits:${chain.id}:${token}`;
  const mark = kept.cursors.get(reader);
  const ours = new Map([...kept.transfers].filter(([, transfer]) => transfer.asset === asset));
  if (mark && !(await stillThere(chain, reader, mark, note))) return;
  const receivers = [...kept.owners.keys()] as Address[];
  const words = (consumer: string | undefined, units: bigint): string => `${units} units to ${consumer}`;
  const until = mark?.block ?? -1n;
  for (let cursor = await cursorBefore(chain, firstBlock); cursor.block < until; ) {
    const read = await transfersTo(chain, {
      token,
      receivers: () => Promise.resolve(receivers),
      cursor,
      confirmations: 1,
    });
    if (read.cursor.block === cursor.block) break;
    for (const { id, to, units, block } of read.transfers) {
      if (block > until) continue;
      const name = `${chain.id}:${id}`;
      const there = ours.get(name);
      ours.delete(name);
      const found = there ? words(there.consumerId, there.units) : 'no deposit';
      const expected = words(kept.owners.get(to), units);
      if (found !== expected) {
        note('A deposit is not what the chain says of its transfer.', [{ where: name, found, expected }]);
      }
    }
    cursor = read.cursor;
  }
  for (const [name, { consumerId, units }] of ours) {
    note('A deposit was credited that is not on the chain.', [
      { where: name, found: words(consumerId, units), expected: 'no such transfer' },
    ]);
  }
}

/** Each move of pledged tokens is an event of the contract and the reverse, and the contract has what we think it has. */
async function auditContract(
  { chain, collateral, assets, firstBlock }: AuditedChain,
  kept: KeptOfChain & { pledges: readonly KeptPledge[] },
  note: Note,
): Promise<void> {
  if (!collateral) return;
  const reader = `collateral:${chain.id}:${collateral}`;
  const mark = kept.cursors.get(reader);
  const scopes = new Map(assets.map(({ token }) => [`${chain.id}:${collateral}:${token}`, token]));
  const ours = new Map([...kept.moves].filter(([, { scope }]) => scopes.has(scope)));
  if (mark && !(await stillThere(chain, reader, mark, note))) return;
  const until = mark?.block ?? -1n;
  for (let cursor = await cursorBefore(chain, firstBlock); cursor.block < until; ) {
    const read = await collateralEvents(chain, { collateral, cursor, confirmations: 1 });
    if (read.cursor.block === cursor.block) break;
    for (const event of read.events) {
      const said = saidBy(event);
      const scope = `${chain.id}:${collateral}:${said?.token}`;
      if (!said || event.block > until || !scopes.has(scope)) continue;
      const name = `${chain.id}:${event.id}`;
      const move = ours.get(name);
      ours.delete(name);
      const amount = said.amount ?? move?.amount;
      const found = move ? `${move.kind} ${move.amount} of ${move.holder} in ${move.scope}` : 'no move';
      const expected = `${said.kind} ${amount ?? ''} of ${said.holder} in ${scope}`;
      if (found !== expected) {
        note('A move of a pledge is not what the contract told.', [{ where: name, found, expected }]);
      }
    }
    cursor = read.cursor;
  }
  for (const [name, { kind, amount, holder }] of ours) {
    note('A move of a pledge is no event of the contract.', [
      { where: name, found: `${kind} ${amount} of ${holder}`, expected: 'no such event' },
    ]);
  }
  if (!mark) return;
  for (const { scope, holder, locked, waiting } of kept.pledges) {
    const token = scopes.get(scope);
    if (!token) continue;
    const there = await pledgeOnChain(chain, { collateral, token, account: holder as Address }, mark.block);
    if (there.locked === locked && there.waiting === waiting) continue;
    note('The contract has another pledge than the ledger.', [
      {
        where: `${scope} ${holder}`,
        found: `locked ${locked}, waiting ${waiting}`,
        expected: `locked ${there.locked}, waiting ${there.waiting}`,
      },
    ]);
  }
}

/** What an event moved. Without an amount: the contract tells a total, and the pledge itself is compared. */
function saidBy(
  event: Awaited<ReturnType<typeof collateralEvents>>['events'][number],
): { kind: string; holder: string; token: string; amount?: bigint } | undefined {
  const { account = '', token = '' } = event.args as { account?: string; token?: string };
  const where = { holder: account.toLowerCase(), token: token.toLowerCase() };
  switch (event.eventName) {
    case 'Deposited':
      return { kind: 'deposited', ...where, amount: event.args.received };
    case 'Slashed':
      return { kind: 'slashed', ...where, amount: event.args.taken };
    case 'RefundRequested':
      return { kind: 'requested', ...where };
    case 'RefundCancelled':
      return { kind: 'cancelled', ...where };
    case 'Refunded':
      return { kind: 'refunded', ...where };
    default:
      return undefined;
  }
}
