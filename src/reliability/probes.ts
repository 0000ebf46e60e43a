import { PROBER } from '#domain/prober.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import type { Candidate } from '#routing/candidate.ts';
import {
  isRight,
  judgeProbe,
  makeQuestion,
  type ProbeAnswer,
  type ProbeQuestion,
  Rightness,
} from './probe-check.ts';
import type { ProbeFinding } from './probe-lead.ts';

/**
 * The market asking itself. Every 30 to 60 seconds each model that somebody serves is asked through the public door as a
 * consumer would, and straight to its candidates, a few at each turn, with jobs that look like any other. Two probes that
 * fail in a row take a candidate out of rotation by its circuit, and it comes back by the circuit's trials, of which the
 * next probe is one.
 *
 * A probe is a request like any other and is paid for by the platform (`domain/prober.ts`). What it can cost is bounded:
 * so many a minute, so few tokens, and a daily allowance; when that is used up, probing waits.
 *
 * Of several gateways one asks (`probe-lead.ts`), and every one heeds what it found: its signals, its circuits, its answers to whoever
 * asks why. So another can go on at any time, in the same rhythm and with the same memory of failures.
 */
export class Probes {
  readonly #parts: ProbeParts;
  readonly #rounds: Timer;
  readonly #turns = new Map<string, Turn>();
  readonly #rightness = new Map<string, Rightness>();
  /** By candidate, which lives as long as its connection. */
  readonly #notes = new WeakMap<Candidate, Note>();
  readonly #counts = new Map<string, number>();
  #sentThisMinute: { minute: number; count: number } = { minute: 0, count: 0 };
  #underWay = 0;
  #notBeforeMs = 0;

  constructor(parts: ProbeParts) {
    this.#parts = parts;
    const { least } = parts.pauseMs ?? PAUSE_MS;
    this.#rounds = parts.clock.every(Math.min(LOOK_MS, least), () => this.#look());
  }

  close(): void {
    this.#rounds.cancel();
  }

  /** What the last probe of one candidate found; undefined before the first that said anything of it. */
  lastOf(candidate: Candidate): LastProbe | undefined {
    return this.#notes.get(candidate)?.last;
  }

  /** Probes since the start by model, kind and verdict, for the metrics. */
  *counts(): Generator<[{ model: string; kind: string; verdict: string }, number]> {
    for (const [key, count] of this.#counts) {
      const [model = '', kind = '', verdict = ''] = key.split('\n');
      yield [{ model, kind, verdict }, count];
    }
  }

  countOf(modelId: string, kind: 'door' | 'straight', verdict: string): number {
    return this.#counts.get(`${modelId}\n${kind}\n${verdict}`) ?? 0;
  }

