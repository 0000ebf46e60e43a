import type { Database } from '#db/database.ts';

/** What an agent says of its machine, as `register` carries it. Claims, to be checked by measurement. */
export type Hardware = Readonly<Record<string, unknown>>;

/** A machine that registered. */
export interface Node {
  readonly nodeId: string;
  readonly providerId: string;
  readonly name: string | null;
  readonly hardware: Readonly<Record<string, string | number>> | null;
  /** Wall milliseconds. */
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** So many machines one provider may bring; one who makes up node ids must not fill our tables. */
const NODES_PER_PROVIDER_MAX = 10_000;
const FIELDS_MAX = 20;
const CHARS_MAX = 200;

/** A machine that registers. */
export interface ArrivingNode {
  readonly nodeId: string;
  readonly providerId: string;
  readonly keyId: string;
  readonly name: string | null;
  readonly hardware: Hardware | null;
  /** Wall milliseconds. */
  readonly at: number;
}

export type Binding = 'bound' | 'foreign' | 'too-many' | 'malformed';

/** Binds one node: see `bindNodes`. */
export async function bindNode(
  database: Database,
  { nodesMax, ...node }: ArrivingNode & { readonly nodesMax?: number },
): Promise<Binding> {
  return (await bindNodes(database, [node], nodesMax))[0] as Binding;
}

/**
 * Binds each node to the provider whose key it registered with, or notes that it was seen again. A node belongs to the first
 * provider that brings it, for ever: `foreign` says that this one belongs to somebody else, and the connection must be
 * refused. `too-many` when the provider has brought more machines than anybody has; `malformed` when the id is empty,
 * longer than 200 characters, or not printable ASCII. Of two providers who bring the same new node at once, one gets it.
 *
 * One statement for all that are known and at most two more for the rest, because ten thousand come at once when a gateway
 * has started. Rows are locked in the order of their ids, so that two gateways do not wait for each other.
 */
export async function bindNodes(
  database: Database,
  nodes: readonly ArrivingNode[],
  nodesMax = NODES_PER_PROVIDER_MAX,
): Promise<Binding[]> {
  const { sql } = database;
  const isId = (nodeId: string): boolean => /^[\x21-\x7e]{1,200}$/.test(nodeId);
  const owners = new Map<string, string>();
  const learn = (rows: readonly { node_id: string; provider_id: string }[]): void => {
    for (const row of rows) owners.set(row.node_id, row.provider_id);
  };
  const unknown = (): ArrivingNode[] => nodes.filter(({ nodeId }) => isId(nodeId) && !owners.has(nodeId));

  const arriving = unknown();
  if (arriving.length > 0)
    learn(
      await sql<{ node_id: string; provider_id: string }[]>`
        with said as (
          select * from jsonb_to_recordset(${sql.json(arriving.map(rowOf))})
            as s(node_id text, provider_id text, at timestamptz, name text, hardware jsonb)
        ), mine as (
          select said.* from said join nodes n on n.node_id = said.node_id and n.provider_id = said.provider_id
          order by n.node_id for no key update of n
        )
        update nodes n set last_seen = greatest(n.last_seen, mine.at), name = mine.name, hardware = mine.hardware
        from mine where n.node_id = mine.node_id returning n.node_id, n.provider_id`,
    );
  const strange = unknown();
  if (strange.length > 0)
    learn(
      await sql<{ node_id: string; provider_id: string }[]>`
        with said as (
          select s.*, row_number() over (partition by s.provider_id order by s.place) as rank
          from jsonb_to_recordset(${sql.json(strange.map(rowOf))})
            as s(place integer, node_id text, provider_id text, key_id text, at timestamptz, name text, hardware jsonb)
        ), held as (
          select provider_id, count(*) as nodes from nodes
          where provider_id in (select provider_id from said) group by provider_id
        )
        insert into nodes (node_id, provider_id, first_key_id, name, hardware, first_seen, last_seen)
        select node_id, said.provider_id, key_id, name, hardware, at, at
        from said left join held on held.provider_id = said.provider_id
        where coalesce(held.nodes, 0) + said.rank <= ${nodesMax}::integer order by node_id
        on conflict (node_id) do nothing returning node_id, provider_id`,
    );
  // Somebody else's; or ours by now: the same node registered twice at once.
  const taken = unknown().map(({ nodeId }) => nodeId);
  if (taken.length > 0)
    learn(
      await sql<{ node_id: string; provider_id: string }[]>`
        select node_id, provider_id from nodes where node_id = any(${taken}::text[])`,
    );
  return nodes.map(({ nodeId, providerId }) => {
    if (!isId(nodeId)) return 'malformed';
    const owner = owners.get(nodeId);
    if (owner === undefined) return 'too-many';
    return owner === providerId ? 'bound' : 'foreign';
  });
}

function rowOf({ nodeId, providerId, keyId, name, hardware, at }: ArrivingNode, place: number) {
  return {
    place,
    node_id: nodeId,
    provider_id: providerId,
    key_id: keyId,
    at: new Date(at).toISOString(),
    name: name === null ? null : storable(name),
    hardware: hardware === null ? null : storableFields(hardware),
  };
}

/** The nodes of a provider, newest sign of life first, at most `limit`. */
export async function nodesOf(
  database: Database,
  which: { providerId: string; limit: number },
): Promise<Node[]> {
  const rows = await database.sql<
    { node_id: string; name: string | null; hardware: Node['hardware']; first_seen: Date; last_seen: Date }[]
  >`
    select node_id, name, hardware, first_seen, last_seen from nodes
    where provider_id = ${which.providerId} order by last_seen desc, node_id limit ${which.limit}`;
  return rows.map((row) => ({
    nodeId: row.node_id,
    providerId: which.providerId,
    name: row.name,
    hardware: row.hardware,
    firstSeen: row.first_seen.getTime(),
    lastSeen: row.last_seen.getTime(),
  }));
}

/** The GPUs that a provider's machines say they have; claims, like all of it. */
export async function gpusOf(database: Database, providerId: string): Promise<string[]> {
  const rows = await database.sql<{ gpu: string }[]>`
    select distinct coalesce(hardware->>'gpu_model', hardware->>'gpu_type') as gpu from nodes
    where provider_id = ${providerId} and coalesce(hardware->>'gpu_model', hardware->>'gpu_type') is not null`;
  return rows.map(({ gpu }) => gpu);
}

/** A stranger's text as the database can keep it: no control characters (PostgreSQL refuses NUL), and short. */
function storable(text: string): string {
  const short = text.slice(0, CHARS_MAX).replace(/\p{Cc}/gu, ' ');
  // Half a surrogate pair, which `jsonb` refuses, becomes a replacement character on its way through UTF-8.
  return Buffer.from(short, 'utf8').toString('utf8');
}

/** Of what an agent says of its hardware, the flat part that can be kept. */
function storableFields(hardware: Hardware): Record<string, string | number> {
  const kept: Record<string, string | number> = {};
  for (const [field, value] of Object.entries(hardware).slice(0, FIELDS_MAX)) {
    if (!/^[a-z][a-z0-9_]{0,63}$/.test(field)) continue;
    if (typeof value === 'string') kept[field] = storable(value);
    else if (typeof value === 'number' && Number.isFinite(value)) kept[field] = value;
  }
  return kept;
}
