import { createHash } from 'node:crypto';

/**
 * Requests that kill. A link that dies under a request may be chance; two links of different providers that die under
 * the same request, and no answer to it in between, are the request's doing, and it is not carried through the rest of
 * the fleet: its fingerprint is quarantined for a while. The fingerprint contains the consumer, so that nobody can have
 * another's prompt refused.
 *
 * Machines also die by themselves, under whatever they were serving. So a loss after the answer had begun counts half
 * (the request was read and survived), and an answer to the same request clears its name.
 */

/** Link losses, of different providers where they are named, that quarantine a fingerprint. */
const LOSSES_TO_QUARANTINE = 2;
/** What a loss counts when the answer had begun. */
export const LOSS_WITHIN_ANSWER = 0.5;
/** More providers than this are not remembered with a fingerprint. */
const LOSERS_MAX = LOSSES_TO_QUARANTINE / LOSS_WITHIN_ANSWER;
/** How long a loss is remembered and a quarantine lasts, from the last loss. */
export const POISON_MEMORY_MS = 600_000;
/** The most fingerprints remembered; the one whose last loss is longest ago makes room. */
export const MOST_FINGERPRINTS = 4_096;

interface Losses {
  count: number;
  readonly providers: Set<string>;
  lastMs: number;
}

const NONE: ReadonlySet<string> = new Set();

/** Names a request without telling its content. Compute it only when `PoisonTable.empty` is false or a link was lost. */
export function fingerprintOf(consumerId: string, modelId: string, body: Uint8Array): string {
  return createHash('sha256').update(`${consumerId}\n${modelId}\n`).update(body).digest('base64');
}

export class PoisonTable {
  /** In the order of the last loss. */
  readonly #losses = new Map<string, Losses>();

  /** Nothing is remembered: no request needs a fingerprint. */
  get empty(): boolean {
    return this.#losses.size === 0;
  }

  get size(): number {
    return this.#losses.size;
  }

  /**
   * Notes that a link died under the request. Two losses of one named provider count once: that one may just be ill.
   * `weight` is 1, or less where the request is less likely to be the cause.
   */
  note(fingerprint: string, nowMs: number, providerId?: string, weight = 1): void {
    this.#forgetOld(nowMs);
    const losses = this.#losses.get(fingerprint) ?? { count: 0, providers: new Set(), lastMs: nowMs };
    if (providerId === undefined || !losses.providers.has(providerId)) {
      losses.count = Math.min(losses.count + weight, LOSSES_TO_QUARANTINE);
      if (providerId !== undefined && losses.providers.size < LOSERS_MAX) losses.providers.add(providerId);
    }
    losses.lastMs = nowMs;
    this.#losses.delete(fingerprint);
    this.#losses.set(fingerprint, losses);
    if (this.#losses.size > MOST_FINGERPRINTS) {
      const [oldest] = this.#losses.keys();
      this.#losses.delete(oldest as string);
    }
  }

  /** The request was answered: whatever died under it before did so by itself. */
  clear(fingerprint: string): void {
    this.#losses.delete(fingerprint);
  }

  /** Must the request be refused? */
  isQuarantined(fingerprint: string, nowMs: number): boolean {
    this.#forgetOld(nowMs);
    return (this.#current(fingerprint, nowMs)?.count ?? 0) >= LOSSES_TO_QUARANTINE;
  }

  /** Providers that already lost a link to this request: they are tried with it last. */
  losers(fingerprint: string, nowMs: number): ReadonlySet<string> {
    return this.#current(fingerprint, nowMs)?.providers ?? NONE;
  }

  #current(fingerprint: string, nowMs: number): Losses | undefined {
    const losses = this.#losses.get(fingerprint);
    return losses && nowMs - losses.lastMs < POISON_MEMORY_MS ? losses : undefined;
  }

  #forgetOld(nowMs: number): void {
    for (const [fingerprint, losses] of this.#losses) {
      if (nowMs - losses.lastMs < POISON_MEMORY_MS) return;
      this.#losses.delete(fingerprint);
    }
  }
}
