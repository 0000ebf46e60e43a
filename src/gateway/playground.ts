import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { KeyRecord } from '#domain/party.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { ChatRequest } from './body.ts';
import type { ClientAddresses } from './client-address.ts';
import { householdOf } from './household.ts';
import type { Whose } from './inference.ts';
import type { RateVerdict } from './limits.ts';

/**
 * Chat without a key, for people who look around. It is not free money from nowhere: what is served is charged to the
 * consumer `playground`, an account like any other, which has what the operator gave it (`cygnet credit`). When that is
 * used up, the playground says so. So the most that strangers can spend is known, and every provider is paid.
 *
 * Five requests an hour and address, 100 tokens an answer, a short prompt, no streaming. A request counts when it arrives,
 * whatever becomes of it.
 */
export interface PlaygroundSettings {
  readonly enabled: boolean;
  readonly requestsPerHour: number;
  readonly outputTokensMax: number;
}

/** Who pays. The key is nobody's: it only names the account in records and limits. */
export const PLAYGROUND: KeyRecord = {
  id: 'key_playground',
  kind: 'consumer',
  ownerId: 'con_playground',
  name: 'playground',
  prefix: '',
  revoked: false,
};

export const PLAYGROUND_BODY_BYTES_MAX = 65_536;
const HOUR_MS = 3_600_000;
/** Addresses remembered. Who is forgotten may ask again early; the account bounds what that costs. */
const ADDRESSES_MAX = 20_000;

export class Playground {
  readonly #settings: PlaygroundSettings;
  readonly #addresses: ClientAddresses;
  readonly #clock: Clock;
  /** By address: when each of the last hour's requests came. */
  readonly #came = new LRUCache<string, number[]>({ max: ADDRESSES_MAX });

  constructor(parts: {
    settings: PlaygroundSettings;
    addresses: ClientAddresses;
    clock: Clock;
  }) {
    this.#settings = parts.settings;
    this.#addresses = parts.addresses;
    this.#clock = parts.clock;
  }

  /** Lets a request in, by the address it comes from. Throws a `Fault`: 404 where there is no playground, 429. */
  whose(request: IncomingMessage): Whose {
    if (!this.#settings.enabled) throw new Fault('route-unknown');
    const rate = this.#take(householdOf(this.#addresses.of(request)));
    if (!rate.allowed) {
      throw new Fault('rate-limited', {
        outer: `The playground takes ${rate.limit} requests an hour. A key has no such limit.`,
        retryAfterS: rate.retryAfterS,
      });
    }
    return { key: PLAYGROUND, rate, whenShort: 'playground-empty' };
  }

  /** What may be asked here. */
  limit(ask: ChatRequest | Fault): ChatRequest | Fault {
    const most = this.#settings.outputTokensMax;
    if (ask instanceof Fault) {
      const { param } = ask;
      if (param !== 'max_tokens' && param !== 'max_completion_tokens') return ask;
      // The bound of those who have a key is not the one that holds here.
      return new Fault('request-invalid', {
        param,
        outer: `'${param}' must be a whole number from 1 to ${most}: the playground answers with at most ${most} tokens.`,
      });
    }
    if (ask.stream) {
      return new Fault('request-invalid', { param: 'stream', outer: 'The playground does not stream.' });
    }
    if (ask.n > 1)
      return new Fault('request-invalid', { param: 'n', outer: 'The playground gives one answer.' });
    return { ...ask, maxTokens: Math.min(ask.maxTokens ?? most, most) };
  }

  #take(address: string): RateVerdict {
    const nowMs = this.#clock.nowMs();
    const limit = this.#settings.requestsPerHour;
    const recent = (this.#came.get(address) ?? []).filter((atMs) => atMs > nowMs - HOUR_MS);
    const allowed = recent.length < limit;
    if (allowed) recent.push(nowMs);
    this.#came.set(address, recent);
    const untilFirstLeaves = Math.ceil(((recent[0] ?? nowMs) + HOUR_MS - nowMs) / 1000);
    const untilLastLeaves = Math.ceil(((recent.at(-1) ?? nowMs) + HOUR_MS - nowMs) / 1000);
    return {
      allowed,
      of: 'address',
      limit,
      remaining: limit - recent.length,
      resetS: untilLastLeaves,
      retryAfterS: allowed ? 0 : Math.max(1, untilFirstLeaves),
    };
  }
}
