import type { Clock, Timer } from '#kit/clock.ts';
import {
  type Backend,
  type BackendEnd,
  type BackendRequest,
  type BackendSink,
  ENDED,
  type Serving,
} from './backends/backend.ts';

/**
 * One job from offer to last token, whatever dialect it came in. The desk knows the models, keeps what runs at once within
 * limits, lets a bounded number wait for a bounded time, and ends whatever passes its deadline. A job that finds no room
 * is told so (status 429) at once: the hub has other providers.
 *
 *     waiting ──room──▶ running ──end──▶ over
 *        └──cancel, deadline, no room──▶ over
 *
 * A job that was *dropped* (its connection is gone) goes through the same states, but says nothing any more.
 */

export interface DeskLimits {
  /** Jobs running at once, over all models. */
  readonly concurrent: number;
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
  readonly #models: ReadonlyMap<string, ServedModel>;
  readonly #limits: DeskLimits;
  readonly #clock: Clock;
  readonly #jobs = new Set<DeskJob>();
  readonly #running = new Map<string, number>();
  readonly #queue: DeskJob[] = [];
  readonly #rounds: Timer;
  #runningAll = 0;
  #closed = false;
  #whenIdle: (() => void)[] = [];

  #total = 0;
  #failed = 0;
  #latencyMs = 0;
  #tokensPerSecond = 0;
  #recent = 0;
  #recentAtMs: number;

  constructor(parts: { models: ReadonlyMap<string, ServedModel>; limits: DeskLimits; clock: Clock }) {
    this.#models = parts.models;
    this.#limits = parts.limits;
    this.#clock = parts.clock;
    this.#recentAtMs = parts.clock.nowMs();
    this.#rounds = parts.clock.every(DEADLINES_EVERY_MS, () => this.#checkDeadlines());
  }

  /** Takes a job on, or tells `sink` at once why not. `sink` may be called from within this call. */
  begin(ask: Ask, sink: BackendSink): Job {
    const nowMs = this.#clock.nowMs();
    const job = new DeskJob(this, ask, sink, nowMs);
    this.#total++;
    this.#decayRecent(nowMs);
    this.#recent++;
    const model = this.#models.get(ask.modelId);
    if (this.#closed) job.end({ status: 503, error: 'The agent is leaving.' });
    else if (!model) job.end({ status: 404, error: `The model ${ask.modelId} is not deployed here.` });
    else if (!model.backend.operations.includes(ask.operation))
      job.end({ status: 501, error: `The model ${ask.modelId} does not serve ${ask.operation} here.` });
    else if (this.#hasRoom(model)) this.#run(job, model);
    else if (this.#queue.length < this.#limits.waiting) {
      this.#jobs.add(job);
      this.#queue.push(job);
    } else job.end({ status: 429, error: 'The agent is busy.' });
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

  #hasRoom(model: ServedModel): boolean {
    return (
      this.#runningAll < this.#limits.concurrent && (this.#running.get(model.id) ?? 0) < model.concurrent
    );
  }

  #run(job: DeskJob, model: ServedModel): void {
    this.#jobs.add(job);
    this.#runningAll++;
    this.#running.set(model.id, (this.#running.get(model.id) ?? 0) + 1);
    job.run(model.backend);
  }

  /** A job is over: gives its place to one that waits. */
  left(job: DeskJob, wasRunning: boolean, end: BackendEnd, tookMs: number): void {
    this.#jobs.delete(job);
    if (wasRunning) {
      this.#runningAll--;
      this.#running.set(job.ask.modelId, (this.#running.get(job.ask.modelId) ?? 1) - 1);
      this.#latencyMs += (tookMs - this.#latencyMs) * 0.1;
      const tokens = end.usage?.completion_tokens ?? 0;
      if (tokens > 0 && tookMs > 0) {
        this.#tokensPerSecond += ((tokens * 1_000) / tookMs - this.#tokensPerSecond) * 0.1;
      }
      if (end.status >= 500) this.#failed++;
      this.#runWaiting();
    } else {
      const index = this.#queue.indexOf(job);
      if (index >= 0) this.#queue.splice(index, 1);
    }
    if (this.#jobs.size === 0 && this.#whenIdle.length > 0) {
      const waiters = this.#whenIdle;
      this.#whenIdle = [];
      for (const resolve of waiters) resolve();
    }
  }

  #runWaiting(): void {
    for (let i = 0; i < this.#queue.length && this.#runningAll < this.#limits.concurrent; ) {
      const job = this.#queue[i] as DeskJob;
      const model = this.#models.get(job.ask.modelId) as ServedModel;
      if (this.#hasRoom(model)) {
        this.#queue.splice(i, 1);
        this.#run(job, model);
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
  readonly #desk: Desk;
  readonly #sink: BackendSink;
  readonly #beganMs: number;
  #state: 'waiting' | 'running' | 'over' = 'waiting';
  #serving: Serving = ENDED;
  #dropped = false;
  #expired = false;

  constructor(desk: Desk, ask: Ask, sink: BackendSink, beganMs: number) {
    this.#desk = desk;
    this.ask = ask;
    this.#sink = sink;
    this.#beganMs = beganMs;
  }

  run(backend: Backend): void {
    this.#state = 'running';
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
    if (this.#state !== 'running' || this.#dropped) return true;
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
    this.#desk.left(this, wasRunning, end, this.#desk.nowMs() - this.#beganMs);
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
