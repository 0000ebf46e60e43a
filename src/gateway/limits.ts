import type { Category } from '#domain/model.ts';

/**
 * How much one key may ask for: requests a minute in each category, and requests at once. The first is a leaky bucket in
 * its "generic cell rate" form: one number per key and category, the time at which an evenly spaced series would be
 * due next. A full minute's allowance may be used at once and then comes back evenly.
 *
 * Everything is kept per key *record*, and a key that is not known never gets here, so what an outsider can make this
 * hold is bounded by the number of keys. In one process it lives in memory; many gateways share it behind the same face.
 */
export interface Limits {
  /** Takes one request of `category`. */
  takeRequest(keyId: string, category: Category, nowMs: number): RateVerdict;
  /** Takes one place among the requests at once; `release` gives it back. */
  enter(keyId: string): boolean;
  leave(keyId: string): void;
}

export interface RateVerdict {
  readonly allowed: boolean;
  /** Requests a minute. */
  readonly limit: number;
  /** How many more would be allowed right now. */
  readonly remaining: number;
  /** Seconds until the whole allowance is back. */
  readonly resetS: number;
  /** Seconds until the next request is allowed; 0 when one is. */
  readonly retryAfterS: number;
}

export interface LimitSettings {
  readonly requestsPerMinute: { readonly llm: number; readonly image: number; readonly embedding: number; readonly other: number };
  readonly concurrentPerKey: number;
}

const MINUTE_MS = 60_000;

interface KeyUse {
  inFlight: number;
  /** By bucket: when the next request would be due if they came evenly. Monotonic milliseconds. */
  readonly dueMs: Record<Bucket, number>;
}

type Bucket = 'llm' | 'image' | 'embedding' | 'other';

/** Multimodal models are billed and limited as language models. */
const BUCKET_OF: Readonly<Record<Category, Bucket>> = {
  llm: 'llm',
  multimodal: 'llm',
  image: 'image',
  embedding: 'embedding',
  audio: 'other',
};

/** Limits of one process. */
export class MemoryLimits implements Limits {
  readonly #settings: LimitSettings;
  readonly #uses = new Map<string, KeyUse>();

  constructor(settings: LimitSettings) {
    this.#settings = settings;
  }

  takeRequest(keyId: string, category: Category, nowMs: number): RateVerdict {
    const bucket = BUCKET_OF[category];
    const limit = this.#settings.requestsPerMinute[bucket];
    const spacingMs = MINUTE_MS / limit;
    const use = this.#useOf(keyId);
    const due = Math.max(nowMs, use.dueMs[bucket]);
    // The bucket is full when the next due time lies a whole minute ahead (rounding forgiven).
    const wait = due + spacingMs - MINUTE_MS - nowMs;
    const allowed = wait <= 1e-6;
    const next = allowed ? due + spacingMs : due;
    use.dueMs[bucket] = next;
    return {
      allowed,
      limit,
      remaining: Math.max(0, Math.floor((MINUTE_MS - (next - nowMs)) / spacingMs + 1e-6)),
      resetS: Math.ceil((next - nowMs) / 1000),
      retryAfterS: allowed ? 0 : Math.max(1, Math.ceil(wait / 1000)),
    };
  }

  enter(keyId: string): boolean {
    const use = this.#useOf(keyId);
    if (use.inFlight >= this.#settings.concurrentPerKey) return false;
    use.inFlight += 1;
    return true;
  }

  leave(keyId: string): void {
    const use = this.#useOf(keyId);
    use.inFlight = Math.max(0, use.inFlight - 1);
  }

  #useOf(keyId: string): KeyUse {
    let use = this.#uses.get(keyId);
    if (!use) {
      use = { inFlight: 0, dueMs: { llm: 0, image: 0, embedding: 0, other: 0 } };
      this.#uses.set(keyId, use);
    }
    return use;
  }
}
