import type { Timer } from '#kit/clock.ts';
import type { VirtualClock } from '#support/virtual-clock.ts';
import type { Chance } from '../chance.ts';
import type { Wire } from '../market/wire.ts';
import { type Behaviour, type Gossip, planFor } from './behaviours.ts';
import type { AgentJob, AttemptTruth, Stated, Voice } from './job.ts';

/** What a node asks of the world around it. */
export interface NodeWorld extends Gossip {
  readonly clock: VirtualClock;
  /** Opens a connection to one of the hubs; undefined when it is not taken. */
  dial(node: SimulatedNode): Wire | undefined;
  /** Tells that a job arrived, and hears what to remember of it. */
  jobArrived(node: SimulatedNode, about: { attemptId: string; prompt: string }): AttemptTruth;
  jobCancelled(truth: AttemptTruth): void;
  /** The wire on which a word about somebody's attempt travels: the node's own, unless the world is sabotaged. */
  wireFor(node: SimulatedNode, attemptId: string, own: Wire | undefined): Wire | undefined;
}

export interface NodeProfile {
  readonly name: string;
  readonly nodeId: string;
  readonly providerId: string;
  secret: string;
  readonly models: readonly string[];
  readonly capacity: number;
  /** How often each behaviour is shown, by weight. Changed to nothing but good when the world calms down. */
  behaviours: Readonly<Partial<Record<Behaviour, number>>>;
  /** A prompt with the word in it kills this agent's connection. */
  diesOfPoison: boolean;
}

const BEAT_MS = 2_000;

/**
 * A provider's agent, whatever it speaks: dials, registers, beats, serves each job by a behaviour drawn for it, and comes
 * back. Dialects differ in the words (`swan-node.ts`, `stream-node.ts`).
 */
export abstract class SimulatedNode implements Voice {
  readonly profile: NodeProfile;
  protected readonly world: NodeWorld;
  protected readonly chance: Chance;
  protected wire: Wire | undefined;
  protected registered = false;
  /** Jobs under way, by what the dialect calls them. */
  protected readonly jobs = new Map<string, AgentJob>();
  #connection = 0;
  #unacked = 0;
  #requests = 0;
  #failedDials = 0;
  #redial: Timer | undefined;
  beats = true;
  stopped = false;

