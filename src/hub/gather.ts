import type { Clock, Timer } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Candidate } from '#routing/candidate.ts';
import { statedFor } from './answer.ts';
import type { Answer, Attempt, AttemptEnd, AttemptSink, Job, Link } from './link.ts';

/**
 * Small requests for embeddings that go to one candidate at about the same time travel as one call. Every request keeps its
 * own attempt, hold, deadline, retries and bill: all that is shared is the message to the agent, and the place it takes there.
 *
 * An idle market is never delayed. While nothing of a candidate is under way, a call leaves at the end of the turn in which
 * its first request came; only behind another call does it wait, until that one ends, the window is over or it is full.
 * Whoever waits for a busy model (`gateway/waiting-room.ts`) may join what is gathered without a place of its own.
 *
 * What each request read must be known exactly, so only candidates that tell it are asked this way: their answers state
 * `usage.prompt_tokens_per_input`, one count for each input, which add up to `prompt_tokens`. A candidate tells so by its first
 * single answers. Of all others a sum is all that is known, and a sum cannot be billed to several.
 *
 * Where the shared call is refused or fails, each request is tried alone, one after the other in the same place: what is wrong
 * with one is nobody else's trouble. An agent that is busy or was lost fails them all, and each goes on by its own rules; a
 * second try always travels alone (`dispatch.ts`).
 */
export interface GatherSettings {
  /** The longest that a call waits behind another, milliseconds. */
  readonly windowMs: number;
}

/** Of one shared call. */
export const GATHERED_INPUTS_MAX = 64;
const GATHERED_BYTES_MAX = 131_072;
/** A call that was refused may have been one bad input; one that failed, an agent that takes no lists. */
const ALONE_AFTER_REFUSAL_MS = 10_000;
const ALONE_AFTER_FAILURE_MS = 600_000;

export interface GatherParts {
  readonly clock: Clock;
  readonly ids: IdMaker;
  readonly settings: GatherSettings;
  /** Takes a place at a candidate; the answer gives it back. */
  readonly hold: (candidate: Candidate, modelId: string) => () => void;
}

/** What was gathered so far, for the figures of the market. */
export interface GatherCounts {
  /** Calls that carried several requests, and the requests in them. */
  calls: number;
  requests: number;
  /** Requests that were tried alone after a shared call. */
  alone: number;
}

export class Gatherer {
  readonly counts: GatherCounts = { calls: 0, requests: 0, alone: 0 };
  readonly #parts: GatherParts;
  readonly #desks = new WeakMap<Candidate, Desk>();

  constructor(parts: GatherParts) {
    this.#parts = parts;
  }

  /** The link of a candidate, with the gathering in front. */
  over(candidate: Candidate, link: Link): Link {
    let desk = this.#desks.get(candidate);
    if (desk?.link !== link) {
      desk = new Desk(this.#parts, this.counts, candidate, link);
      this.#desks.set(candidate, desk);
    }
    return desk;
  }
}

class Desk implements Link {
  readonly link: Link;
  readonly #parts: GatherParts;
  readonly #counts: GatherCounts;
  readonly #candidate: Candidate;
  #underWay = 0;
  /** It was seen to tell what each input was read as. */
  #tells = false;
  #aloneUntilMs = Number.NEGATIVE_INFINITY;
  #open: Call | undefined;

  constructor(parts: GatherParts, counts: GatherCounts, candidate: Candidate, link: Link) {
    this.#parts = parts;
    this.#counts = counts;
    this.#candidate = candidate;
    this.link = link;
  }

  get id(): string {
    return this.link.id;
  }

  get mode(): Link['mode'] {
    return this.link.mode;
  }

