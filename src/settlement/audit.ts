import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { announcedBatch, claimedByAll, fundedWith, lastBatchNumber } from '#chain/distributor.ts';
import type { MarketChain } from '#chain/market-chain.ts';
import type { Database } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import { type AuditReport, audit as auditLedger, type Difference } from '#ledger/audit.ts';
import { auditTokens } from '#ledger/token-audit.ts';
import type { ClaimsDesk } from './claims-desk.ts';
import { rewardStore } from './open.ts';
import type { SettlementStore } from './store.ts';

/** What an audit of the whole way found: usage, entries, batches, chain. */
export interface MarketAuditReport extends AuditReport {
  readonly checkedSettlements: number;
  readonly checkedPayouts: number;
  readonly checkedClaims: number;
  readonly checkedDeposits: number;
  readonly checkedPledges: number;
  /** Whether the chain was asked. */
  readonly checkedChain: boolean;
}

export interface FundsFindings {
  readonly checkedDeposits: number;
  readonly checkedPledges: number;
  readonly differences: readonly Difference[];
}

const LISTED = 100;
const SETTLEMENTS = 100_000;

/**
 * The audit of the ledgers of dollars and tokens, and of what settlement made of them: each payout and each claim has its entry and the reverse; no
 * provider was paid more than it had earned by the cut; a batch adds up and builds on the one before; what is claimable is
 * what was promised and not claimed. With the chain: the contract announced every confirmed batch as it is in the ledger,
 * has no other, has enough, and has paid what the claims say. With the desk: every claims file has the hash that is on
 * chain.
 */
export async function auditMarket(parts: {
  database: Database;
  store?: SettlementStore | undefined;
  chain?: MarketChain | undefined;
  desk?: ClaimsDesk | undefined;
  /** The audit of money in and out (`funds/audit.ts`), which this room does not know. */
  funds?: () => Promise<FundsFindings>;
  /** The audit of service level credits (`sla/audit.ts`), likewise. */
  agreements?: () => Promise<Difference[]>;
  /** Whether invoices, credit notes, receipts and burns are the ledger (`statements/check.ts`), likewise. */
  papers?: () => Promise<Difference[]>;
}): Promise<MarketAuditReport> {
  const ledger = await auditLedger(parts.database);
  const differences = [...ledger.differences, ...(await auditTokens(parts.database))];
  const counts = await auditTables(parts.database, differences);
  if (parts.store && parts.chain) {
    await auditChain(parts.store, parts.chain, differences);
    const rewards = rewardStore(parts.database, parts.chain);
    // A market that never rewarded anybody may not know this token of the contract.
    const rewarded = rewards && (await rewards.last()) ? rewards : undefined;
    if (rewarded) await auditChain(rewarded, parts.chain, differences);
    if (rewarded && parts.desk) await auditFiles(rewarded, parts.desk.of(rewarded), differences);
  }
  if (parts.store && parts.desk) await auditFiles(parts.store, parts.desk, differences);
  const funds = await parts.funds?.();
  differences.push(...(funds?.differences ?? []), ...((await parts.agreements?.()) ?? []));
  differences.push(...((await parts.papers?.()) ?? []));
  return {
    ...ledger,
    ...counts,
    checkedDeposits: funds?.checkedDeposits ?? 0,
    checkedPledges: funds?.checkedPledges ?? 0,
    checkedChain: parts.chain !== undefined,
    balanced: differences.length === 0,
    differences: differences.slice(0, LISTED),
    more: ledger.more || differences.length > LISTED,
  };
}

type Found = { where: string; found: unknown; expected: unknown };

function note(differences: Difference[], what: string, rows: Iterable<Found>): void {
  for (const { where, found, expected } of rows) {
    differences.push({ what, where, found: String(found), expected: String(expected) });
  }
}

