import type { Operation } from '#domain/operation.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import {
  type Backend,
  type BackendEnd,
  type BackendRequest,
  type BackendSink,
  ENDED,
  type Serving,
} from './backends/backend.ts';
import { Rate } from './rate.ts';
import { type FinishedJob, RecentJobs } from './recent-jobs.ts';

/**
 * One job from offer to last token, whatever dialect it came in. The desk knows the models, keeps what runs at once within
 * limits, lets a bounded number wait for a bounded time, and ends whatever passes its deadline. A job that finds no room
 * is told so (status 429) at once: the hub has other providers.
 *
 *     waiting ──room──▶ running ──end──▶ over
 *        └──cancel, deadline, no room──▶ over
 *
 * A job that was *dropped* (its connection is gone) goes through the same states, but says nothing any more.
 *
 * Models and limits may change at any time. What runs on a backend that was replaced or taken away goes on there; what waits
 * is served by whatever serves its model when there is room; `free` tells when a backend has nobody left.
 */

export interface DeskLimits {
  /** Jobs running at once, over all models. */
  readonly concurrent: number;
  /** Jobs begun in a minute, over all models; undefined: as many as come. */
  readonly perMinute?: number | undefined;
  /** Jobs that may wait for room, over all models. */
  readonly waiting: number;
  /** How long one may wait. */
  readonly waitMsMax: number;
}

export interface ServedModel {
  readonly id: string;
  readonly backend: Backend;
  /** Jobs of this model running at once. */
  readonly concurrent: number;
  /** Jobs of this model begun in a minute; undefined: as many as come. */
  readonly perMinute?: number | undefined;
  /** What it can be asked for, where that is less than its backend can do. */
  readonly operations?: readonly Operation[] | undefined;
}

/** What came of the jobs of one model since the start. It stays when the model goes. */
export interface ModelTally {
  active: number;
  waiting: number;
  /** Jobs that came, those that were turned away included. */
  total: number;
  /** Jobs that ended with a failure of ours or of the backend. */
  failed: number;
  /** Jobs that found no room. */
  refused: number;
  tokensIn: number;
  tokensOut: number;
  /** Milliseconds of all jobs together, from offer to end. */
  tookMs: number;
}

class Place {
  model: ServedModel;
  readonly rate: Rate;
  readonly tally: ModelTally;

  constructor(model: ServedModel, nowMs: number, tally: ModelTally) {
    this.model = model;
    this.rate = new Rate(model.perMinute, nowMs);
    this.tally = tally;
  }
}

/** What a hub asks for. */
export interface Ask extends BackendRequest {
  readonly modelId: string;
  /** From now on, in milliseconds. */
  readonly deadlineMs: number;
}

/** What was served since the start, and what is being served. */
export interface DeskFigures {
  active: number;
  waiting: number;
  total: number;
  failed: number;
  /** Of the last minute or so, exponentially weighted. */
  latencyMs: number;
  tokensPerSecond: number;
  requestsPerMinute: number;
}

const DEADLINES_EVERY_MS = 1_000;
const FIGURES_HALF_LIFE_MS = 30_000;

/** A job as its dialect holds it. */
export interface Job {
  /** Stops it; its sink still receives `end`, with status 499 and the usage so far. Harmless after the end. */
  cancel(): void;
  /** Stops it, and its sink receives nothing any more. */
  drop(): void;
  /** Goes on after the sink asked for a pause. */
  resume(): void;
}

export class Desk {
  readonly #places = new Map<string, Place>();
  readonly #tallies = new Map<string, ModelTally>();
  #limits: DeskLimits;
  readonly #rate: Rate;
  readonly #clock: Clock;
  readonly #jobs = new Set<DeskJob>();
  readonly #over = new RecentJobs();
  readonly #queue: DeskJob[] = [];
  readonly #rounds: Timer;
  #runningAll = 0;
  #closed = false;
  #whenIdle: (() => void)[] = [];
  #whenFree: { backend: Backend; resolve: () => void }[] = [];

