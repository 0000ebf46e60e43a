import type { Serving } from '#domain/serving.ts';

/**
 * How a request was served, as those read it who may: its consumer sees which providers were asked, by name, and what came of
 * it; the operator sees nodes too. Neither sees an address or a key of a provider.
 */
export type ProviderNames = (id: string) => string | undefined;

/** For the consumer whose request it was. */
export function consumerView(serving: Serving | null, nameOf: ProviderNames): Record<string, unknown> {
  return {
    tier: serving?.tier ?? null,
    queue_ms: serving?.queueMs ?? null,
    region: serving?.region ?? null,
    at_fault: serving?.whose ?? null,
    fallback_used: serving?.fallback ?? null,
    route:
      serving?.tries.map((each) => ({
        attempt: each.attemptId,
        model: each.modelId,
        provider: nameOf(each.providerId) ?? null,
        connection_mode: each.mode,
        region: each.region,
        result: each.result,
        started_ms: each.startedMs,
        took_ms: each.tookMs,
      })) ?? null,
  };
}

/** For the operator. */
export function operatorView(serving: Serving | null): Record<string, unknown> {
  return {
    ...consumerView(serving, () => undefined),
    route:
      serving?.tries.map((each) => ({
        attempt: each.attemptId,
        model: each.modelId,
        provider: each.providerId,
        node: each.nodeId,
        connection_mode: each.mode,
        region: each.region,
        result: each.result,
        started_ms: each.startedMs,
        took_ms: each.tookMs,
      })) ?? null,
  };
}
