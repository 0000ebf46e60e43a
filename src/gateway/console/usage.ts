import { formatUsd, type Pico } from '#domain/money.ts';
import type { Refusal } from '#domain/refusal.ts';
import { servingOfRefusal } from '#ledger/recent-usage.ts';
import { listQuery, requestsQuery } from '#wire/console.ts';
import { consumerView, operatorView } from '../serving-view.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** What a consumer has and used. Amounts are decimal texts of dollars: exact, where a number would round. */
export function usageRoutes(rooms: ConsoleRooms): Route[] {
  const forUser = { access: 'user', errors: 'text' } as const;
  const forOperator = { access: 'operator', errors: 'text' } as const;
  return [
    route('GET /api/v1/user/me/balance', forUser, async (visit) => {
      const { total, held, available } = await rooms.book.balance(visit.user.consumerId);
      return { currency: 'USD', total: usd(total), frozen: usd(held), available: usd(available) };
    }),
    route('GET /api/v1/user/me/usage', { ...forUser, query: listQuery }, async (visit) => {
      const lines = await rooms.reading.usageOf(visit.user.consumerId, visit.query.limit);
      return {
        requests: lines.map((line) => ({
          id: line.id,
          at: new Date(line.at).toISOString(),
          model: line.modelId,
          outcome: line.outcome,
          error: line.errorCode,
          input_tokens: line.inputTokens,
          output_tokens: line.outputTokens,
          charge_usd: usd(line.charge),
          refund_usd: usd(line.refund),
          ttft_ms: line.ttftMs,
          total_ms: line.totalMs,
          ...consumerView(line.serving, (id) => rooms.providers.find(id)?.name),
        })),
      };
    }),
    route('GET /api/v1/operator/requests', { ...forOperator, query: requestsQuery }, async (visit) => {
      const { limit, consumer: consumerId, refused } = visit.query;
      const [lines, refusals] = await Promise.all([
        rooms.reading.usageOf(consumerId, limit),
        refused === 'true' ? rooms.refusals.latest({ consumerId, limit }) : [],
      ]);
      const all = [...lines, ...refusals.map(lineOfRefusal)].toSorted(
        (a, b) => b.at - a.at || (a.id < b.id ? 1 : -1),
      );
      return {
        requests: all.slice(0, limit).map((line) => ({
          id: line.id,
          at: new Date(line.at).toISOString(),
          consumer: line.consumerId,
          model: line.modelId,
          provider: line.providerId,
          outcome: line.outcome,
          error: line.errorCode,
          input_tokens: line.inputTokens,
          output_tokens: line.outputTokens,
          charge_usd: usd(line.charge),
          refund_usd: usd(line.refund),
          provider_usd: usd(line.providerPart),
          market_usd: usd(line.marketPart),
          ttft_ms: line.ttftMs,
          total_ms: line.totalMs,
          ...operatorView(line.serving),
        })),
      };
    }),
  ];
}

/** A refused request among those that were used: nobody served it, and it cost nothing. */
function lineOfRefusal(refused: Refusal) {
  const { id, at, consumerId, modelId, code, totalMs } = refused;
  return {
    id,
    at,
    consumerId,
    modelId,
    providerId: null,
    outcome: 'refused',
    errorCode: code,
    inputTokens: 0,
    outputTokens: 0,
    charge: 0n,
    refund: 0n,
    providerPart: 0n,
    marketPart: 0n,
    ttftMs: null,
    totalMs,
    serving: servingOfRefusal(refused),
  };
}

function usd(amount: Pico): string {
  return formatUsd(amount).replace('$', '');
}