  #total = 0;
  #failed = 0;
  #latencyMs = 0;
  #tokensPerSecond = 0;
  #recent = 0;
  #recentAtMs: number;

  constructor(parts: { models: ReadonlyMap<string, ServedModel>; limits: DeskLimits; clock: Clock }) {
    this.#limits = parts.limits;
    this.#clock = parts.clock;
    this.#recentAtMs = parts.clock.nowMs();
    this.#rate = new Rate(parts.limits.perMinute, this.#recentAtMs);
    for (const model of parts.models.values()) this.put(model);
    this.#rounds = parts.clock.every(DEADLINES_EVERY_MS, () => this.#checkDeadlines());
  }

  /** Serves `model` from now on, in place of whatever had its id. */
  put(model: ServedModel): void {
    const nowMs = this.#clock.nowMs();
    const place = this.#places.get(model.id);
    if (place) {
      place.model = model;
      place.rate.change(model.perMinute, nowMs);
    } else this.#places.set(model.id, new Place(model, nowMs, this.#tallyOf(model.id)));
    this.#runWaiting();
  }

  /** Takes a model away: new jobs for it are refused. Those it has go on, the waiting ones included. */
  take(id: string): void {
    this.#places.delete(id);
  }

  /** Resolves when no job runs on `backend` or waits for it. */
  free(backend: Backend): Promise<void> {
    if (!this.#isUsed(backend)) return Promise.resolve();
    return new Promise((resolve) => this.#whenFree.push({ backend, resolve }));
  }

  /** How many jobs may run at once and begin in a minute, over all models, from now on. */
  limit(change: { concurrent?: number; perMinute?: number | undefined }): void {
    this.#limits = { ...this.#limits, ...change };
    this.#rate.change(this.#limits.perMinute, this.#clock.nowMs());
    this.#runWaiting();
  }

  get limits(): DeskLimits {
    return this.#limits;
  }

  /** Takes a job on, or tells `sink` at once why not. `sink` may be called from within this call. */
  begin(ask: Ask, sink: BackendSink): Job {
    const nowMs = this.#clock.nowMs();
    const place = this.#places.get(ask.modelId);
    const job = new DeskJob(this, ask, sink, nowMs, place);
    this.#total++;
    this.#decayRecent(nowMs);
    this.#recent++;
    if (place) place.tally.total++;
    const operations = place?.model.operations ?? place?.model.backend.operations;
    if (this.#closed) job.end({ status: 503, error: 'The agent is leaving.' });
    else if (!place) job.end({ status: 404, error: `The model ${ask.modelId} is not deployed here.` });
    else if (!operations?.includes(ask.operation))
      job.end({ status: 501, error: `The model ${ask.modelId} does not serve ${ask.operation} here.` });
    else if (!this.#rate.hasRoom(nowMs) || !place.rate.hasRoom(nowMs))
      job.end({ status: 429, error: 'The agent serves no more requests this minute.' });
    else {
      this.#rate.take();
      place.rate.take();
      if (this.#hasRoom(place)) this.#run(job, place);
      else if (this.#queue.length < this.#limits.waiting) {
        this.#jobs.add(job);
        this.#queue.push(job);
        place.tally.waiting++;
      } else job.end({ status: 429, error: 'The agent is busy.' });
    }
    return job;
  }

  /** Refuses every new job from now on (status 503); what is under way goes on. */
  refuseNewJobs(): void {
    this.#closed = true;
  }

  /** Resolves when nothing runs or waits. */
  idle(): Promise<void> {
    if (this.#jobs.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Ends everything. */
  close(): void {
    this.#closed = true;
    this.#rounds.cancel();
    this.#queue.length = 0;
    for (const job of this.#jobs) job.drop();
  }

  figures(): DeskFigures {
    this.#decayRecent(this.#clock.nowMs());
    return {
      active: this.#runningAll,
      waiting: this.#queue.length,
      total: this.#total,
      failed: this.#failed,
      latencyMs: this.#latencyMs,
      tokensPerSecond: this.#tokensPerSecond,
      requestsPerMinute: (this.#recent * Math.LN2 * 60_000) / FIGURES_HALF_LIFE_MS,
    };
  }

  /** The latest jobs that are over, newest first. */
  latest(): FinishedJob[] {
    return this.#over.list();
  }

  /** By model, of all that were ever served. */
  tallies(): ReadonlyMap<string, Readonly<ModelTally>> {
    return this.#tallies;
  }

  #tallyOf(id: string): ModelTally {
    const known = this.#tallies.get(id);
    if (known) return known;
    const tally = {
      active: 0,
      waiting: 0,
      total: 0,
      failed: 0,
      refused: 0,
      tokensIn: 0,
      tokensOut: 0,
      tookMs: 0,
    };
    this.#tallies.set(id, tally);
    return tally;
  }

  #hasRoom({ tally, model }: Place): boolean {
    return this.#runningAll < this.#limits.concurrent && tally.active < model.concurrent;
  }

  #run(job: DeskJob, place: Place): void {
    this.#jobs.add(job);
    this.#runningAll++;
    place.tally.active++;
    job.run(place.model.backend);
  }

  /** A job is over: gives its place to one that waits. */
  left(job: DeskJob, was: { running: boolean; tookMs: number; tokensSaid: number }, end: BackendEnd): void {
    const waited = !was.running && this.#jobs.has(job);
    this.#jobs.delete(job);
    const { ask } = job;
    const { usage } = end;
    this.#over.note({
      requestId: ask.identity.completion.replace(/^(?:chat)?cmpl-/, ''),
      modelId: ask.modelId,
      operation: ask.operation,
      streaming: ask.stream,
      status: end.status,
      tokensIn: usage?.prompt_tokens ?? 0,
      tokensOut: Math.max(was.tokensSaid, usage?.completion_tokens ?? 0),
      endedAt: this.#clock.wallMs(),
      tookMs: was.tookMs,
    });
    const tally = job.place?.tally;
    if (tally) {
      tally.tookMs += was.tookMs;
      tally.tokensIn += end.usage?.prompt_tokens ?? 0;
      tally.tokensOut += Math.max(0, (end.usage?.completion_tokens ?? 0) - was.tokensSaid);
      if (end.status >= 500) tally.failed++;
      if (end.status === 429) tally.refused++;
    }
    if (was.running) {
      this.#runningAll--;
      if (tally) tally.active--;
      this.#latencyMs += (was.tookMs - this.#latencyMs) * 0.1;
      const tokens = end.usage?.completion_tokens ?? 0;
      if (tokens > 0 && was.tookMs > 0) {
        this.#tokensPerSecond += ((tokens * 1_000) / was.tookMs - this.#tokensPerSecond) * 0.1;
      }
      if (end.status >= 500) this.#failed++;
      this.#runWaiting();
    } else if (waited) {
      const index = this.#queue.indexOf(job);
      if (index >= 0) this.#queue.splice(index, 1);
      if (tally) tally.waiting--;
    }
    this.#tellWaiters();
  }

  #tellWaiters(): void {
    if (this.#jobs.size === 0 && this.#whenIdle.length > 0) {
      const waiters = this.#whenIdle;
      this.#whenIdle = [];
      for (const resolve of waiters) resolve();
    }
    if (this.#whenFree.length === 0) return;
    const stay = this.#whenFree.filter(({ backend }) => this.#isUsed(backend));
    const go = this.#whenFree.filter((waiter) => !stay.includes(waiter));
    this.#whenFree = stay;
    for (const { resolve } of go) resolve();
  }

  /** Whether a job runs on `backend`, or waits and would. */
  #isUsed(backend: Backend): boolean {
    for (const job of this.#jobs) {
      if (job.backend === backend) return true;
      if (job.backend === undefined && job.place?.model.backend === backend) return true;
    }
    return false;
  }

  #runWaiting(): void {
    for (let i = 0; i < this.#queue.length && this.#runningAll < this.#limits.concurrent; ) {
      const job = this.#queue[i] as DeskJob;
      const place = job.place as Place;
      if (this.#hasRoom(place)) {
        this.#queue.splice(i, 1);
        place.tally.waiting--;
        this.#run(job, place);
      } else i++;
    }
  }

  #checkDeadlines(): void {
    const nowMs = this.#clock.nowMs();
    for (const job of this.#jobs) job.checkDeadline(nowMs, this.#limits.waitMsMax);
  }

  #decayRecent(nowMs: number): void {
    this.#recent *= 0.5 ** ((nowMs - this.#recentAtMs) / FIGURES_HALF_LIFE_MS);
    this.#recentAtMs = nowMs;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }
}

class DeskJob implements Job, BackendSink {
  readonly ask: Ask;
  /** Where its model has its limits and its tally; undefined for a model that is not served. */
  readonly place: Place | undefined;
  /** What runs it, once something does. */
  backend: Backend | undefined;
  readonly #desk: Desk;
  readonly #sink: BackendSink;
  readonly #beganMs: number;
  #state: 'waiting' | 'running' | 'over' = 'waiting';
  #serving: Serving = ENDED;
  #dropped = false;
  #expired = false;
  #tokensSaid = 0;

  constructor(desk: Desk, ask: Ask, sink: BackendSink, beganMs: number, place: Place | undefined) {
    this.place = place;
    this.#desk = desk;
    this.ask = ask;
    this.#sink = sink;
    this.#beganMs = beganMs;
  }

  run(backend: Backend): void {
    this.#state = 'running';
    this.backend = backend;
    let serving: Serving;
    try {
      serving = backend.serve(this.ask, this);
    } catch (error) {
      // A backend promises not to throw; one that does must not take the others' streams with it.
      this.end({
        status: 500,
        error: `The backend broke: ${error instanceof Error ? error.name : 'unknown'}.`,
      });
      return;
    }
    this.#serving = serving;
  }

  event(head: Buffer, tail: Buffer, tokens: number): boolean {
    if (this.#state !== 'running') return true;
    this.#tokensSaid += tokens;
    if (this.place) this.place.tally.tokensOut += tokens;
    if (this.#dropped) return true;
    return this.#sink.event(head, tail, tokens);
  }

  answer(json: Buffer): void {
    if (this.#state === 'running' && !this.#dropped) this.#sink.answer(json);
  }

  end(end: BackendEnd): void {
    if (this.#state === 'over') return;
    const wasRunning = this.#state === 'running';
    this.#state = 'over';
    this.#serving = ENDED;
    const tookMs = this.#desk.nowMs() - this.#beganMs;
    this.#desk.left(this, { running: wasRunning, tookMs, tokensSaid: this.#tokensSaid }, end);
    if (this.#dropped) return;
    this.#sink.end(this.#expired ? { ...end, status: 504, error: 'The deadline passed.' } : end);
  }

  cancel(): void {
    if (this.#state === 'waiting') {
      this.end({ status: 499, usage: { prompt_tokens: 0, completion_tokens: 0 } });
    } else this.#serving.cancel();
  }

  drop(): void {
    this.#dropped = true;
    this.cancel();
  }

  resume(): void {
    this.#serving.resume();
  }

  checkDeadline(nowMs: number, waitMsMax: number): void {
    const agedMs = nowMs - this.#beganMs;
    if (this.#state === 'waiting' && agedMs >= Math.min(waitMsMax, this.ask.deadlineMs)) {
      this.end({ status: 429, error: 'The agent is busy.' });
    } else if (agedMs >= this.ask.deadlineMs) {
      this.#expired = true;
      this.cancel();
    }
  }
}