  start(job: Job, sink: AttemptSink): Attempt {
    if (job.operation !== 'embeddings') return this.link.start(job, sink);
    const { gather } = job;
    if (!gather || !this.#tells || this.#parts.clock.nowMs() < this.#aloneUntilMs)
      return this.link.start(job, this.#watched(sink));
    if (this.#open && !this.#open.fits(job)) this.#send();
    this.#open ??= this.#begin(job);
    const member = this.#open.add(job, sink);
    this.#tellRoom();
    return member;
  }

  #begin(job: Job): Call {
    const { clock, settings } = this.#parts;
    const call = new Call(job, this.#parts.hold(this.#candidate, job.modelId), () => this.#left(call));
    if (this.#underWay > 0) call.timer = clock.after(settings.windowMs, () => this.#send(call));
    else clock.endOfTurn(() => this.#send(call));
    return call;
  }

  /** One of a call left it while it was gathered. */
  #left(call: Call): void {
    if (this.#open !== call) return;
    if (call.members.length === 0) this.#close();
    else this.#tellRoom();
  }

  #tellRoom(): void {
    this.#candidate.gathering = this.#open?.room;
  }

  #close(): Call | undefined {
    const call = this.#open;
    this.#open = undefined;
    this.#tellRoom();
    call?.timer?.cancel();
    call?.release();
    return call;
  }

  /** A call has ended: what waited behind it leaves, with all that still comes in this turn. */
  #sendSoon(): void {
    const call = this.#open;
    if (call) this.#parts.clock.endOfTurn(() => this.#send(call));
  }

  /** Sends what is gathered: all of it, or nothing where that is not `only` any more. */
  #send(only: Call | undefined = this.#open): void {
    if (!only || this.#open !== only) return;
    const { members } = this.#close() as Call;
    const [first] = members;
    if (!first) return;
    // A call for one is the request itself, byte for byte.
    if (members.length === 1) first.begin(this.link, (sink) => this.#watched(sink));
    else this.#together(members);
  }

  #together(members: readonly Member[]): void {
    this.#counts.calls += 1;
    this.#counts.requests += members.length;
    let answer: Answer | undefined;
    const attempt = this.link.start(this.#jointJob(members), {
      data: () => {},
      result: (_body, whole) => {
        answer = whole;
      },
      end: (end) => {
        this.#underWay -= 1;
        this.#ended(members, answer, end);
        this.#sendSoon();
      },
    });
    this.#underWay += 1;
    const stopIfAllLeft = (reason: CancelReason): void => {
      if (members.every(({ over }) => over)) attempt.cancel(reason);
    };
    for (const member of members) member.left = stopIfAllLeft;
  }

  #jointJob(members: readonly Member[]): Job {
    const { gather, traceparent: _, ...rest } = (members[0] as Member).job;
    const inputs = members.flatMap(({ job }) => job.gather?.inputs ?? []);
    return {
      ...rest,
      attemptId: this.#parts.ids('att'),
      expects: { ...rest.expects, items: inputs.length },
      // The fields are those of each of them: that is what their key says.
      body: Buffer.from(JSON.stringify({ ...gather?.fields, model: rest.modelId, input: inputs })),
      set: {},
      deadlineMs: Math.min(...members.map(({ job }) => job.deadlineMs)),
    };
  }

  #ended(members: readonly Member[], answer: Answer | undefined, end: AttemptEnd): void {
    if (end.outcome === 'busy' || end.outcome === 'lost' || end.outcome === 'cancelled') {
      for (const member of members) member.end(end);
      return;
    }
    const parts = end.outcome === 'completed' && answer ? partsOf(answer, members) : undefined;
    if (parts) {
      members.forEach((member, at) => {
        const part = parts[at] as Part;
        if (!member.over) member.result(Buffer.from(JSON.stringify(part.answer)), part.answer);
        member.end({ ...end, usage: { inputTokens: part.tokens, outputTokens: 0 } });
      });
      return;
    }
    const aloneMs = end.outcome === 'refused' ? ALONE_AFTER_REFUSAL_MS : ALONE_AFTER_FAILURE_MS;
    this.#aloneUntilMs = this.#parts.clock.nowMs() + aloneMs;
    this.#oneByOne(members, 0);
  }

  /** One after the other, in the one place that they had together. */
  #oneByOne(members: readonly Member[], from: number): void {
    const at = members.findIndex(({ over }, index) => index >= from && !over);
    if (at < 0) return;
    this.#counts.alone += 1;
    (members[at] as Member).begin(this.link, (sink) => {
      const watched = this.#watched(sink);
      return {
        ...watched,
        // First the next, then the end: whoever hears it may take the place that was given up.
        end: (end) => {
          this.#oneByOne(members, at + 1);
          watched.end(end);
        },
      };
    });
  }

  /** A sink that counts a call, and learns from its answer whether the candidate tells each input's tokens. */
  #watched(sink: AttemptSink): AttemptSink {
    this.#underWay += 1;
    return {
      data: (...events) => sink.data(...events),
      result: (body, answer) => {
        this.#tells = countsOf(answer) !== undefined;
        sink.result(body, answer);
      },
      end: (end) => {
        this.#underWay -= 1;
        sink.end(end);
        this.#sendSoon();
      },
    };
  }
}

