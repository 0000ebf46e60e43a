import type { Clock, Timer } from '#kit/clock.ts';
import { pause } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import type { Candidate } from '#routing/candidate.ts';
import { type HubCounters, hubCounters } from './counters.ts';
import type { Link } from './link.ts';
import { RESTARTING } from './notices.ts';
import type { KeyFinder, ModelFinder, NodeBinder, ProviderStates, SessionLog, Standings } from './ports.ts';
import { Registry } from './registry.ts';
import { Session, type SessionParts } from './session.ts';
import { DEFAULT_HUB_SETTINGS, type HubSettings } from './settings.ts';
import type { Transport } from './transport.ts';
import { Turnstile } from './turnstile.ts';

const TICK_MS = 1_000;
const DRAIN_LOOK_MS = 50;

/**
 * The agents of this process and who they are, without the sockets: `server.ts` brings those, a simulation brings its
 * own. One coarse timer watches over all sessions.
 */
export class Hub {
  readonly counters: HubCounters = hubCounters();
  readonly registry: Registry;
  readonly settings: HubSettings;
  /** Where agents wait to come in. */
  readonly turnstile: Turnstile;
  readonly #parts: HubParts;
  readonly #sessions = new Set<Session>();
  readonly #watch: Timer;
  readonly #stopWatching: (() => void)[];
  #closing = false;

  constructor(parts: HubParts, settings: Partial<HubSettings> = {}) {
    this.#parts = parts;
    this.settings = { ...DEFAULT_HUB_SETTINGS, ...settings };
    this.turnstile = new Turnstile(parts.clock, this.settings.handshakesPerTurn);
    this.registry = new Registry({
      nowMs: () => parts.clock.nowMs(),
      providers: parts.providers,
      standings: parts.standings,
      ...this.settings,
    });
    this.#watch = parts.clock.every(TICK_MS, () => this.#tick());
    this.#stopWatching = [parts.providers.watch((provider) => this.registry.providerChanged(provider.id))];
    const { standings } = parts;
    if (standings)
      this.#stopWatching.push(standings.watch((nodeId) => this.registry.standingChanged(nodeId)));
  }

  /** Everybody who lists the model. */
  candidates(modelId: string): Candidate[] {
    return this.registry.candidates(modelId);
  }

  linkOf(candidate: Candidate): Link | undefined {
    return this.registry.linkOf(candidate);
  }

  /** Connected sockets, registered or not. */
  get links(): number {
    return this.#sessions.size;
  }

  /** No more agents are wanted: the hub is closing. */
  get closing(): boolean {
    return this.#closing;
  }

  /** From now on no agents are taken in. Those that are here are told, and go on working. */
  refuseNewLinks(): void {
    if (this.#closing) return;
    this.#closing = true;
    for (const session of this.#sessions) session.notify(RESTARTING);
  }

  /** Begins a session on a socket. `heard` learns of its registration and its end. */
  attach(transport: Transport, heard: SessionListener = {}): Session {
    const parts: SessionParts = {
      ...this.#parts,
      settings: this.settings,
      counters: this.counters,
      registry: this.registry,
      turnstile: this.turnstile,
      onRegistered: (session) => heard.registered?.(session),
      onClosed: (session) => {
        this.#sessions.delete(session);
        heard.closed?.(session);
      },
    };
    const session = new Session(this.#parts.ids('link'), transport, parts);
    this.#sessions.add(session);
    return session;
  }

  /** A key was revoked: whoever registered with it is not here any more. Answers how many that were. */
  endSessionsOfKey(keyId: string): number {
    const theirs = [...this.registry.present()].filter((presence) => presence.keyId === keyId);
    for (const presence of theirs) presence.evict('key-revoked');
    return theirs.length;
  }

  /**
   * Closes in phases: no new agents and no new work, then up to `graceMs` for what is under way, then goodbye (1001: the
   * agents dial again, with back-off). Attempts that are still running end as lost.
   */
  async close(graceMs = 0): Promise<void> {
    this.refuseNewLinks();
    for (const presence of this.registry.present()) this.registry.drain(presence, true);
    const untilMs = this.#parts.clock.nowMs() + graceMs;
    while (this.registry.inFlight > 0 && this.#parts.clock.nowMs() < untilMs) {
      await pause(this.#parts.clock, DRAIN_LOOK_MS);
    }
    this.#watch.cancel();
    for (const stop of this.#stopWatching) stop();
    for (const session of this.#sessions) session.close(1001, 'restarting');
  }

  #tick(): void {
    const nowMs = this.#parts.clock.nowMs();
    for (const session of this.#sessions) session.tick(nowMs);
    for (const presence of this.registry.present()) {
      // Revocation is announced by `endSessionsOfKey`; this is for the day the announcement is lost.
      if (presence.keyId !== null && this.#parts.isRevoked?.(presence.keyId)) presence.evict('key-revoked');
    }
  }
}

export interface SessionListener {
  registered?(session: Session): void;
  closed?(session: Session): void;
}

export interface HubParts {
  readonly clock: Clock;
  readonly random: Randomness;
  readonly ids: IdMaker;
  readonly log: Logger;
  readonly keys: KeyFinder;
  readonly providers: ProviderStates;
  readonly nodes: NodeBinder;
  readonly models: ModelFinder;
  /** Undefined: nobody writes sessions down. */
  readonly sessions?: SessionLog | undefined;
  /** What else a node must meet to be routed to; undefined where nothing else is asked. */
  readonly standings?: Standings | undefined;
  /** Is this key revoked? Asked about once a second for every registered session, so it answers from memory. */
  readonly isRevoked?: (keyId: string) => boolean;
}