async function auditTables(
  database: Database,
  differences: Difference[],
): Promise<{ checkedSettlements: number; checkedPayouts: number; checkedClaims: number }> {
  return await database.transaction(async (sql) => {
    await sql`set transaction isolation level repeatable read, read only`;
    await sql`set local statement_timeout = '10min'`;
    type Row = { where: string; found: Pico | string | null; expected: Pico | string | null };
    note(
      differences,
      'A payout and its entry differ.',
      await sql<Row[]>`
        select coalesce('payout:' || p.settlement_id || ':' || p.provider_id, e.id) as "where",
          e.amount as found, -p.paid as expected
        from settlement_payouts p
        full join (select id, account, amount from settled_postings where kind = 'payout' and account like 'provider:%') e
          on e.id = 'payout:' || p.settlement_id || ':' || p.provider_id
        where e.amount is distinct from -p.paid or e.account is distinct from 'provider:' || p.provider_id
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      differences,
      'A revoked payout and its entry differ.',
      await sql<Row[]>`
        select coalesce('payout-revoked:' || p.settlement_id || ':' || p.provider_id, e.id) as "where",
          e.amount as found, p.paid as expected
        from (
          select p.* from settlement_payouts p join settlements s on s.id = p.settlement_id where s.state = 'revoked'
        ) p
        full join (select id, account, amount from settled_postings where kind = 'payout-revoked' and account like 'provider:%') e
          on e.id = 'payout-revoked:' || p.settlement_id || ':' || p.provider_id
        where e.amount is distinct from p.paid or e.account is distinct from 'provider:' || p.provider_id
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      differences,
      'A claim and its entry differ.',
      await sql<Row[]>`
        select coalesce('claim:' || c.event_id, e.id) as "where", e.amount as found, -c.paid as expected
        from settlement_claims c
        full join (select id, amount from settled_postings where kind = 'claim' and account = 'platform:claimable') e
          on e.id = 'claim:' || c.event_id
        where e.amount is distinct from -c.paid
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      differences,
      'A provider was paid more than it had earned by the cut.',
      await sql<Row[]>`
        select s.id || ' ' || p.provider_id as "where", before.paid + p.paid as found, earned.amount as expected
        from settlement_payouts p
        join settlements s on s.id = p.settlement_id and s.state <> 'revoked'
        cross join lateral (
          select coalesce(sum(q.paid), 0) as paid
          from settlement_payouts q join settlements r on r.id = q.settlement_id
          where q.provider_id = p.provider_id and r.asset = s.asset and r.state <> 'revoked' and r.made_at < s.made_at
        ) before
        cross join lateral (
          select coalesce(sum(leg.amount), 0) as amount
          from (
            select seq, kind, accounts, amounts from entries
            where s.asset = 'USD' and accounts @> array['provider:' || p.provider_id]
            union all
            select seq, kind, accounts, amounts from token_entries
            where asset = s.asset and accounts @> array['provider:' || p.provider_id]
          ) e, unnest(e.accounts, e.amounts) as leg(account, amount)
          where e.seq <= s.cut and e.kind not in ('payout', 'payout-revoked')
            and leg.account = 'provider:' || p.provider_id
        ) earned
        where before.paid + p.paid > earned.amount
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      differences,
      'The payouts of a batch are not its increase.',
      await sql<Row[]>`
        select s.id as "where", coalesce(sum(p.units), 0) as found, s.increase as expected
        from settlements s left join settlement_payouts p on p.settlement_id = s.id
        group by s.id, s.increase having coalesce(sum(p.units), 0) <> s.increase
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      differences,
      'The total of a batch is not the one before and its increase.',
      await sql<Row[]>`
        select s.id as "where", s.total as found, s.increase + coalesce(b.total, 0) as expected
        from settlements s
        left join lateral (
          select total from settlements b
          where (b.chain_id, b.contract, b.token) = (s.chain_id, s.contract, s.token)
            and b.number < s.number and b.state <> 'revoked'
          order by b.number desc limit 1
        ) b on true
        where s.total <> s.increase + coalesce(b.total, 0)
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      differences,
      'An account claimed more than it was promised.',
      await sql<Row[]>`
        select c.account as "where", c.units as found, coalesce(p.units, 0) as expected
        from (
          select chain_id, contract, token, account, sum(units) as units from settlement_claims group by 1, 2, 3, 4
        ) c
        left join (
          select s.chain_id, s.contract, s.token, p.account, sum(p.units) as units
          from settlement_payouts p join settlements s on s.id = p.settlement_id
          where s.state <> 'revoked' group by 1, 2, 3, 4
        ) p using (chain_id, contract, token, account)
        where c.units > coalesce(p.units, 0)
        order by 1 limit ${LISTED + 1}`,
    );
    note(
      differences,
      'What is claimable is not what was promised and not claimed.',
      await sql<Row[]>`
        with promised as (
          select s.asset, sum(p.paid) as paid from settlement_payouts p join settlements s on s.id = p.settlement_id
          where s.state <> 'revoked' group by s.asset
        ),
        claimed as (
          select s.asset, sum(c.paid) as paid from settlement_claims c
          join (select distinct chain_id, contract, token, asset from settlements) s using (chain_id, contract, token)
          group by s.asset
        ),
        claimable as (
          select 'USD' as asset, balance from accounts where id = 'platform:claimable'
          union all
          select asset, balance from token_accounts where id = 'platform:claimable'
        )
        select case coalesce(b.asset, p.asset) when 'USD' then '' else coalesce(b.asset, p.asset) || ' ' end
            || 'platform:claimable' as "where", coalesce(b.balance, 0) as found,
          coalesce(p.paid, 0) - coalesce(c.paid, 0) as expected
        from claimable b full join promised p on p.asset = b.asset left join claimed c on c.asset = p.asset
        where coalesce(b.balance, 0) <> coalesce(p.paid, 0) - coalesce(c.paid, 0)`,
    );
    const [sums] = await sql<{ settlements: bigint; payouts: bigint; claims: bigint }[]>`
      select
        (select count(*) from settlements) as settlements,
        (select count(*) from settlement_payouts) as payouts,
        (select count(*) from settlement_claims) as claims`;
    return {
      checkedSettlements: Number(sums?.settlements ?? 0n),
      checkedPayouts: Number(sums?.payouts ?? 0n),
      checkedClaims: Number(sums?.claims ?? 0n),
    };
  });
}

