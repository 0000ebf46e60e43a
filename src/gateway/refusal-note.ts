import type { KeyRecord } from '#domain/party.ts';
import type { Refusal } from '#domain/refusal.ts';
import { tierOfPlan } from '#domain/tier.ts';
import type { Clock } from '#kit/clock.ts';
import { errorRow } from '#wire/errors.ts';

/**
 * What is kept of requests that end without a usage record. Each paid request either leaves such a record, or is noted here
 * exactly once: with its key, or, where it was refused before that was known, as a count.
 */
export interface Refusals {
  note(refusal: Refusal): void;
  withoutKey(code: string): void;
}

/** What is known of a request whose key was accepted. */
export interface Turned
  extends Pick<Refusal, 'operation' | 'code'>,
    Partial<Pick<Refusal, 'modelId' | 'streamed' | 'queueMs' | 'tries'>> {
  readonly key: KeyRecord;
  readonly requestId: string;
  readonly acceptedMs: number;
}

/** Notes a request that ends here. */
export function noteRefusal(
  rooms: {
    readonly clock: Clock;
    readonly refusals?: Refusals;
    readonly settings: { readonly region?: string | undefined };
  },
  about: Turned,
): void {
  const { refusals, clock, settings } = rooms;
  if (!refusals) return;
  const { key, code } = about;
  const { status, whose } = errorRow(code);
  refusals.note({
    id: about.requestId,
    at: clock.wallMs(),
    consumerId: key.ownerId,
    keyId: key.id,
    tier: tierOfPlan(key.plan),
    modelId: about.modelId ?? null,
    operation: about.operation,
    streamed: about.streamed ?? false,
    region: settings.region ?? null,
    status,
    code,
    whose,
    queueMs: about.queueMs ?? null,
    totalMs: rounded(clock.nowMs() - about.acceptedMs),
    tries: about.tries ?? [],
  });
}

/** Milliseconds to a microsecond. */
export function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