  #look(): void {
    const { clock, models, candidates } = this.#parts;
    if (!this.#parts.leads()) return;
    const nowMs = clock.nowMs();
    for (const modelId of models()) {
      const turn = this.#turns.get(modelId) ?? { dueMs: nowMs + this.#pauseMs(), next: 0, under: false };
      this.#turns.set(modelId, turn);
      if (turn.under || nowMs < turn.dueMs || nowMs < this.#notBeforeMs || this.#underWay >= AT_ONCE_MAX)
        continue;
      const present = candidates(modelId).filter((each) => each.eligible && !each.draining);
      turn.dueMs = nowMs + this.#pauseMs();
      // Nobody to look at: the rules see that without asking.
      if (present.length === 0) continue;
      turn.under = true;
      this.#underWay += 1;
      void this.#turn(modelId, turn, present).finally(() => {
        turn.under = false;
        this.#underWay -= 1;
      });
    }
  }

  async #turn(modelId: string, turn: Turn, present: readonly Candidate[]): Promise<void> {
    if (this.#mayAsk()) await this.#askDoor(modelId);
    const testable = present.filter((candidate) => isTestable(candidate, this.#parts.clock.nowMs()));
    for (let i = 0; i < Math.min(testable.length, STRAIGHT_PER_TURN); i++) {
      if (!this.#mayAsk()) return;
      const candidate = testable[turn.next % testable.length] as Candidate;
      turn.next += 1;
      // oxlint-disable-next-line no-await-in-loop -- one after the other: probes are no load test.
      await this.#askOne(modelId, candidate);
    }
  }

  async #askDoor(modelId: string): Promise<void> {
    const { ask, random, keep, tell } = this.#parts;
    const question = makeQuestion(random);
    const answer = await ask(modelId, question);
    const verdict = judgeProbe(question, answer, { one: false, rightIsUsual: this.#usual(modelId).isUsual });
    this.#heed(modelId, 'door', answer, verdict.verdict);
    if (verdict.verdict === 'neutral') return;
    const ok = verdict.verdict === 'ok';
    if (verdict.verdict === 'failed') this.#tell({ model: modelId, because: verdict.because });
    const finding = { model: modelId, ok, failures: ok ? 0 : 1, ttftMs: answer.ttftMs };
    this.#heedFinding(finding);
    tell(finding);
    keep({ modelId, region: '', ok });
  }

  async #askOne(modelId: string, candidate: Candidate): Promise<void> {
    const { ask, random, keep, tell } = this.#parts;
    const question = makeQuestion(random);
    const answer = await ask(modelId, question, candidate.id);
    const usual = this.#usual(modelId);
    const verdict = judgeProbe(question, answer, { one: true, rightIsUsual: usual.isUsual });
    this.#heed(modelId, 'straight', answer, verdict.verdict);
    if (verdict.verdict === 'neutral') return;
    const ok = verdict.verdict === 'ok';
    const because = verdict.verdict === 'failed' ? verdict.because : undefined;
    if (because !== undefined) this.#tell({ model: modelId, provider: candidate.providerId, because });
    const answered = answer.status === 200 && answer.code === null && answer.ttftMs !== null;
    const finding: ProbeFinding = {
      model: modelId,
      to: { link: ownLink(candidate), node: candidate.nodeId },
      ok,
      failures: ok ? 0 : (this.#notes.get(candidate)?.failures ?? 0) + 1,
      because,
      ttftMs: answer.ttftMs,
      right: answered ? isRight(question, answer.text) : undefined,
    };
    this.#heedFinding(finding, candidate);
    tell(finding);
    const region = candidate.region ?? '';
    if (region !== '') keep({ modelId, region, ok });
  }

  /** Another gateway found something: heeded as if it had been found here. */
  hear(finding: ProbeFinding): void {
    const { candidates, clock, passed } = this.#parts;
    const { model, to, ok } = finding;
    // Whoever goes on does so in the same rhythm.
    const turn = this.#turns.get(model) ?? { dueMs: 0, next: 0, under: false };
    turn.dueMs = clock.nowMs() + this.#pauseMs();
    this.#turns.set(model, turn);
    if (!to) {
      this.#heedFinding(finding);
      return;
    }
    const candidate = candidates(model).find(
      (each) => ownLink(each) === to.link || (each.mode === 'external' && each.nodeId === to.node),
    );
    if (!candidate) return;
    this.#heedFinding(finding, candidate);
    // Where it was asked that was a trial of its circuit; here it lets the next request be one.
    if (ok) passed(candidate);
  }

  #heedFinding(finding: ProbeFinding, candidate?: Candidate): void {
    const { signals, candidates, clock, shutOut } = this.#parts;
    const { model: modelId, ok, failures, because, ttftMs, right } = finding;
    if (!candidate) {
      signals.probed({ modelId, region: '', ok });
      return;
    }
    const note = this.#notes.get(candidate) ?? { failures: 0, wrong: 0, last: undefined };
    this.#notes.set(candidate, note);
    if (right !== undefined) this.#learn(this.#usual(modelId), note, { right, failed: !ok });
    note.failures = failures;
    note.last = { at: clock.wallMs(), ok, because, ttftMs };
    if (failures >= FAILURES_TO_SHUT) shutOut(candidate, modelId);
    const region = candidate.region ?? '';
    if (region === '') return;
    // A region fails when everybody in it does.
    const peers = candidates(modelId).filter((each) => each.region === region);
    const regionOk = peers.some((each) => (this.#notes.get(each)?.failures ?? 0) === 0);
    signals.probed({ modelId, region, ok: regionOk });
  }

  /** What an answer says of how right this model usually is. */
  #learn(usual: Rightness, note: Note, { right, failed }: { right: boolean; failed: boolean }): void {
    if (!right && failed) {
      note.wrong += 1;
      return;
    }
    if (right) for (; note.wrong > 0; note.wrong--) usual.note(false);
    usual.note(right);
  }

  #heed(modelId: string, kind: 'door' | 'straight', answer: ProbeAnswer, verdict: string): void {
    const key = `${modelId}\n${kind}\n${verdict}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    if (answer.code !== 'insufficient_balance') return;
    this.#notBeforeMs = this.#parts.clock.nowMs() + BROKE_MS;
    this.#parts.log.warn({ consumer: PROBER.ownerId }, 'The allowance for probes is used up; they wait.');
  }

  #tell(about: Record<string, unknown>): void {
    this.#parts.log.warn(about, 'A probe failed.');
  }

  #usual(modelId: string): Rightness {
    let usual = this.#rightness.get(modelId);
    if (!usual) {
      usual = new Rightness();
      this.#rightness.set(modelId, usual);
    }
    return usual;
  }

  /** Takes one of this minute's probes, if any is left. */
  #mayAsk(): boolean {
    const nowMs = this.#parts.clock.nowMs();
    if (nowMs < this.#notBeforeMs || !this.#parts.leads()) return false;
    const minute = Math.floor(nowMs / 60_000);
    if (this.#sentThisMinute.minute !== minute) this.#sentThisMinute = { minute, count: 0 };
    this.#sentThisMinute.count += 1;
    return this.#sentThisMinute.count <= PER_MINUTE_MAX;
  }

  #pauseMs(): number {
    const { least, most } = this.#parts.pauseMs ?? PAUSE_MS;
    return least + this.#parts.random.float() * (most - least);
  }
}

/** The name of a link at the gateway where it is: others put that gateway's before it. */
function ownLink({ linkId }: Candidate): string {
  return linkId.slice(linkId.lastIndexOf('/') + 1);
}

/** May it be asked by itself: in rotation, or out of it for long enough that a trial is due. */
function isTestable(candidate: Candidate, nowMs: number): boolean {
  const { breaker, health } = candidate;
  if (health === 'unhealthy') return false;
  return breaker.state === 'closed' || (breaker.trialsUnderWay === 0 && nowMs >= breaker.openUntilMs);
}

interface Turn {
  dueMs: number;
  /** Which candidate is next. */
  next: number;
  under: boolean;
}

interface Note {
  /** In a row, up to now. */
  failures: number;
  /** Wrong answers that were held against it and not noted as the model's yet. */
  wrong: number;
  last: LastProbe | undefined;
}

/** What a probe found of the one candidate that it asked. */
export interface LastProbe {
  /** Wall milliseconds. */
  readonly at: number;
  readonly ok: boolean;
  /** What was wrong; undefined when nothing was. */
  readonly because: string | undefined;
  readonly ttftMs: number | null;
}

export interface ProbeParts {
  readonly clock: Clock;
  readonly random: Randomness;
  readonly log: Logger;
  /** Models that can be asked in a few tokens (chat, vectors) and have somebody connected. */
  readonly models: () => Iterable<string>;
  readonly candidates: (modelId: string) => readonly Candidate[];
  /** Asks through the public door; with `to`, that one candidate. Never rejects. */
  readonly ask: (modelId: string, question: ProbeQuestion, to?: string) => Promise<ProbeAnswer>;
  readonly signals: { probed(about: { modelId: string; region: string; ok: boolean }): void };
  /** Keeps what was found, for the months. Never throws. */
  readonly keep: (about: { modelId: string; region: string; ok: boolean }) => void;
  readonly shutOut: (candidate: Candidate, modelId: string) => void;
  /** A probe of another gateway was answered well: its circuit may be tried again. */
  readonly passed: (candidate: Candidate) => void;
  /** Whether this process probes now. */
  readonly leads: () => boolean;
  /** Tells other gateways. Never throws. */
  readonly tell: (finding: ProbeFinding) => void;
  /** Between two turns of a model. Default: 30 to 60 seconds. */
  readonly pauseMs?: { readonly least: number; readonly most: number };
}

const LOOK_MS = 1_000;
const PAUSE_MS = { least: 30_000, most: 60_000 } as const;
/** Turns at once, straight probes in a turn, and probes in a minute: with more candidates each is looked at less often. */
const AT_ONCE_MAX = 4;
const STRAIGHT_PER_TURN = 3;
const PER_MINUTE_MAX = 40;
const FAILURES_TO_SHUT = 2;
const BROKE_MS = 600_000;
