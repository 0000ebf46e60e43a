import type { Hub } from '#hub/hub.ts';
import type { Notice } from '#hub/notices.ts';
import { type Clock, pause } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Rounds } from '#kit/rounds.ts';
import type { BenchmarkSettings } from '../settings.ts';
import { isAsked } from '../tasks/paper.ts';
import type { LikenessBook } from './book.ts';
import { LIKENESS, type LikenessTerms, verdictsOf, weigh, whyUnlike } from './judge.ts';
import { type Opening, openingOf } from './opening.ts';
import { type LikenessPrompt, likenessPrompt } from './prompt.ts';
import type { Finding, LikenessStore } from './store.ts';

/**
 * Whose turn it is, and the check: the same prompt to several providers' nodes of a model, one after the other with pauses
 * of chance, through the public door and paid for like any request. Nothing in it says that it is one: no agent is told who
 * asks, and what is asked was never asked before.
 *
 * A check ends in one transaction; before it nothing has happened. An answer that did not come says nothing of its node
 * here: failing is what probes and attempts are for.
 */
export class LikenessRounds {
  readonly #parts: LikenessParts;
  readonly #terms: LikenessTerms;
  readonly #rounds: Rounds;
  readonly #forgetting: Rounds;
  readonly #due = new Map<string, number>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #leaving = new AbortController();

  constructor(parts: LikenessParts) {
    this.#parts = parts;
    this.#terms = parts.terms ?? LIKENESS;
    const { clock, log, store, settings } = parts;
    const failed = (error: unknown): void => {
      log.warn({ err: error }, 'A round of likeness checks failed; the next one comes.');
    };
    const periodMs = Math.min(LOOK_EVERY_MS, settings.likenessEveryMs);
    this.#rounds = new Rounds(clock, { periodMs, work: () => this.look(), failed });
    this.#forgetting = new Rounds(clock, {
      periodMs: FORGET_EVERY_MS,
      work: () => store.forget(clock.wallMs(), clock.wallMs() - KEPT_MS),
      failed,
    });
  }

  /** Begins the checks that are due, as many as may run at once. Resolves when they have begun. */
  async look(): Promise<void> {
    const { clock, hub, models, store } = this.#parts;
    for (const modelId of hub.registry.models()) {
      if (this.#running.size >= CHECKS_AT_ONCE) return;
      const model = models.resolve(modelId);
      if (!model || !isAsked(model) || this.#running.has(modelId)) continue;
      const present = this.#present(modelId);
      if (present.size < this.#terms.providersMin) continue;
      const now = clock.wallMs();
      const known = this.#due.get(modelId);
      if (known !== undefined && known > now) continue;
      const next = now + this.#nextInMs(present.size);
      const due = await store.dueAt(modelId, next);
      this.#due.set(modelId, due);
      if (due > now) continue;
      const claimed = await store.claim(modelId, { at: now, next });
      if (!claimed) {
        this.#due.delete(modelId);
        continue;
      }
      this.#due.set(modelId, next);
      this.#begin(modelId, present);
    }
  }

  /** Resolves when no check is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async close(): Promise<void> {
    this.#leaving.abort();
    await this.#rounds.close();
    await this.#forgetting.close();
    await this.idle();
  }

  /** Nodes that may be asked now, by provider. */
  #present(modelId: string): Map<string, string[]> {
    const found = new Map<string, string[]>();
    for (const each of this.#parts.hub.candidates(modelId)) {
      if (each.mode !== 'websocket' || !each.eligible || each.draining || each.breaker.state !== 'closed')
        continue;
      const nodes = found.get(each.providerId);
      if (nodes) nodes.push(each.nodeId);
      else found.set(each.providerId, [each.nodeId]);
    }
    return found;
  }

  /** The more providers, the more often: each is asked about as often. */
  #nextInMs(providers: number): number {
    const { random, settings } = this.#parts;
    const share = Math.min(1, ASKED_MAX / providers);
    return settings.likenessEveryMs * share * (0.5 + random.float());
  }

  #begin(modelId: string, present: ReadonlyMap<string, readonly string[]>): void {
    const check = this.#check(modelId, present)
      .catch((error: unknown) => {
        this.#parts.log.warn({ err: error, model: modelId }, 'A likeness check was not brought to its end.');
      })
      .finally(() => this.#running.delete(modelId));
    this.#running.set(modelId, check);
  }

  async #check(modelId: string, present: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const { clock, random, ids, store, book, settings, log, fresh } = this.#parts;
    const terms = this.#terms;
    const question = likenessPrompt(random.bytes(SEED_BYTES).toString('hex'));
    // Never the same twice; a seed of 128 bits makes that a matter of form.
    if (!(await fresh(question.prompt, clock.wallMs()))) return;
    const logprobs = random.float() < LOGPROBS_SHARE;
    const answers: { nodeId: string; providerId: string; opening: Opening; ttftMs: number | null }[] = [];
    for (const providerId of this.#shuffled([...present.keys()]).slice(0, ASKED_MAX)) {
      const nodes = present.get(providerId) ?? [];
      const nodeId = nodes[Math.floor(random.float() * nodes.length)] ?? '';
      const pauseMs = random.float() * settings.likenessPauseMsMax;
      if (pauseMs > 0) await pause(clock, pauseMs, this.#leaving.signal);
      if (this.#leaving.signal.aborted) return;
      const opening = await this.#ask(modelId, nodeId, { ...question, logprobs });
      if (opening) answers.push({ nodeId, providerId, ...opening });
    }
    const verdicts = verdictsOf(
      answers.map(({ opening }) => opening),
      terms,
    );
    // Too few answers came to compare.
    if (answers.length < terms.providersMin) return;
    const { found, mended } = await store.finish(
      {
        id: ids('like'),
        modelId,
        at: clock.wallMs(),
        prompt: question.prompt,
        answers: answers.map(({ nodeId, providerId, opening, ttftMs }, i) => ({
          nodeId,
          providerId,
          verdict: verdicts[i] ?? 'unclear',
          opening: opening.words.join(' ').slice(0, OPENING_CHARS_MAX),
          ttftMs,
        })),
      },
      {
        weigh: (before, verdict) => weigh(before, verdict, terms),
        findingId: () => ids('unlike'),
        validMs: settings.validMs,
      },
    );
    if (found.length + mended.length === 0) return;
    await book.look([...found, ...mended].map(({ nodeId }) => nodeId));
    for (const finding of found) {
      log.warn(
        { event: 'answers-unlike', finding: finding.id, provider: finding.providerId, model: modelId },
        'A node answers unlike others of its model.',
      );
      this.#parts.hub.registry.presenceOf(finding.nodeId)?.tell?.(this.#noticeOf(finding));
    }
    for (const { id, providerId } of mended)
      log.info({ finding: id, provider: providerId, model: modelId }, 'A node answers like others again.');
  }

  async #ask(
    modelId: string,
    nodeId: string,
    question: LikenessPrompt & { logprobs: boolean },
  ): Promise<{ opening: Opening; ttftMs: number | null } | undefined> {
    const candidate = this.#parts.hub.candidates(modelId).find((each) => each.nodeId === nodeId);
    if (!candidate) return undefined;
    const { status, code, text, ttftMs, first } = await this.#parts.ask(modelId, question, candidate.id);
    if (status !== 200 || code !== null) return undefined;
    const opening = openingOf(text, first, this.#terms.alike);
    return opening.words.length === 0 ? undefined : { opening, ttftMs };
  }

  #shuffled<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = Math.floor(this.#parts.random.float() * (i + 1));
      [list[i], list[j]] = [list[j] as T, list[i] as T];
    }
    return list;
  }

  #noticeOf(finding: Finding): Notice {
    const follows =
      this.#parts.settings.likeness === 'enforce'
        ? 'It stands behind others of the model until its answers are like theirs again.'
        : 'Nothing follows from it in this market.';
    return {
      event: 'answers_unlike',
      severity: 'warning',
      message: `Your node ${whyUnlike(finding)}. ${follows} Look at the weights, the quantisation and the chat template that it serves.`,
      details: {
        finding: finding.id,
        model: finding.modelId.slice(0, 200),
        node: finding.nodeId.slice(0, 200),
      },
    };
  }
}

