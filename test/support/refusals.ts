import type { Refusal } from '#domain/refusal.ts';
import { idMaker } from '#kit/id.ts';
import { seededRandomness } from '#kit/random.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Makes refusals that happen at the time of `clock`, each of a request of its own. */
export function refusalMaker(clock: VirtualClock, seed = 1): (over?: Partial<Refusal>) => Refusal {
  const ids = idMaker(clock, seededRandomness(seed));
  return (over) => ({
    id: ids('req'),
    at: clock.wallMs(),
    consumerId: 'con_1',
    keyId: 'key_1',
    tier: 'pro',
    modelId: 'a/model',
    operation: 'chat/completions',
    streamed: false,
    region: null,
    status: 429,
    code: 'rate-limited',
    whose: 'caller',
    queueMs: null,
    totalMs: 0.25,
    tries: [],
    ...over,
  });
}
