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

/**
 * Binds a node to the provider whose key it registered with, or notes that it was seen again. A node belongs to the first
 * provider that brings it, for ever: `foreign` says that this one belongs to somebody else, and the connection must be
 * refused. `too-many` when the provider has brought more machines than anybody has; `malformed` when the id is empty,
 * longer than 200 characters, or not printable ASCII. Of two providers who bring the same new node at once, one gets it.
 */
export async function bindNode(
  database: Database,
  node: {
    nodeId: string;
    providerId: string;
    keyId: string;
    name: string | null;
    hardware: Hardware | null;
    at: number;
    nodesMax?: number;
  },
): Promise<'bound' | 'foreign' | 'too-many' | 'malformed'> {
  const { nodeId, providerId } = node;
  if (!/^[\x21-\x7e]{1,200}$/.test(nodeId)) return 'malformed';
  const { sql } = database;
  const at = new Date(node.at);
  const name = node.name === null ? null : storable(node.name);
  const hardware = node.hardware === null ? null : sql.json(storableFields(node.hardware));

  const [seen] = await sql`
    update nodes set last_seen = greatest(last_seen, ${at}), name = ${name}, hardware = ${hardware}
    where node_id = ${nodeId} and provider_id = ${providerId} returning node_id`;
  if (seen) return 'bound';
  const [bound] = await sql`
    insert into nodes (node_id, provider_id, first_key_id, name, hardware, first_seen, last_seen)
    select ${nodeId}, ${providerId}, ${node.keyId}, ${name}, ${hardware}, ${at}, ${at}
    where (select count(*) from nodes where provider_id = ${providerId}) < ${node.nodesMax ?? NODES_PER_PROVIDER_MAX}::integer
    on conflict (node_id) do nothing returning node_id`;
  if (bound) return 'bound';
  const [holder] = await sql<
    { provider_id: string }[]
  >`select provider_id from nodes where node_id = ${nodeId}`;
  if (!holder) return 'too-many';
  // It may be ours by now: the same node registered twice at once.
  return holder.provider_id === providerId ? 'bound' : 'foreign';
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