  constructor(profile: NodeProfile, world: NodeWorld, chance: Chance) {
    this.profile = profile;
    this.world = world;
    this.chance = chance;
    const spread = chance.ms(0, BEAT_MS);
    world.clock.after(spread, () => world.clock.every(BEAT_MS, () => this.#beat()));
  }

  abstract readonly confirmsCancel: boolean;
  protected abstract registration(): Record<string, unknown>;
  /** A message of the hub that is about a job. */
  protected abstract hearJob(type: string, id: string | undefined, payload: Record<string, unknown>): void;
  protected abstract hearBinary(data: Buffer): void;
  /** Does it go on with its jobs on the next connection? */
  protected abstract readonly keepsJobs: boolean;

  get connected(): boolean {
    return this.wire !== undefined;
  }

  /** Counts its connections: what was begun on an earlier one is nobody's on this one. */
  get connection(): number {
    return this.#connection;
  }

  get connectionWire(): Wire | undefined {
    return this.wire;
  }

  /** A word of the hub would be heard on this connection. */
  get hears(): boolean {
    return this.wire !== undefined && this.wire.open && !this.wire.isBlackHole;
  }

  start(): void {
    this.stopped = false;
    this.#dial();
  }

  /** The machine is gone. */
  stop(): void {
    this.stopped = true;
    this.#redial?.cancel();
    this.#forget()?.cut();
    this.jobs.clear();
  }

  /** The network takes the connection, or stops taking what the hub sends for a while. */
  lose(how: 'cut' | 'black-hole' | 'full', forMs = 0): void {
    if (how === 'cut') this.wire?.cut();
    else if (how === 'black-hole') this.wire?.becomeBlackHole();
    else this.wire?.fill(forMs);
  }

  reconnect(): void {
    const wire = this.#forget();
    wire?.hangUp();
    if (!this.stopped) this.#dialAfter(this.chance.ms(1, 30));
  }

  register(): void {
    this.say('register', `reg-${++this.#requests}`, {
      node_id: this.profile.nodeId,
      token: this.profile.secret,
      models: this.profile.models,
      ...this.registration(),
    });
  }

  health(word: string): void {
    if (!this.registered) return;
    this.say('model_health_update', undefined, {
      node_id: this.profile.nodeId,
      provider_id: this.profile.nodeId,
      model_health: Object.fromEntries(this.profile.models.map((model) => [model, word])),
      timestamp: 0,
    });
  }

  protected say(type: string, id: string | undefined, payload: unknown): void {
    this.wire?.say(JSON.stringify(id === undefined ? { type, payload } : { type, request_id: id, payload }));
  }

  /** Takes a job and begins to answer it. */
  protected take(job: AgentJob, prompt: string): void {
    this.jobs.set(job.key, job);
    if (this.profile.diesOfPoison && prompt.includes('poison')) {
      this.world.clock.after(this.chance.ms(0, 5), () => this.wire?.cut());
      return;
    }
    const connection = this.#connection;
    const steps = planFor(job.truth.behaviour as Behaviour, job, this.chance, this.world);
    let at = 0;
    const next = (): void => {
      const step = steps[at];
      if (!step || this.stopped) return;
      this.world.clock.after(step.afterMs, go);
    };
    const go = (): void => {
      const step = steps[at];
      if (!step || this.stopped || (job.truth.cancelHeard && this.stopsOnCancel)) return;
      if (!this.keepsJobs && this.#connection !== connection) return;
      if (step.say(this, job) === false) {
        job.resume = go;
        return;
      }
      at += 1;
      next();
    };
    next();
  }

  /** What it does for the next job. */
  drawBehaviour(): Behaviour {
    return this.chance.weighted(this.profile.behaviours);
  }

  protected abstract readonly stopsOnCancel: boolean;

  #dial(): void {
    if (this.stopped || this.wire) return;
    const wire = this.world.dial(this);
    if (!wire) {
      this.#failedDials = Math.min(this.#failedDials + 1, 5);
      this.#dialAfter(this.chance.ms(20, 100 * 2 ** this.#failedDials));
      return;
    }
    this.#failedDials = 0;
    this.#connection += 1;
    this.#unacked = 0;
    this.wire = wire;
    this.registered = false;
    // An agent goes on with a stream it was sending; what comes out before the registration is of the life before.
    const number = this.#connection;
    this.world.clock.after(this.chance.ms(0.1, 4), () => {
      if (this.#connection === number && this.wire) this.register();
    });
  }

  #dialAfter(delayMs: number): void {
    this.#redial?.cancel();
    this.#redial = this.world.clock.after(delayMs, () => this.#dial());
  }

  /** For the world, which opens the wires. */
  earOf(): { message(data: string | Buffer): void; closed(): void } {
    const number = this.#connection + 1;
    return {
      message: (data) => {
        if (number === this.#connection && this.wire) this.#hear(data);
      },
      closed: () => {
        if (number === this.#connection && this.wire) this.reconnect();
      },
    };
  }

  #forget(): Wire | undefined {
    const { wire } = this;
    this.wire = undefined;
    this.registered = false;
    if (!this.keepsJobs) this.jobs.clear();
    return wire;
  }

  #beat(): void {
    if (!this.wire || this.stopped) return;
    if (this.#unacked >= 3) return this.reconnect();
    this.#unacked += 1;
    if (!this.registered || !this.beats) return;
    this.say('heartbeat', `beat-${++this.#requests}`, {
      node_id: this.profile.nodeId,
      provider_id: this.profile.nodeId,
      timestamp: 1,
      metrics: { active_requests: this.jobs.size },
      models: this.profile.models,
    });
  }

  #hear(data: string | Buffer): void {
    if (typeof data !== 'string') return this.hearBinary(data);
    const message = JSON.parse(data) as {
      type: string;
      request_id?: string;
      payload: Record<string, unknown>;
    };
    if (message.type !== 'ack') return this.hearJob(message.type, message.request_id, message.payload);
    if (message.payload['success'] !== true) return;
    this.#unacked = 0;
    if (this.registered) return;
    this.registered = true;
    this.health('healthy');
  }

  cutLink(): void {
    this.wire?.cut();
  }

  vanish(): void {
    this.reconnect();
  }

  garbage(): void {
    const texts = [
      '',
      '{',
      'null',
      '[]',
      '{"type":5}',
      '{"type":"stream_chunk"}',
      '{"type":"ack","payload":7}',
    ];
    this.wire?.say(this.chance.one(texts));
  }

  abstract role(job: AgentJob): void;
  abstract words(job: AgentJob, count: number): boolean;
  abstract longWord(job: AgentJob, chars: number): void;
  abstract strangeNames(job: AgentJob): void;
  abstract finish(job: AgentJob, reason: string): void;
  abstract usage(job: AgentJob, stated: Stated): void;
  abstract troubleChunk(job: AgentJob): void;
  abstract cutShort(job: AgentJob): void;
  abstract end(job: AgentJob, about: { status?: number; error?: string; stated?: Stated }): void;
  abstract result(job: AgentJob, words: number, stated: Stated | undefined): void;
  abstract foreign(attemptId: string): void;
}
