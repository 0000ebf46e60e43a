import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { Candidate } from '#routing/candidate.ts';
import {
  chooseWarmUps,
  leftAloneMs,
  WARM_UP,
  type Warmable,
  type WarmUp,
  type WarmUpSettings,
} from '#routing/warm-up.ts';
import type { WarmUpAnswer } from './warm-up-desk.ts';

/**
 * Looks every few seconds at what is being asked for, and has nodes warm up as `routing/warm-up.ts` decides. A warm-up is
 * no request of anybody: it has no attempt, no usage row and no charge. One that fails counts as a failure of that node's
 * on the model, so that routing hears of a backend that cannot answer before a consumer does; one that works says only
 * that the model is there, for a provider could otherwise earn its good name by warm-ups.
 */
export class WarmUps {
  readonly #parts: WarmUpParts;
  readonly #settings: WarmUpSettings;
  readonly #lastAsked = new Map<string, number>();
  /** By candidate, which lives as long as its connection: whoever comes back starts cold. */
  readonly #notes = new WeakMap<
    Candidate,
    { lastWarmMs: number | null; notBeforeMs: number; failures: number }
  >();
  readonly #busyNodes = new Set<string>();
  readonly #rounds: Timer;

  constructor(parts: WarmUpParts, settings: Partial<WarmUpSettings> & { everyMs?: number } = {}) {
    const { everyMs, ...rest } = settings;
    this.#parts = parts;
    this.#settings = { ...WARM_UP, ...rest };
    this.#rounds = parts.clock.every(everyMs ?? EVERY_MS, () => this.#look());
  }

  /** A model of the catalogue was asked for; whether anybody could serve it does not matter. */
  asked(modelId: string): void {
    this.#lastAsked.set(modelId, this.#parts.clock.nowMs());
  }

  close(): void {
    this.#rounds.cancel();
  }

  #look(): void {
    const { clock, candidates } = this.#parts;
    const nowMs = clock.nowMs();
    for (const [modelId, lastAskedMs] of this.#lastAsked)
      if (nowMs - lastAskedMs > this.#settings.demandWithinMs) this.#lastAsked.delete(modelId);
    const wanted = [...this.#lastAsked].map(([modelId, lastAskedMs]) => ({
      modelId,
      lastAskedMs,
      candidates: candidates(modelId).map((candidate) => this.#warmable(candidate)),
    }));
    for (const chosen of chooseWarmUps(wanted, { nowMs, busyNodes: this.#busyNodes }, this.#settings)) {
      void this.#warm(chosen);
    }
  }

  #warmable(candidate: Candidate): Warmable {
    const noted = this.#notes.get(candidate);
    const { lastServedMs } = candidate.record;
    // The record outlives connections; what a backend had loaded before this one began may be gone.
    const servedMs = lastServedMs !== null && lastServedMs >= candidate.connectedAtMs ? lastServedMs : null;
    const warmedMs = noted?.lastWarmMs ?? null;
    const lastWarmMs =
      servedMs === null || warmedMs === null ? (servedMs ?? warmedMs) : Math.max(servedMs, warmedMs);
    return { candidate, warmth: { lastWarmMs, notBeforeMs: noted?.notBeforeMs ?? 0 } };
  }

  async #warm({ modelId, candidate }: WarmUp): Promise<void> {
    const { clock, warmUp, failed, log } = this.#parts;
    const note = this.#notes.get(candidate) ?? { lastWarmMs: null, notBeforeMs: 0, failures: 0 };
    this.#notes.set(candidate, note);
    this.#busyNodes.add(candidate.nodeId);
    const beganMs = clock.nowMs();
    const answer = await warmUp(candidate, modelId);
    this.#busyNodes.delete(candidate.nodeId);
    const nowMs = clock.nowMs();
    log.info(
      { provider: candidate.providerId, model: modelId, answer, tookMs: Math.round(nowMs - beganMs) },
      'A node was asked to warm up a model.',
    );
    if (answer === 'warm') {
      note.lastWarmMs = nowMs;
      note.failures = 0;
      return;
    }
    note.failures += 1;
    note.notBeforeMs = nowMs + leftAloneMs(note.failures);
    if (answer === 'failed') failed(candidate, modelId);
  }
}

export interface WarmUpParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly candidates: (modelId: string) => readonly Candidate[];
  /** Has the node of a candidate warm up its model. Never rejects. */
  readonly warmUp: (candidate: Candidate, modelId: string) => Promise<WarmUpAnswer>;
  /** Notes that a node could not. */
  readonly failed: (candidate: Candidate, modelId: string) => void;
}

const EVERY_MS = 5_000;
