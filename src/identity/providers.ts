import type { Database, Sql } from '#db/database.ts';
import type { Address } from '#domain/hex.ts';
import type { Provider, ProviderState } from '#domain/party.ts';
import type { DataPolicy } from '#domain/preferences.ts';

/**
 * Providers and their lives. `pending → under_review → approved → activating → active` is the way in; `suspended` can be
 * left again; `removed` is final. Which of these moves come by themselves is told in `domain/lifecycle.ts`.
 */

/** Where a provider may go from each state. */
const MOVES: Readonly<Record<ProviderState, readonly ProviderState[]>> = {
  pending: ['under_review', 'approved', 'active', 'removed'],
  under_review: ['approved', 'active', 'removed'],
  approved: ['activating', 'active', 'suspended', 'removed'],
  activating: ['active', 'suspended', 'removed'],
  active: ['suspended', 'removed'],
  suspended: ['active', 'removed'],
  removed: [],
};

/** Where an operator may move a provider from a state. */
export function movesFrom(state: ProviderState): readonly ProviderState[] {
  return MOVES[state];
}

/** Whether a provider may go from one state to another. */
function mayMove(from: ProviderState, to: ProviderState): boolean {
  return MOVES[from].includes(to);
}

/** A provider in full, as an operator lists it. */
export interface ListedProvider extends Provider {
  readonly reason: string;
  /** Wall milliseconds. */
  readonly since: number;
  readonly createdAt: number;
  readonly nodes: number;
}

/** Notes a new provider. The id is the caller's: sending it again answers `known` and changes nothing. */
export async function createProvider(
  database: Database,
  provider: { id: string; name: string; state: ProviderState; at: number },
): Promise<'created' | 'known'> {
  const at = new Date(provider.at);
  const [made] = await database.sql`
    insert into providers (id, name, state, state_since, created_at)
    values (${provider.id}, ${provider.name}, ${provider.state}, ${at}, ${at})
    on conflict (id) do nothing returning id`;
  return made ? 'created' : 'known';
}

/** The row of a new provider, for a transaction. False when its owner's address belongs to another. */
export async function insertProvider(
  sql: Sql,
  provider: {
    id: string;
    name: string;
    state: ProviderState;
    at: number;
    ownerAddress: string | null;
    workerAddress: string | null;
    beneficiaryAddress: string | null;
    description: string;
  },
): Promise<boolean> {
  const at = new Date(provider.at);
  const [made] = await sql`
    insert into providers (
      id, name, state, state_since, created_at, owner_address, worker_address, beneficiary_address, description
    )
    values (
      ${provider.id}, ${provider.name}, ${provider.state}, ${at}, ${at}, ${provider.ownerAddress},
      ${provider.workerAddress}, ${provider.beneficiaryAddress}, ${provider.description}
    )
    on conflict (owner_address) do nothing returning id`;
  return made !== undefined;
}

/** The provider with this id. */
async function providerById(database: Database, id: string): Promise<Provider | undefined> {
  const [found] = await database.sql<Provider[]>`
    select id, name, state, region, data_policy as "dataPolicy" from providers where id = ${id}`;
  return found;
}

/** The owner address that a provider has proven, in lower case. What it only says counts for nothing. */
export async function ownerAddressOf(database: Database, id: string): Promise<Address | undefined> {
  const [row] = await database.sql<{ address: Address }[]>`
    select address from wallet_proofs where provider_id = ${id} and purpose = 'owner'`;
  return row?.address;
}

/** The providers with this id or this name; at most 20. */
export async function providersNamed(database: Database, name: string): Promise<Provider[]> {
  const rows = await database.sql<Provider[]>`
    select id, name, state, region, data_policy as "dataPolicy" from providers where id = ${name} or name = ${name} order by created_at, id limit 20`;
  return [...rows];
}

/** The providers in one of these states. */
export async function providersInStates(
  database: Database,
  states: readonly ProviderState[],
): Promise<{ id: string; state: ProviderState; reason: string }[]> {
  const rows = await database.sql<{ id: string; state: ProviderState; reason: string }[]>`
    select id, state, state_reason as reason from providers where state = any(${[...states]}) order by id`;
  return [...rows];
}

