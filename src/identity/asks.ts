import type { Database, Sql } from '#db/database.ts';
import type { Amounts, Price } from '#domain/price.ts';
import { noteEvent } from './account-events.ts';

/**
 * What providers want for models: of an external endpoint, or of all agents of a provider. A history that only grows; the
 * newest row holds. That an ask is not above the listed price is the caller's to see to, and routing's.
 */
export type AskOwner = { readonly endpointId: string } | { readonly providerId: string };

export async function insertAsk(
  sql: Sql,
  ask: { id: string; owner: AskOwner; modelId: string; amounts: Amounts | undefined; at: number },
): Promise<void> {
  const { amounts, owner } = ask;
  const [endpointId, providerId] =
    'endpointId' in owner ? [owner.endpointId, null] : [null, owner.providerId];
  const [input, output] = amounts?.unit === 'token' ? [amounts.inputPico, amounts.outputPico] : [null, null];
  const [request, minute] =
    amounts?.unit === 'request' ? [amounts.requestPico, amounts.minutePico ?? null] : [null, null];
  await sql`
    insert into asks (
      id, endpoint_id, provider_id, model_id, unit, input_pico, output_pico, request_pico, minute_pico, created_at
    ) values (
      ${ask.id}, ${endpointId}, ${providerId}, ${ask.modelId}, ${amounts?.unit ?? 'listed'},
      ${input}, ${output}, ${request}, ${minute}, ${new Date(ask.at)}
    )`;
}

/** Sets what the agents of a provider ask for a model from now on; without `amounts`, the listed price. */
export async function setProviderAsk(
  database: Database,
  wish: {
    id: string;
    providerId: string;
    modelId: string;
    amounts: Amounts | undefined;
    actor: string;
    at: number;
  },
): Promise<'set' | 'unknown'> {
  const { id, providerId, modelId, amounts, actor, at } = wish;
  return await database.transaction(async (sql) => {
    // Of two asks set at once, the one that holds must be the one that was set last.
    const [known] = await sql`select id from providers where id = ${providerId} for no key update`;
    if (!known) return 'unknown';
    await insertAsk(sql, { id, owner: { providerId }, modelId, amounts, at });
    await noteEvent(sql, { at, actor, what: 'ask-set', about: providerId, detail: { modelId, ask: id } });
    return 'set';
  });
}

/** Amounts come as texts: a number in JSON would round them. */
export interface AskRow {
  id: string;
  unit: 'token' | 'request' | 'listed';
  input: string | null;
  output: string | null;
  request: string | null;
  minute: string | null;
}

/** An ask `a` as the JSON that `askIn` reads. */
export function askJson(sql: Sql) {
  return sql`json_build_object(
    'id', a.id, 'unit', a.unit, 'input', a.input_pico::text, 'output', a.output_pico::text,
    'request', a.request_pico::text, 'minute', a.minute_pico::text
  )`;
}

/** The price that a row states; undefined for the listed one. */
export function askIn({ id, unit, ...ask }: AskRow): Price | undefined {
  if (unit === 'listed') return undefined;
  if (unit === 'token')
    return { id, unit, inputPico: BigInt(ask.input ?? 0), outputPico: BigInt(ask.output ?? 0) };
  const minute = ask.minute === null ? {} : { minutePico: BigInt(ask.minute) };
  return { id, unit, requestPico: BigInt(ask.request ?? 0), ...minute };
}