async function auditChain(
  store: SettlementStore,
  market: MarketChain,
  differences: Difference[],
): Promise<void> {
  const { chain } = market;
  const { contract, token } = store.scope;
  const place = { distributor: contract, token };
  const settlements = await store.list(SETTLEMENTS);
  const newest = settlements[0];
  const onChain = await lastBatchNumber(chain, place);
  const underWay = newest?.state === 'pending' || newest?.state === 'submitted';
  const least = (newest?.number ?? 0) - (underWay ? 1 : 0);
  if (onChain < least || onChain > (newest?.number ?? 0)) {
    note(differences, 'The chain has another number of batches. Was a backup restored?', [
      { where: contract, found: newest?.number ?? 0, expected: onChain },
    ]);
  }
  for (const settlement of settlements) {
    if (settlement.state !== 'confirmed' && settlement.state !== 'revoked') continue;
    const said = await announcedBatch(chain, place, settlement.number, { from: market.firstBlock });
    const words = (batch: { root: string; total: bigint; increase: bigint; claimsHash: string }): string =>
      `${batch.root} ${batch.total} ${batch.increase} ${batch.claimsHash}`;
    const expected = said ? words(said) : 'no such batch';
    if (expected !== words(settlement)) {
      note(differences, 'A batch is not what the contract announced.', [
        { where: settlement.id, found: words(settlement), expected },
      ]);
    }
  }
  const inForce = settlements.find(({ state }) => state === 'confirmed');
  const funded = await fundedWith(chain, place);
  if (inForce && funded < inForce.total) {
    note(differences, 'The contract has less than was promised.', [
      { where: contract, found: funded, expected: inForce.total },
    ]);
  }
  const cursor = await store.cursor();
  // Of a ledger that is older than the chain this was told above. Its last block may be so long ago that the node has no
  // more state of it, and the audit must not fail for that.
  const isOlder = onChain > (newest?.number ?? 0);
  if (cursor && !isOlder) {
    const found = await store.claimedByAll();
    const expected = await claimedByAll(chain, place, cursor.block);
    if (found !== expected)
      note(differences, 'The contract paid another sum than was claimed.', [
        { where: contract, found, expected },
      ]);
  }
}

async function auditFiles(
  store: SettlementStore,
  desk: ClaimsDesk,
  differences: Difference[],
): Promise<void> {
  for (const settlement of await store.list(SETTLEMENTS)) {
    const file = desk.placeOf(settlement);
    // One that is missing is written anew when it is asked for, and then has this hash or is refused.
    if (!existsSync(file)) continue;
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    if (`0x${digest}` !== settlement.claimsHash) {
      note(differences, 'A claims file has another hash than its batch.', [
        { where: file, found: `0x${digest}`, expected: settlement.claimsHash },
      ]);
    }
  }
}
