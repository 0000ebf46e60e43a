import { hardwareTier } from '#domain/hardware-tier.ts';
import type { Model } from '#domain/model.ts';
import type { Collateral } from '#funds/collateral.ts';
import type { Link } from '#hub/link.ts';
import type { Notice } from '#hub/notices.ts';
import type { Presence, Registry } from '#hub/registry.ts';
import { type Clock, pause } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Rounds } from '#kit/rounds.ts';
import type { Evaluator } from './evaluator.ts';
import { ask } from './examine.ts';
import { findingOf } from './finding-id.ts';
import { codeOf, type Mark, markOf, type Reply, type Score, scoreOf } from './grade.ts';
import type { BenchmarkSettings } from './settings.ts';
import type { BenchmarkStore, KeptAnswer, KeptPaper, Place, Run, Turn } from './store.ts';
import { digestOf, isAsked, levelOf, makePaper } from './tasks/paper.ts';
import type { Question } from './tasks/question.ts';
import { shortcomings } from './terms.ts';
import type { TurnBook } from './turn-book.ts';
import { judge, type Verdict } from './verdict.ts';

/**
 * Whose turn it is, and the run: takes the turn, asks a paper on the node's own link, marks it, and writes down what
 * follows. A paper that is not passed is followed by a second one, of other questions; only who passes neither has failed,
 * so that bad luck with eight questions costs nobody a day.
 *
 * A run ends in one transaction. Before it nothing has happened, whatever dies; after it the verdict stands, and what
 * it takes from the provider is taken by this process or the next (`actOnWhatIsLeft`), once, by the run's id.
 */
export class Sampler {
  readonly #parts: SamplerParts;
  readonly #rounds: Rounds;
  readonly #acts: Rounds;
  readonly #running = new Map<string, Promise<void>>();
  readonly #leaving = new AbortController();

  constructor(parts: SamplerParts) {
    this.#parts = parts;
    const { clock, log } = parts;
    const failed = (error: unknown): void => {
      log.warn({ err: error }, 'A round of benchmarks failed; the next one comes.');
    };
    this.#rounds = new Rounds(clock, { periodMs: LOOK_EVERY_MS, work: () => this.look(), failed });
    this.#acts = new Rounds(clock, { periodMs: ACT_EVERY_MS, work: () => this.actOnWhatIsLeft(), failed });
  }

