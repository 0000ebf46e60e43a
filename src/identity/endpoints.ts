import type { Database, Sql } from '#db/database.ts';
import type { EndpointModel, ExternalEndpoint } from '#domain/external-endpoint.ts';
import type { Operation } from '#domain/operation.ts';
import type { Amounts } from '#domain/price.ts';
import type { Sealed } from '#kit/sealed.ts';
import { noteEvent } from './account-events.ts';
import { type AskRow, askIn, askJson, insertAsk } from './asks.ts';
import type { SecretBox } from './secret-box.ts';

/** Registering external endpoints: what is written, and what is read back of it. Keys go in and never come out. */

/** So many one provider may have registered at once. */
const ENDPOINTS_PER_PROVIDER_MAX = 20;

/** An endpoint as its owner and the operator list it. */
export interface ListedEndpoint extends ExternalEndpoint {
  readonly hasKey: boolean;
  /** Wall milliseconds. */
  readonly createdAt: number;
}

/** An endpoint with its key as it is kept. */
export interface KeptEndpoint extends ExternalEndpoint {
  readonly kept: { readonly secretId: string; readonly sealed: Buffer } | undefined;
  readonly removed: boolean;
}

/** What a key is bound to: it opens only for this endpoint at this URL. */
export function keyContext({ id, url }: Pick<ExternalEndpoint, 'id' | 'url'>): string {
  return `${id} ${url}`;
}

/** Registers an endpoint. `too-many` when its provider has as many as it may. */
export async function addEndpoint(
  database: Database,
  parts: {
    endpoint: ExternalEndpoint;
    key: Sealed<string> | undefined;
    box: SecretBox;
    actor: string;
    at: number;
  },
): Promise<'added' | 'too-many'> {
  const { endpoint, key, at } = parts;
  const { id, providerId, name, url, capacity } = endpoint;
  const kept = key && parts.box.seal(key, keyContext(endpoint));
  return await database.transaction(async (sql) => {
    // Two at once must not both be the last one allowed.
    await sql`select id from providers where id = ${providerId} for update`;
    const [had] = await sql<{ count: number }[]>`
      select count(*)::integer as count from external_endpoints
      where provider_id = ${providerId} and removed_at is null`;
    if ((had?.count ?? 0) >= ENDPOINTS_PER_PROVIDER_MAX) return 'too-many';
    await sql`
      insert into external_endpoints (id, provider_id, name, url, secret_id, key_sealed, capacity, created_at)
      values (
        ${id}, ${providerId}, ${name}, ${url}, ${kept?.secretId ?? null}, ${kept?.sealed ?? null}, ${capacity},
        ${new Date(at)}
      )`;
    for (const { modelId, upstreamName, operations, ask } of endpoint.models) {
      await sql`
        insert into external_models (endpoint_id, model_id, upstream_name, operations)
        values (${id}, ${modelId}, ${upstreamName}, ${[...operations]})`;
      if (ask) await insertAsk(sql, { id: ask.id, owner: { endpointId: id }, modelId, amounts: ask, at });
    }
    await noteEvent(sql, {
      at,
      actor: parts.actor,
      what: 'endpoint-added',
      about: id,
      detail: { providerId },
    });
    return 'added';
  });
}

/**
 * Sets what an endpoint of `providerId` (of anybody, when undefined) asks for a model from now on; without `amounts`, the
 * listed price. That it is not above the listed price is the caller's to see to. `unknown` when there is no such endpoint,
 * or it does not serve the model.
 */
export async function setAsk(
  database: Database,
  wish: {
    id: string;
    endpointId: string;
    providerId: string | undefined;
    modelId: string;
    amounts: Amounts | undefined;
    actor: string;
    at: number;
  },
): Promise<'set' | 'unknown'> {
  const { endpointId, providerId = null, modelId, amounts, actor, at } = wish;
  return await database.transaction(async (sql) => {
    // Of two asks set at once, the one that holds must be the one that was set last.
    const [known] = await sql`
      select e.id from external_endpoints e join external_models m on m.endpoint_id = e.id
      where e.id = ${endpointId} and e.removed_at is null and m.model_id = ${modelId}
        and (${providerId}::text is null or e.provider_id = ${providerId})
      for update of e`;
    if (!known) return 'unknown';
    await insertAsk(sql, { id: wish.id, owner: { endpointId }, modelId, amounts, at });
    await noteEvent(sql, {
      at,
      actor,
      what: 'ask-set',
      about: endpointId,
      detail: { modelId, ask: wish.id },
    });
    return 'set';
  });
}

