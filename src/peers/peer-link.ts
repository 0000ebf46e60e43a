import { BodyPump } from '#hub/body-pump.ts';
import type { Attempt, AttemptSink, Job } from '#hub/link.ts';
import type { Occupancy } from '#hub/link-attempt.ts';
import type { Presence, Registry } from '#hub/registry.ts';
import type { HubSettings } from '#hub/settings.ts';
import { StreamTable } from '#hub/stream-table.ts';
import type { Transport } from '#hub/transport.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { eachFrame, encodeCreditFrame, encodeFrame, encodeJsonFrame, FRAME } from '#wire/agent/frames.ts';
import { PEER_DATA, PEER_PAYLOAD_BYTES_MAX, PEER_PREFIX_BYTES } from './frames.ts';
import { type News, newsOf, newsSchema } from './news.ts';
import { RemoteAttempt, type RemoteHost } from './remote-attempt.ts';
import { type PeerJob, readPeerJob } from './said.ts';
import { ServedJob } from './served-job.ts';

/**
 * One link to another gateway, once each has shown who it is: both send jobs for the other's agents over it, many at once,
 * and tell each other who is connected. A gateway is trusted with what it says; it is not trusted to be without bugs, so
 * what cannot be read ends the link and nothing else.
 */
export class PeerLink implements RemoteHost {
  readonly gateway: string;
  readonly clock: Clock;
  readonly cancelWaitMs: number;
  readonly creditStepBytes: number;
  readonly resultBytesMax: number;
  readonly #parts: PeerLinkParts;
  readonly #transport: Transport;
  readonly #pump: BodyPump;
  readonly #asked = new StreamTable<RemoteAttempt>();
  readonly #served = new Map<number, ServedJob>();
  /** By link: the state and the load of the agent that the other side was told last. */
  readonly #told = new Map<string, { readonly changes: number; readonly load: string }>();
  #lost = false;

  constructor(parts: PeerLinkParts) {
    this.#parts = parts;
    this.gateway = parts.gateway;
    this.clock = parts.clock;
    this.#transport = parts.transport;
    const { settings } = parts;
    this.cancelWaitMs = settings.cancelWaitMs + HOP_SPARE_MS;
    this.creditStepBytes = settings.creditStepBytes;
    this.resultBytesMax = settings.resultBytesMax;
    this.#pump = new BodyPump(parts.transport, settings.sendAheadBytesMax);
  }

  /** Jobs of the other gateway that are under way here. */
  get serving(): number {
    return this.#served.size;
  }

  /** Has the other gateway make an attempt on the agent behind its link `linkId`. */
  start(linkId: string, job: Job, sink: AttemptSink, occupancy: Occupancy): Attempt {
    const stream = this.#asked.number();
    const credit = this.#parts.settings.creditBytes;
    const attempt = new RemoteAttempt(this, { stream, credit, job, occupancy, sink });
    this.#asked.add(attempt);
    if (this.#lost) {
      this.clock.endOfTurn(() => attempt.lost());
      return attempt;
    }
    const header: PeerJob = {
      attempt: job.attemptId,
      link: linkId,
      model: job.modelId,
      completion: job.completionId,
      created: job.createdS,
      operation: job.operation,
      items: job.expects.items,
      dimensions: job.expects.dimensions,
      stream: job.stream,
      set: job.set,
      via: job.via,
      traceparent: job.traceparent,
      body_bytes: job.body.length,
      credit,
      deadline_ms: job.deadlineMs,
    };
    this.#transport.send(encodeJsonFrame(FRAME.job, stream, header));
    if (job.body.length > 0) this.#pump.add(stream, job.body);
    return attempt;
  }

  cancel(attempt: RemoteAttempt, reason: string): void {
    this.#pump.drop(attempt.stream);
    this.#transport.send(encodeFrame(FRAME.cancel, attempt.stream, Buffer.from(reason)));
    this.#transport.flush();
  }

  credit(attempt: RemoteAttempt, bytes: number): void {
    this.#transport.send(encodeCreditFrame(attempt.stream, bytes));
  }

  release(attempt: RemoteAttempt): void {
    this.#pump.drop(attempt.stream);
    this.#asked.delete(attempt.stream);
  }

  /** For jobs served here. */
  over(job: ServedJob): void {
    this.#served.delete(job.stream);
  }

  /** One message. False when it cannot be read: the link is of no use any more. */
  take(data: Buffer, isBinary: boolean): boolean {
    if (!isBinary) return this.#news(data);
    let lawful = true;
    const whole = eachFrame(data, PEER_PAYLOAD_BYTES_MAX, (type, stream, payload) => {
      lawful = lawful && this.#frame(type, stream, payload);
    });
    return whole && lawful;
  }

  drained(): void {
    this.#pump.pump();
  }

