import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { type Clock, pause } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { SCRIPTS, type ScriptName } from './scripts.ts';

/**
 * The one way to Redis or Valkey, which several gateways share their facts over: runs the scripts, says who else is there,
 * and carries short messages between gateways.
 *
 * Nothing here waits for long. While the store is away every question fails at once, and `away` says so; each room then goes
 * on with what it has. A store that comes back may have forgotten everything: `restarted` tells so before anybody is given
 * anything new, and for a moment (`SETTLING_MS` from its start) nobody is, so that every gateway can say again what it holds.
 * A store can forget without a restart as well (it was emptied, or keys were evicted): then its mark, the epoch, is another.
 * Each beat looks for it, and so does each script that gives something; it counts like a restart.
 */
export class Line {
  readonly instance: string;
  /** How long a sign of life of this process lasts, in ms. */
  readonly signMs: number;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #prefix: string;
  readonly #redis: Redis;
  readonly #ear: Redis;
  readonly #about: () => string;
  readonly #hearers = new Map<string, (text: string) => void>();
  readonly #digests = new Map<ScriptName, string>();
  readonly #restarted = new Set<() => void>();
  #rounds: Rounds | undefined;
  readonly #settlingMs: number;
  #life: string | undefined;
  #epoch: string | undefined;
  /** There was no line yet on which to say again what is held. */
  #owes = false;
  #settledAtMs = 0;
  #members: ReadonlyMap<string, string> = new Map();
  #watchers = new Set<() => void>();
  #ready = false;
  #heardUntilMs = Number.POSITIVE_INFINITY;
  #closed = false;
  #complained = false;

  /** Connects. Throws a `Fault` when the store cannot be reached within ten seconds. */
  static async open(parts: LineParts): Promise<Line> {
    const line = new Line(parts);
    try {
      await line.#connect();
    } catch (error) {
      line.#redis.disconnect();
      line.#ear.disconnect();
      throw error;
    }
    return line;
  }