  /** Begins the runs that are due, as many as may run at once. Resolves when they have begun. */
  async look(): Promise<void> {
    const { clock, book, models, registry, settings } = this.#parts;
    const now = clock.wallMs();
    for (const presence of registry.present()) {
      if (presence.mode !== 'websocket' || presence.draining || this.#running.has(presence.nodeId)) continue;
      for (const candidate of presence.serving.values()) {
        const model = models.resolve(candidate.modelId);
        if (!model || !isAsked(model)) continue;
        const { nodeId, providerId } = presence;
        const place: Place = { nodeId, providerId, modelId: model.id };
        const turn = book.find(nodeId, model.id);
        if (!turn) await this.#enter(place, now);
        else if (this.#waitsInVain(turn, now)) await this.#hurry(place, now);
        else if (turn.dueAt <= now && (turn.claimedUntil === null || turn.claimedUntil <= now)) {
          if (this.#running.size >= settings.runsMax) return;
          if (!candidate.ready || candidate.inFlight >= candidate.capacity) continue;
          this.#begin(place, model, presence);
          // One model of a node at a time.
          break;
        }
      }
    }
  }

  /** Resolves when no run is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** Draws the consequences of verdicts whose process died before it could. */
  async actOnWhatIsLeft(): Promise<void> {
    for (const run of await this.#parts.store.toActOn(ACTS_AT_ONCE)) await this.#act(run);
  }

  /** No further run begins; those under way are given up, and their turns given back. */
  async close(): Promise<void> {
    this.#leaving.abort();
    await this.#rounds.close();
    await this.#acts.close();
    await this.idle();
  }

  async #enter(place: Place, now: number): Promise<void> {
    const { random, settings, store, book } = this.#parts;
    await store.enter(place, now + random.float() * settings.firstWithinMs);
    await book.look([place.nodeId]);
  }

  /** Kept from earning by nothing but a turn that is far off: benchmarks were only watched when it was set. */
  #waitsInVain({ passedAt, withheldUntil, dueAt }: Turn, now: number): boolean {
    const { mode, againMs } = this.#parts.settings;
    return mode === 'enforce' && passedAt === null && withheldUntil === null && dueAt > now + againMs;
  }

  async #hurry(place: Place, now: number): Promise<void> {
    const { store, book } = this.#parts;
    await store.hurry({ ...place, at: now });
    await book.look([place.nodeId]);
  }

  #begin(place: Place, model: Model, presence: Presence): void {
    const { log } = this.#parts;
    const run = this.#run(place, model, presence)
      .catch((error: unknown) => {
        // The turn runs out by itself, and is taken again.
        log.warn({ err: error, provider: place.providerId }, 'A benchmark was not brought to its end.');
      })
      .finally(() => this.#running.delete(place.nodeId));
    this.#running.set(place.nodeId, run);
  }

  async #run(place: Place, model: Model, presence: Presence): Promise<void> {
    const { clock, ids, store, book, settings, log } = this.#parts;
    const beganAt = clock.wallMs();
    const id = ids('bench');
    const claimed = await store.claim(place, { runId: id, at: beganAt, until: beganAt + settings.leaseMs });
    if (!claimed) {
      await book.look([place.nodeId]);
      return;
    }
    const tier = hardwareTier(presence.hardware);
    const papers: KeptPaper[] = [];
    let score: Score | undefined;
    let lacks: string[] = [];
    for (let paper = 0; paper < PAPERS_MAX; paper++) {
      const taken = await this.#takePaper(place, model, presence);
      if (taken === 'nothing-learnt') {
        log.info(
          { provider: place.providerId, model: place.modelId },
          'A benchmark taught nothing: the link was full, or went away.',
        );
        await store.giveBack(place, { runId: id, dueAt: clock.wallMs() + settings.againMs });
        await book.look([place.nodeId]);
        return;
      }
      papers.push(taken.kept);
      score = scoreOf(taken.marks);
      lacks = shortcomings(score, tier);
      if (lacks.length === 0) break;
    }
    if (!score) return;
    const endedAt = clock.wallMs();
    const run = { ...place, id, beganAt, endedAt, score, shortcomings: lacks, tier, papers };
    const verdict = await store.finish(
      run,
      (history, activatedAt) =>
        judge({ passed: lacks.length === 0, endedAt }, history, {
          enforced: settings.mode === 'enforce',
          graceEndsAt: activatedAt === null ? null : activatedAt + settings.graceMs,
          ladder: settings.ladder,
          validMs: settings.validMs,
        }),
      ({ withheldUntil }) => withheldUntil ?? endedAt + this.#nextInMs(),
    );
    if (!verdict) return;
    const { step, failures } = verdict;
    log.info(
      { provider: place.providerId, model: place.modelId, run: id, passed: verdict.passed, step, failures },
      'A node was benchmarked.',
    );
    await book.look([place.nodeId]);
    const notice = noticeOf({ ...run, verdict });
    if (notice) presence.tell?.(notice);
    if (verdict.counted) await this.#act({ ...run, verdict });
  }

