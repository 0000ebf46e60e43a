import { formatUsd } from '#domain/money.ts';
import type { KeyRecord } from '#domain/party.ts';
import { Fault } from '#kit/fault.ts';
import type { UsageFacts } from '#ledger/recent-usage.ts';
import { errorRow } from '#wire/errors.ts';
import { consumerView } from './serving-view.ts';

/**
 * `GET /v1/generation?id=…`: the facts of one request of the caller's own, in OpenRouter's shape. The id is that of the
 * answer (`chatcmpl-…`, `msg_…`, `resp_…`) or of the request (`x-request-id`, which a refused one has, too).
 */
export interface GenerationRooms {
  readonly providers: { find(id: string): { name: string } | undefined };
  readonly usage: { find(id: string, consumerId: string): Promise<UsageFacts | undefined> };
}

/** Throws a `Fault`: 400 without an id, 401 for the key, 404 for what is not the caller's. */
export async function generation(
  rooms: GenerationRooms,
  key: KeyRecord,
  id: unknown,
): Promise<{ data: Record<string, unknown> }> {
  const match = typeof id === 'string' ? /^(?:chatcmpl-|msg_|resp_|req_)([0-9A-Za-z]{1,64})$/.exec(id) : null;
  if (!match) {
    throw new Fault('request-invalid', {
      param: 'id',
      outer: "'id' must be the id of an answer, or an x-request-id.",
    });
  }
  const facts = await rooms.usage.find(`req_${match[1]}`, key.ownerId);
  if (!facts) throw new Fault('generation-unknown', { param: 'id' });
  const provider = facts.providerId === null ? undefined : rooms.providers.find(facts.providerId);
  // OpenRouter writes costs as numbers; ours are exact, so they are in `usage_usd` as a text too.
  const usd = formatUsd(facts.charge).slice(1);
  return {
    data: {
      id,
      request_id: facts.id,
      created_at: new Date(facts.at).toISOString(),
      model: facts.modelId,
      operation: facts.operation,
      provider_name: provider?.name ?? null,
      connection_mode: facts.mode,
      streamed: facts.streamed,
      cancelled: facts.outcome === 'cancelled',
      outcome: facts.outcome,
      error_code: facts.errorCode,
      // What an answer that did not end well is by our error table; a stream that had begun was 200 all the same.
      error_status: facts.errorCode === null ? null : errorRow(facts.errorCode).status,
      attempts: facts.attempts,
      latency: facts.ttftMs,
      generation_time: facts.ttftMs === null ? null : Math.max(0, facts.totalMs - facts.ttftMs),
      tokens_prompt: facts.inputTokens,
      tokens_completion: facts.outputTokens,
      native_tokens_prompt: facts.inputTokens,
      native_tokens_completion: facts.outputTokens,
      units: facts.units,
      seconds: facts.seconds,
      total_cost: Number(usd),
      usage: Number(usd),
      usage_usd: usd,
      is_byok: false,
      ...consumerView(facts.serving, (providerId) => rooms.providers.find(providerId)?.name),
    },
  };
}