/** Removes an endpoint of `providerId` (of anybody, when undefined), and its key for good. False when there is none. */
export async function removeEndpoint(
  database: Database,
  which: { id: string; providerId: string | undefined; actor: string; at: number },
): Promise<boolean> {
  const { id, providerId = null, actor, at } = which;
  return await database.transaction(async (sql) => {
    const [removed] = await sql`
      update external_endpoints set removed_at = ${new Date(at)}, key_sealed = null
      where id = ${id} and removed_at is null and (${providerId}::text is null or provider_id = ${providerId})
      returning id`;
    if (removed) await noteEvent(sql, { at, actor, what: 'endpoint-removed', about: id });
    return removed !== undefined;
  });
}

/** The endpoints of a provider (of all, when undefined), oldest first, at most `limit`. Removed ones are left out. */
export async function listEndpoints(
  database: Database,
  which: { providerId: string | undefined; limit: number },
): Promise<ListedEndpoint[]> {
  const { sql } = database;
  const { providerId = null, limit } = which;
  const rows = await sql<Row[]>`
    select ${columns(sql)} from external_endpoints e
    where removed_at is null and (${providerId}::text is null or provider_id = ${providerId})
    order by created_at, id limit ${limit}`;
  return rows.map((row) => ({
    ...plain(row),
    hasKey: row.key_sealed !== null,
    createdAt: row.created_at.getTime(),
  }));
}

/** Endpoints with their keys as kept: those with these ids, removed ones too; or `all` that are not removed. */
export async function keptEndpoints(
  database: Database,
  which: readonly string[] | 'all',
): Promise<KeptEndpoint[]> {
  const { sql } = database;
  const rows =
    which === 'all'
      ? await sql<Row[]>`select ${columns(sql)} from external_endpoints e where removed_at is null`
      : await sql<Row[]>`select ${columns(sql)} from external_endpoints e where id = any(${[...which]})`;
  return rows.map((row) => ({
    ...plain(row),
    removed: row.removed_at !== null,
    kept:
      row.key_sealed === null || row.secret_id === null
        ? undefined
        : { secretId: row.secret_id, sealed: row.key_sealed },
  }));
}

interface Row {
  id: string;
  provider_id: string;
  name: string;
  url: string;
  secret_id: string | null;
  key_sealed: Buffer | null;
  capacity: number;
  created_at: Date;
  removed_at: Date | null;
  models: { model_id: string; upstream_name: string; operations: Operation[]; ask: AskRow | null }[] | null;
}

function columns(sql: Sql) {
  return sql`
    e.id, e.provider_id, e.name, e.url, e.secret_id, e.key_sealed, e.capacity, e.created_at, e.removed_at,
    (
      select json_agg(
        json_build_object(
          'model_id', m.model_id, 'upstream_name', m.upstream_name, 'operations', m.operations,
          'ask', (
            select ${askJson(sql)}
            from asks a where a.endpoint_id = m.endpoint_id and a.model_id = m.model_id
            order by a.number desc limit 1
          )
        )
        order by m.model_id
      )
      from external_models m where m.endpoint_id = e.id
    ) as models`;
}

function plain(row: Row): ExternalEndpoint {
  const models: EndpointModel[] = (row.models ?? []).map((model) => ({
    modelId: model.model_id,
    upstreamName: model.upstream_name,
    operations: model.operations,
    ...(model.ask && { ask: askIn(model.ask) }),
  }));
  return {
    id: row.id,
    providerId: row.provider_id,
    name: row.name,
    url: row.url,
    capacity: row.capacity,
    models,
  };
}
