import type { Database, Sql } from '#db/database.ts';
import type { Consumer } from '#domain/party.ts';
import type { PlanName } from '#domain/plan.ts';

/** Notes a new consumer. The id is the caller's: sending it again answers `known` and changes nothing. */
export async function createConsumer(
  database: Database,
  consumer: { id: string; name: string; at: number },
): Promise<'created' | 'known'> {
  const [made] = await database.sql`
    insert into consumers (id, name, created_at) values (${consumer.id}, ${consumer.name}, ${new Date(consumer.at)})
    on conflict (id) do nothing returning id`;
  return made ? 'created' : 'known';
}

/** The consumers with this id or this name. Names are the operator's own and need not be unique: at most 20 come back. */
export async function consumersNamed(database: Database, name: string): Promise<Consumer[]> {
  const rows = await database.sql<Consumer[]>`
    select id, name from consumers where id = ${name} or name = ${name} order by created_at, id limit 20`;
  return [...rows];
}

/** Puts a consumer on a plan; every gateway knows it within a second, and the change stays known. */
export async function setPlan(
  { sql }: { readonly sql: Sql },
  change: { id: string; plan: PlanName; at: number },
): Promise<void> {
  const { id, plan, at } = change;
  await sql`
    with was as (select plan from consumers where id = ${id} for no key update),
    made as (update consumers set plan = ${plan} where id = ${id} and exists (select from was))
    insert into plan_changes (consumer_id, at, before, after)
    select ${id}, ${new Date(at)}, plan, ${plan} from was where plan <> ${plan}`;
}

/** The plan of a consumer, which stays so until the caller's transaction ends. */
export async function lockPlan(sql: Sql, id: string): Promise<string | undefined> {
  const [row] = await sql<{ plan: string }[]>`select plan from consumers where id = ${id} for no key update`;
  return row?.plan;
}

/** What plan a consumer is on. */
export async function planNameOf(database: Database, id: string): Promise<string | undefined> {
  const [row] = await database.sql<{ plan: string }[]>`select plan from consumers where id = ${id}`;
  return row?.plan;
}

/** All consumers, oldest first, at most `limit`. */
export async function listConsumers(
  database: Database,
  limit: number,
): Promise<(Consumer & { createdAt: number })[]> {
  const rows = await database.sql<(Consumer & { created_at: Date })[]>`
    select id, name, created_at from consumers order by created_at, id limit ${limit}`;
  return rows.map(({ id, name, created_at }) => ({ id, name, createdAt: created_at.getTime() }));
}