/** Requests that are gathered for one call. */
class Call {
  readonly members: Member[] = [];
  readonly release: () => void;
  timer: Timer | undefined;
  readonly #key: string;
  readonly #via: string | undefined;
  readonly #left: () => void;
  #inputs = 0;
  #bytes = 0;

  constructor({ gather, via }: Job, release: () => void, left: () => void) {
    this.#key = gather?.key ?? '';
    this.#via = via;
    this.release = release;
    this.#left = left;
  }

  get room(): { key: string; inputs: number; bytes: number } {
    return {
      key: this.#key,
      inputs: GATHERED_INPUTS_MAX - this.#inputs,
      bytes: GATHERED_BYTES_MAX - this.#bytes,
    };
  }

  fits({ gather, body, via }: Job): boolean {
    const { key, inputs, bytes } = this.room;
    return gather?.key === key && via === this.#via && gather.inputs.length <= inputs && body.length <= bytes;
  }

  add(job: Job, sink: AttemptSink): Member {
    const member = new Member(job, sink);
    this.#count(job, 1);
    this.members.push(member);
    const leave = (): void => {
      this.members.splice(this.members.indexOf(member), 1);
      this.#count(job, -1);
      this.#left();
    };
    member.left = leave;
    return member;
  }

  #count({ gather, body }: Job, by: 1 | -1): void {
    this.#inputs += by * (gather?.inputs.length ?? 0);
    this.#bytes += by * body.length;
  }
}

type CancelReason = Parameters<Attempt['cancel']>[0];

/** One request's attempt: gathered, then part of a shared call or one of its own. */
class Member implements Attempt {
  readonly job: Job;
  over = false;
  /** Told that its consumer has left while others may still want what it is part of. */
  left: (reason: CancelReason) => void = () => {};
  readonly #sink: AttemptSink;
  #own: Attempt | undefined;

  constructor(job: Job, sink: AttemptSink) {
    this.job = job;
    this.#sink = sink;
  }

  /** Goes alone. */
  begin(link: Link, watched: (sink: AttemptSink) => AttemptSink): void {
    this.#own = link.start(
      this.job,
      watched({
        data: (...events) => this.#sink.data(...events),
        result: (body, answer) => this.result(body, answer),
        end: (end) => this.end(end),
      }),
    );
  }

  result(body: Buffer, answer: Answer): void {
    if (!this.over) this.#sink.result(body, answer);
  }

  end(end: AttemptEnd): void {
    if (this.over) return;
    this.over = true;
    this.#sink.end(end);
  }

  cancel(reason: CancelReason): void {
    if (this.over) return;
    if (this.#own) return this.#own.cancel(reason);
    this.over = true;
    this.left(reason);
    this.#sink.end({ outcome: 'cancelled', usage: undefined, inner: undefined, errorCode: undefined });
  }

  consumed(bytes: number): void {
    this.#own?.consumed(bytes);
  }
}

interface Part {
  readonly answer: Answer;
  readonly tokens: number;
}

/** Each member's own part of a shared answer; undefined where its tokens are not known exactly. */
function partsOf(answer: Answer, members: readonly Member[]): Part[] | undefined {
  const counts = countsOf(answer);
  const data = answer['data'] as readonly Record<string, unknown>[];
  if (counts?.length !== data.length) return undefined;
  const { model } = answer;
  let at = 0;
  return members.map(({ job }) => {
    const from = at;
    at += job.gather?.inputs.length ?? 0;
    const tokens = counts.slice(from, at).reduce((sum, each) => sum + each, 0);
    const own = data
      .slice(from, at)
      .map(({ embedding }, index) => ({ object: 'embedding', index, embedding }));
    const usage = { prompt_tokens: tokens, total_tokens: tokens };
    return { answer: { object: 'list', data: own, model, usage }, tokens };
  });
}

/** What each input was read as, where the answer tells it and it adds up to what is billed. */
function countsOf(answer: Answer): readonly number[] | undefined {
  const usage = answer['usage'] as { prompt_tokens_per_input?: unknown } | null | undefined;
  const counts = usage?.prompt_tokens_per_input;
  const { data } = answer;
  if (!Array.isArray(counts) || !Array.isArray(data) || counts.length !== data.length) return undefined;
  if (!counts.every((each) => Number.isSafeInteger(each) && each >= 0)) return undefined;
  const sum = counts.reduce((so: number, each: number) => so + each, 0);
  return sum === statedFor(answer, 'embeddings')?.inputTokens ? counts : undefined;
}