export interface LikenessParts {
  readonly clock: Clock;
  readonly random: Randomness;
  readonly ids: IdMaker;
  readonly log: Logger;
  readonly hub: Pick<Hub, 'candidates' | 'registry'>;
  readonly models: { resolve(name: string): Parameters<typeof isAsked>[0] | undefined };
  readonly store: LikenessStore;
  readonly book: Pick<LikenessBook, 'look'>;
  readonly settings: BenchmarkSettings;
  /** Notes a prompt as asked. False when it was asked before. */
  readonly fresh: (prompt: string, at: number) => Promise<boolean>;
  /** Asks that one candidate through the public door, greedily, as the market's own consumer. Never rejects. */
  readonly ask: AskLike;
  readonly terms?: LikenessTerms;
}

export type AskLike = (
  modelId: string,
  question: LikenessPrompt & { readonly logprobs: boolean },
  to: string,
) => Promise<{
  readonly status: number;
  readonly code: string | null;
  readonly text: string;
  readonly ttftMs: number | null;
  readonly first?: Opening['first'];
}>;

const LOOK_EVERY_MS = 5_000;
const FORGET_EVERY_MS = 3_600_000;
/** What was asked and answered is kept for so long. */
const KEPT_MS = 90 * 86_400_000;
const CHECKS_AT_ONCE = 2;
/** Providers that one check asks. */
const ASKED_MAX = 7;
const SEED_BYTES = 16;
/** In so many checks the first token's likelihood is asked for: not every client does, and not every backend answers then. */
const LOGPROBS_SHARE = 0.25;
const OPENING_CHARS_MAX = 600;