  /** The socket is gone: what was asked is lost, and what was served is stopped. */
  lost(): void {
    this.#lost = true;
    for (const attempt of this.#asked.values()) attempt.lost();
    for (const job of this.#served.values()) job.drop();
  }

  /**
   * Tells the other side of these agents what has changed since it was told last, or that they have gone. Of everybody who is
   * here when the link is new, of those that something happened to from then on: not ten thousand agents ten times a second.
   */
  tell(registry: Registry, touched: Iterable<Presence>): void {
    const nowMs = this.clock.nowMs();
    const counted = this.#countServed();
    const loads: [string, number, Record<string, number>][] = [];
    for (const presence of touched) {
      if (presence.mode !== 'websocket') continue;
      const link = presence.linkId;
      const told = this.#told.get(link);
      if (registry.presenceByLink(link) !== presence) {
        if (!told) continue;
        this.#told.delete(link);
        this.#say({ type: 'gone', link });
        continue;
      }
      if (told?.changes !== presence.changes) this.#say({ type: 'node', node: newsOf(presence, nowMs) });
      const theirs = counted.get(link);
      const models: Record<string, number> = {};
      for (const { modelId, inFlight } of presence.serving.values()) {
        const others = inFlight - (theirs?.models.get(modelId) ?? 0);
        if (others > 0) models[modelId] = others;
      }
      const total = presence.inFlight - (theirs?.all ?? 0);
      const load = JSON.stringify([total, models]);
      if ((told?.load ?? NO_LOAD) !== load) loads.push([link, total, models]);
      this.#told.set(link, { changes: presence.changes, load });
    }
    if (loads.length > 0) this.#say({ type: 'load', loads });
  }

  leaving(): void {
    this.#say({ type: 'leaving' });
  }

  #say(news: News): void {
    this.#transport.send(JSON.stringify(news));
  }

  #news(data: Buffer): boolean {
    let said: unknown;
    try {
      said = JSON.parse(data.toString());
    } catch {
      return false;
    }
    const news = newsSchema.safeParse(said);
    // Something from tomorrow: an older gateway passes it over.
    if (news.success) this.#parts.heard(news.data);
    return true;
  }

  #frame(type: number, stream: number, payload: Buffer): boolean {
    switch (type) {
      case FRAME.job:
        return this.#job(stream, payload);
      case FRAME.body:
        this.#served.get(stream)?.body(payload);
        return true;
      case FRAME.cancel:
        this.#served.get(stream)?.cancel(payload.toString('latin1', 0, 64));
        return true;
      case FRAME.credit:
        if (payload.length !== 4) return false;
        this.#served.get(stream)?.addCredit(payload.readUInt32LE(0));
        return true;
      case PEER_DATA: {
        if (payload.length <= PEER_PREFIX_BYTES) return false;
        const counts = {
          events: payload.readUInt32LE(0),
          tokens: payload.readUInt32LE(4),
          contentBytes: payload.readUInt32LE(8),
        };
        this.#asked.get(stream)?.data(payload.subarray(PEER_PREFIX_BYTES), counts);
        return true;
      }
      case FRAME.result:
        this.#asked.get(stream)?.part(payload);
        return true;
      case FRAME.end:
        return this.#end(stream, payload);
      default:
        return true;
    }
  }

  #job(stream: number, payload: Buffer): boolean {
    let about: PeerJob | undefined;
    try {
      about = readPeerJob(JSON.parse(payload.toString()));
    } catch {
      // What is not JSON is no job either.
    }
    if (!about) {
      this.#parts.log.error({ gateway: this.gateway }, 'A job of another gateway cannot be read.');
      return false;
    }
    if (this.#served.has(stream)) return false;
    const { registry, settings } = this.#parts;
    const job = new ServedJob(
      {
        registry,
        transport: this.#transport,
        requestBytesMax: settings.requestBytesMaxNew,
        over: (done) => this.over(done),
      },
      stream,
      about,
    );
    this.#served.set(stream, job);
    if (about.body_bytes === 0) job.body(NOTHING);
    return true;
  }

  #end(stream: number, payload: Buffer): boolean {
    const attempt = this.#asked.get(stream);
    if (!attempt) return true;
    let said: unknown;
    try {
      said = JSON.parse(payload.toString());
    } catch {
      return false;
    }
    attempt.ended(said);
    return true;
  }

  #countServed(): Map<string, { all: number; models: Map<string, number> }> {
    const counted = new Map<string, { all: number; models: Map<string, number> }>();
    for (const { running, about } of this.#served.values()) {
      if (!running) continue;
      let of = counted.get(about.link);
      if (!of) {
        of = { all: 0, models: new Map() };
        counted.set(about.link, of);
      }
      of.all += 1;
      of.models.set(about.model, (of.models.get(about.model) ?? 0) + 1);
    }
    return counted;
  }
}

export interface PeerLinkParts {
  /** The other side, by its instance. */
  readonly gateway: string;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: Registry;
  readonly settings: HubSettings;
  readonly heard: (news: News) => void;
}

const NOTHING = Buffer.alloc(0);
const NO_LOAD = '[0,{}]';
/** The way there and back, on top of what the other gateway waits for its agent. */
const HOP_SPARE_MS = 250;
