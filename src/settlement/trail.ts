import type { Sql } from '#db/database.ts';
import type { Hex } from '#domain/hex.ts';
import type { Scope, Settlement } from './store.ts';

/** A transaction that a batch needed, as far as the chain is known to have it. */
export interface TrailTransaction {
  readonly purpose: 'funding' | 'publishing';
  /** Of the version that is in a block; before one is, of the newest. */
  readonly hash: Hex;
  readonly block: bigint | undefined;
  readonly outcome: 'done' | 'reverted' | 'displaced' | undefined;
  /** Wall milliseconds. */
  readonly signedAt: number;
}

/** What is known of how a batch went on: when, by which transactions, and what of it was collected. */
export interface Trail {
  /** Wall milliseconds. */
  readonly cutAt: number;
  /** When it came to each state at last, in wall milliseconds; without those that nobody noted. */
  readonly moves: Readonly<
    Partial<Record<'submitted' | 'pending' | 'confirmed' | 'in-force' | 'revoked', number>>
  >;
  readonly inForce: boolean;
  /** In the order in which they were signed. */
  readonly transactions: readonly TrailTransaction[];
  /** What this batch promised and was claimed since, in the token's units. */
  readonly collected: { readonly accounts: number; readonly of: number; readonly units: bigint };
}

/** Reads all of it from what settlement and the sender of transactions keep. Asks no chain. */
export async function trailOf(
  sql: Sql,
  { chainId, contract, token }: Scope,
  { id, number, state }: Settlement,
): Promise<Trail> {
  const publication = `publish:${contract}:${token}:${number}`;
  const [cuts, moved, sent, claims, later] = await Promise.all([
    sql<{ madeAt: Date }[]>`
      select c.made_at as "madeAt" from settlement_cuts c join settlements s on s.cut_id = c.id where s.id = ${id}`,
    sql<{ move: keyof Trail['moves']; at: Date }[]>`
      select move, max(at) as at from settlement_moves where settlement_id = ${id} group by move`,
    sql<
      {
        id: string;
        hash: Hex;
        block: bigint | null;
        outcome: TrailTransaction['outcome'];
        signedAt: bigint;
      }[]
    >`
      select t.id, coalesce(t.outcome_hash, (
          select hash from transaction_versions v where v.transaction_id = t.id order by number desc limit 1
        )) as hash,
        t.outcome_block as block, t.outcome,
        (select min(signed_at_ms) from transaction_versions v where v.transaction_id = t.id) as "signedAt"
      from transactions t
      where t.chain_id = ${chainId}
        and (t.id = ${publication} or starts_with(t.id, ${`${publication}:`}) or starts_with(t.id, ${`fund:${id}:`}))
      order by "signedAt", t.id`,
    sql<{ accounts: bigint; of: bigint; units: bigint }[]>`
      with due as (
        select p.account, sum(p.units) as upto, sum(p.units) filter (where s.number = ${number}) as increase
        from settlement_payouts p join settlements s on s.id = p.settlement_id
        where s.chain_id = ${chainId} and s.contract = ${contract} and s.token = ${token}
          and (s.number = ${number} or (s.number < ${number} and s.state <> 'revoked'))
          and p.account in (select account from settlement_payouts where settlement_id = ${id})
        group by p.account
      ), got as (
        select d.account, d.upto, d.increase, coalesce((
          select sum(c.units) from settlement_claims c
          where c.chain_id = ${chainId} and c.contract = ${contract} and c.token = ${token} and c.account = d.account
        ), 0) as claimed from due d
      )
      select count(*) filter (where claimed >= upto) as accounts, count(*) as of,
        coalesce(sum(least(increase, greatest(0, claimed - (upto - increase)))), 0) as units
      from got`,
    sql`
      select 1 from settlements
      where chain_id = ${chainId} and contract = ${contract} and token = ${token} and number > ${number} limit 1`,
  ]);
  const moves = Object.fromEntries(moved.map(({ move, at }) => [move, at.getTime()])) as Trail['moves'];
  const [collected = { accounts: 0n, of: 0n, units: 0n }] = claims;
  // A further batch is made only when this one cannot be revoked any more, and nobody collects before that.
  const followed = later.length > 0 || collected.units > 0n;
  return {
    cutAt: cuts[0]?.madeAt.getTime() ?? 0,
    moves,
    inForce: state === 'confirmed' && (moves['in-force'] !== undefined || followed),
    transactions: sent.map((each) => ({
      purpose: each.id.startsWith('fund:') ? 'funding' : 'publishing',
      hash: each.hash,
      block: each.block ?? undefined,
      outcome: each.outcome ?? undefined,
      signedAt: Number(each.signedAt),
    })),
    collected: { accounts: Number(collected.accounts), of: Number(collected.of), units: collected.units },
  };
}