  #nextInMs(): number {
    const { random, settings } = this.#parts;
    return settings.everyMs * (1 - settings.jitter * random.float());
  }

  async #takePaper(
    place: Place,
    model: Model,
    presence: Presence,
  ): Promise<{ marks: Mark[]; kept: KeptPaper } | 'nothing-learnt'> {
    const { clock, ids, random, registry, settings } = this.#parts;
    const seed = random.bytes(SEED_BYTES).toString('hex');
    const questions = await this.#freshPaper(seed, model);
    const marks: Mark[] = [];
    const answers: KeptAnswer[] = [];
    for (const question of questions) {
      const pauseMs = random.float() * settings.pauseMsMax;
      if (pauseMs > 0) await pause(clock, pauseMs, this.#leaving.signal);
      const link: Link | undefined = registry.presenceOf(place.nodeId)?.link;
      // Another connection of the node is another moment of its life: what was begun there is not finished here.
      if (!link || link !== presence.link || this.#leaving.signal.aborted) return 'nothing-learnt';
      const reply = await ask(link, question, {
        modelId: place.modelId,
        attemptId: ids('att'),
        completionId: ids('chatcmpl'),
        temperature: random.float() < 0.5 ? 0 : undefined,
        clock,
        withinMs: settings.questionMs,
        signal: this.#leaving.signal,
      });
      if (reply === 'nothing-learnt') return reply;
      const mark = await this.#mark(question, reply);
      marks.push(mark);
      answers.push({
        kind: mark.kind,
        prompt: question.prompt,
        // What PostgreSQL cannot keep in JSON is no part of any right answer.
        answer: reply.text.slice(0, KEPT_CHARS_MAX).replaceAll('\0', ' ').toWellFormed(),
        why: mark.why,
        ttftMs: mark.ttftMs,
      });
    }
    return { marks, kept: { seed, answers } };
  }

  /** A paper of questions that nobody was asked before. */
  async #freshPaper(seed: string, model: Model): Promise<Question[]> {
    const { store, clock } = this.#parts;
    const ours = new Set<string>();
    const others = new Set<string>();
    for (let tries = 0; ; tries++) {
      const paper = makePaper(seed, levelOf(model.minVramGb), (question) => !others.has(digestOf(question)));
      const digests = paper.map(digestOf).filter((digest) => !ours.has(digest));
      const fresh = await store.markAsked(digests, clock.wallMs());
      for (const digest of digests) (fresh.has(digest) ? ours : others).add(digest);
      if (fresh.size === digests.length || tries >= REDRAWS_MAX) return paper;
    }
  }

  async #mark(question: Question, reply: Reply): Promise<Mark> {
    const { key } = question;
    if (key.kind !== 'code' || reply.end !== 'whole') {
      return markOf(question, reply, { got: undefined, expected: [] });
    }
    const { evaluator } = this.#parts;
    const { name, calls, source } = key;
    const expected = (await evaluator.run({ name, calls, source })) ?? [];
    const got = await evaluator.run({ name, calls, source: codeOf(reply.text, key) });
    return markOf(question, reply, { got, expected });
  }

  /** Takes what the ladder says, by the run's id: a repeat takes nothing twice. */
  async #act({ id, providerId, modelId, verdict, shortcomings: lacks }: Run): Promise<void> {
    const { collateral, store, clock } = this.#parts;
    await collateral.slash({
      id: findingOf(id),
      providerId,
      failures: verdict.failures,
      reason: `Benchmark ${id} of ${modelId} failed. ${lacks.join(' ')}`.slice(0, 1_000),
    });
    await store.acted(id, clock.wallMs());
  }
}

export interface SamplerParts {
  readonly clock: Clock;
  readonly random: Randomness;
  readonly ids: IdMaker;
  readonly log: Logger;
  readonly registry: Pick<Registry, 'present' | 'presenceOf'>;
  readonly models: { resolve(name: string): Model | undefined };
  readonly store: BenchmarkStore;
  readonly book: TurnBook;
  readonly evaluator: Pick<Evaluator, 'run'>;
  readonly collateral: Pick<Collateral, 'slash'>;
  readonly settings: BenchmarkSettings;
}

/** What to tell an agent's operator after a run; undefined when there is nothing to tell. */
function noticeOf(
  run: Pick<Run, 'id' | 'modelId' | 'shortcomings'> & { verdict: Verdict },
): Notice | undefined {
  const { verdict, shortcomings: lacks } = run;
  if (verdict.passed) return undefined;
  const until = verdict.withheldUntil === null ? undefined : new Date(verdict.withheldUntil).toISOString();
  const follows: Readonly<Record<Verdict['step'], string>> = {
    none: 'Nothing follows from it in this market.',
    withheld: `No requests for it until ${until}, when it is asked again.`,
    warning: `No requests for it until ${until}, when it is asked again. This is a warning: failing again costs collateral.`,
    slash: `Part of the collateral is taken. No requests for it until ${until}, when it is asked again.`,
    removal: 'Part of the collateral is taken, and the provider is removed.',
  };
  return {
    event: 'benchmark_failed',
    severity: verdict.counted ? 'critical' : 'warning',
    message: `The benchmark of ${run.modelId} was failed. ${lacks.join(' ')} ${follows[verdict.step]}`.slice(
      0,
      1_000,
    ),
    details: { run: run.id, model: run.modelId.slice(0, 200) },
  };
}

const LOOK_EVERY_MS = 2_000;
const ACT_EVERY_MS = 60_000;
const ACTS_AT_ONCE = 20;
const PAPERS_MAX = 2;
const SEED_BYTES = 16;
const REDRAWS_MAX = 5;
const KEPT_CHARS_MAX = 4_000;