  private constructor(parts: LineParts) {
    this.instance = parts.instance;
    this.signMs = parts.signMs ?? SIGN_MS;
    this.#settlingMs = parts.settlingMs ?? SETTLING_MS;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#prefix = parts.prefix ?? 'cygnet:';
    this.#about = parts.about ?? (() => '');
    const common = {
      lazyConnect: true,
      connectTimeout: 2_000,
      // A line that was cut without a word must be found out about while requests wait. Then it is given up, too: whatever
      // was sent on it would be repeated ever more rarely, and those who ask meanwhile would wait in vain each time.
      commandTimeout: 1_000,
      socketTimeout: 2_000,
      keepAlive: 10_000,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (times: number) => Math.min(250, 20 * times),
    };
    this.#redis = new Redis(parts.url, { ...common, enableAutoPipelining: true });
    this.#ear = new Redis(parts.url, { ...common, commandTimeout: 5_000, socketTimeout: 6_000 });
    for (const redis of [this.#redis, this.#ear]) redis.on('error', (error) => this.#complain(error));
    this.#redis.on('ready', () => {
      this.#greet().catch((error: unknown) => {
        this.#complain(error);
        // Nobody was heard in time: a process that stood still, or a busy machine. Without a greeting the store counts as
        // away, and only a new line is greeted.
        if (!this.#closed && this.#redis.status === 'ready') this.#redis.disconnect(true);
      });
    });
    this.#redis.on('close', () => {
      this.#ready = false;
    });
    this.#ear.on('message', (channel: string, text: string) => this.#hearers.get(channel)?.(text));
  }

  /** Whether the store cannot be asked now. */
  get away(): boolean {
    return !this.#ready;
  }

  /** Whether the last sign of life has run out: the others may take this process for dead. */
  get forgotten(): boolean {
    return this.#clock.nowMs() > this.#heardUntilMs;
  }

  /** The mark of the store as this process knows it: its memory since then is whole. */
  get epoch(): string {
    return this.#epoch ?? '';
  }

  /** When the store may give anybody something new: a moment after its own start. Monotonic. */
  get settledAtMs(): number {
    return this.#settledAtMs;
  }

  /** Everybody who was there at the last look, this process among them, with what each says of itself. */
  get members(): ReadonlyMap<string, string> {
    return this.#members;
  }

  /** How many gateways there are, and the place of this one among them. At least one. */
  get place(): { readonly of: number; readonly index: number } {
    const ids = [...new Set([...this.#members.keys(), this.instance])].toSorted();
    return { of: ids.length, index: ids.indexOf(this.instance) };
  }

  /** The whole name of a key. */
  key(name: string): string {
    return this.#prefix + name;
  }

  /** Runs a script. Rejects with `Fault('shared-store-away')` when the store does not answer. */
  async run<T>(script: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<T> {
    if (this.#closed || this.#redis.status !== 'ready') throw new Fault(AWAY, { inner: 'no line to Redis' });
    const all = keys.map((name) => this.key(name));
    try {
      const digest = this.#digests.get(script);
      if (digest !== undefined) {
        try {
          return (await this.#redis.evalsha(digest, all.length, ...all, ...args)) as T;
        } catch (error) {
          if (!String(error).includes('NOSCRIPT')) throw error;
        }
      }
      const answer = await this.#redis.eval(SCRIPTS[script], all.length, ...all, ...args);
      this.#digests.set(script, createHash('sha1').update(SCRIPTS[script]).digest('hex'));
      return answer as T;
    } catch (error) {
      throw new Fault(AWAY, { inner: `Redis did not do what it was asked (${script}).`, cause: error });
    }
  }

  /** Tells every gateway that listens, this one too. A message is lost to whoever is away: nothing may rest on one. */
  tell(channel: string, text: string): void {
    if (this.away) return;
    this.#redis.publish(this.key(channel), text).catch((error: unknown) => this.#complain(error));
  }

  /** Hears a channel for as long as the line is open. */
  async hear(channel: string, heard: (text: string) => void): Promise<void> {
    const name = this.key(channel);
    this.#hearers.set(name, heard);
    // Subscribed anew by the client after each reconnect.
    await this.#ear.subscribe(name);
  }

  /** `run` comes when the store may have forgotten what it was told, or took this process for dead for a while. */
  onRestart(run: () => void): void {
    this.#restarted.add(run);
  }

  /** `run` comes when somebody came or went, or says something else of itself. */
  onMembers(run: () => void): void {
    this.#watchers.add(run);
  }

  /** Says now what this process says of itself, and looks who is there. */
  async beat(): Promise<void> {
    const sentMs = this.#clock.nowMs();
    const answer = await this.run<string[]>(
      'beat',
      ['members', 'about', `alive:${this.instance}`, 'epoch'],
      [this.instance, this.#about(), this.signMs, `${this.instance}:${this.#clock.wallMs()}`],
    );
    const forgot = this.#note(answer[0] as string, Number(answer[1]));
    const late = this.forgotten;
    this.#heardUntilMs = sentMs + this.signMs;
    const found = new Map<string, string>();
    for (let i = 2; i + 1 < answer.length; i += 2) found.set(answer[i] as string, answer[i + 1] as string);
    const before = this.#members;
    this.#members = found;
    const same = before.size === found.size && [...found].every(([id, about]) => before.get(id) === about);
    if (!same) for (const run of this.#watchers) run();
    if (late || forgot) {
      if (this.#ready) for (const run of this.#restarted) run();
      else this.#owes = true;
    }
  }

  /** Looks at the mark of the store; true when it has forgotten what this process told it. */
  #note(epoch: string, storeMs: number): boolean {
    if (epoch === this.#epoch) return false;
    const known = this.#epoch !== undefined;
    this.#epoch = epoch;
    const ageMs = storeMs - Number(epoch.slice(epoch.lastIndexOf(' ') + 1));
    const nowMs = this.#clock.nowMs();
    this.#settledAtMs = Math.max(this.#settledAtMs, nowMs + Math.max(0, this.#settlingMs - ageMs));
    if (!known) return false;
    this.#log.warn('Redis has lost its keys without a restart; what this gateway holds is told to it again.');
    this.tell('epoch', epoch);
    return true;
  }

  /** Leaves: the others need not wait until the last sign of life has run out. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#rounds?.close();
    this.#closed = false;
    if (!this.away)
      await this.run('leave', ['members', 'about', `alive:${this.instance}`], [this.instance]).catch(
        () => undefined,
      );
    this.#closed = true;
    this.#redis.disconnect();
    this.#ear.disconnect();
  }

  async #connect(): Promise<void> {
    const untilMs = this.#clock.nowMs() + OPEN_WITHIN_MS;
    const start = (redis: Redis): void => {
      redis.connect().catch(() => undefined);
    };
    start(this.#redis);
    start(this.#ear);
    while (!this.#ready || this.#ear.status !== 'ready') {
      if (this.#clock.nowMs() > untilMs)
        throw new Fault(AWAY, {
          inner: 'Redis (CYGNET_REDIS_URL) could not be reached within ten seconds.',
        });
      await pause(this.#clock, 20);
    }
    // Whoever notices first tells the others; who does not hear it, finds out with its next beat.
    await this.hear('epoch', (epoch) => {
      if (epoch !== this.#epoch && !this.away) this.beat().catch((error: unknown) => this.#complain(error));
    });
    this.#rounds = new Rounds(this.#clock, {
      periodMs: this.signMs / 5,
      work: async () => {
        // An ear hears nothing of its own end.
        if (this.#ear.status === 'ready') this.#ear.ping().catch((error: unknown) => this.#complain(error));
        if (!this.away) await this.beat();
      },
      failed: (error) => this.#complain(error),
    });
  }

  /** A connection is there: is it still the store that we knew? */
  async #greet(): Promise<void> {
    const about = await this.#redis.info('server');
    const life = /run_id:(\w+)/.exec(about)?.[1];
    const upS = Number(/uptime_in_seconds:(\d+)/.exec(about)?.[1] ?? 0);
    await this.beat();
    this.#ready = true;
    if (this.#owes) {
      this.#owes = false;
      for (const run of this.#restarted) run();
    }
    const anew = life !== this.#life;
    if (anew) {
      const known = this.#life !== undefined;
      this.#life = life;
      const settledAtMs = this.#clock.nowMs() + Math.max(0, this.#settlingMs - upS * 1_000);
      this.#settledAtMs = Math.max(this.#settledAtMs, settledAtMs);
      if (known) {
        this.#log.warn('Redis was started anew; what this gateway holds is told to it again.');
        for (const run of this.#restarted) run();
      }
    }
    if (this.#complained) this.#log.info('Redis is back.');
    this.#complained = false;
    if (anew) await this.#checkPolicy();
  }

  /** A store that drops keys when its memory is full forgets what gateways hold, one pot at a time. */
  async #checkPolicy(): Promise<void> {
    const policy = /maxmemory_policy:([\w-]+)/.exec(await this.#redis.info('memory'))?.[1];
    if (policy !== undefined && policy !== 'noeviction')
      this.#log.warn(
        { policy },
        'Redis may drop keys when its memory is full: set maxmemory-policy noeviction.',
      );
  }

  #complain(error: unknown): void {
    if (this.#complained || this.#closed) return;
    this.#complained = true;
    this.#log.warn(
      { err: error },
      'Redis does not answer: this gateway goes on with its share of every limit.',
    );
  }
}

export interface LineParts {
  /** `redis://host:port/db`, `rediss://` for TLS. */
  readonly url: string;
  /** Names this process over its lives. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly prefix?: string;
  readonly signMs?: number;
  /** For how long a store that may have forgotten something gives nothing new, in ms. */
  readonly settlingMs?: number;
  /** What the others are told of this process. */
  readonly about?: () => string;
}

/** The store could not be asked. Never reaches a caller: each room says what that means. */
export const AWAY = 'shared-store-away';

const SIGN_MS = 10_000;
const OPEN_WITHIN_MS = 10_000;
/** A store that has just started, or lost its keys, gives nothing new until everybody had time to come back to it: a beat and more. */
const SETTLING_MS = 3_000;