/** All providers, oldest first, at most `limit`. */
export async function listProviders(database: Database, limit: number): Promise<ListedProvider[]> {
  const rows = await database.sql<
    (Provider & {
      state_reason: string;
      state_since: Date;
      created_at: Date;
      nodes: number;
      withheld_until: Date | null;
    })[]
  >`
    select id, name, state, region, data_policy as "dataPolicy", state_reason, state_since, created_at, withheld_until,
      (select count(*)::integer from nodes where provider_id = providers.id) as nodes
    from providers order by created_at, id limit ${limit}`;
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    state: row.state,
    region: row.region,
    dataPolicy: row.dataPolicy,
    reason: row.state_reason,
    since: row.state_since.getTime(),
    createdAt: row.created_at.getTime(),
    nodes: row.nodes,
    ...(row.withheld_until && { withheldUntil: row.withheld_until.getTime() }),
  }));
}

/** The providers that may serve, with when each became active for the first time (wall milliseconds). */
export async function activeProviders(database: Database): Promise<{ id: string; since: number }[]> {
  const rows = await database.sql<{ id: string; since: Date }[]>`
    select id, coalesce(first_active_at, state_since) as since from providers where state = 'active'`;
  return rows.map(({ id, since }) => ({ id, since: since.getTime() }));
}

/**
 * Moves a provider to another state. `unchanged` when it is there already; `refused` when no move leads there, told with
 * the state it is in. Of two moves at once, the second sees what the first has done.
 */
export async function setProviderState(
  database: Database,
  move: {
    id: string;
    to: ProviderState;
    reason: string;
    at: number;
    /** Only from this state. */
    from?: ProviderState;
  },
): Promise<'moved' | 'unchanged' | 'unknown' | { refused: ProviderState }> {
  const from = (Object.keys(MOVES) as ProviderState[]).filter(
    (state) => mayMove(state, move.to) && (move.from ?? state) === state,
  );
  const [moved] = await database.sql`
    update providers set state = ${move.to}, state_reason = ${move.reason}, state_since = ${new Date(move.at)}
    where id = ${move.id} and state = any(${from}) returning id`;
  if (moved) return 'moved';
  const provider = await providerById(database, move.id);
  if (!provider) return 'unknown';
  return provider.state === move.to ? 'unchanged' : { refused: provider.state };
}

/** Keeps requests from a provider until a moment, within the caller's transaction; a later moment noted before stays. */
export async function withhold(
  sql: Sql,
  { id, until, because }: { id: string; until: number; because: string },
): Promise<void> {
  await sql`
    update providers set withheld_until = ${new Date(until)}, withheld_because = ${because.slice(0, 1_000)}
    where id = ${id} and (withheld_until is null or withheld_until < ${new Date(until)})`;
}

/** Ends what `withhold` began. False when nothing was withheld. */
export async function endWithholding(
  database: Database,
  { id, at }: { id: string; at: number },
): Promise<boolean> {
  const [ended] = await database.sql`
    update providers set withheld_until = null, withheld_because = ''
    where id = ${id} and withheld_until > ${new Date(at)} returning id`;
  return ended !== undefined;
}

/**
 * Notes where a provider is and what it does with prompts, as far as given; the rest stays. Answers the provider as it is
 * now; undefined when there is none.
 */
export async function setProviderTerms(
  database: Database,
  terms: { id: string; region?: string | null; dataPolicy?: DataPolicy },
): Promise<Provider | undefined> {
  const { id, region, dataPolicy } = terms;
  const [provider] = await database.sql<Provider[]>`
    update providers set
      region = case when ${region !== undefined} then ${region ?? null} else region end,
      data_policy = coalesce(${dataPolicy ?? null}, data_policy)
    where id = ${id} returning id, name, state, region, data_policy as "dataPolicy"`;
  return provider;
}
