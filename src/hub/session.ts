import type { Provider } from '#domain/party.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { SEVERAL_LINKS, STREAM_EXTENSION } from '#wire/agent/frames.ts';
import {
  type Envelope,
  encodeMessage,
  heartbeatSchema,
  modelHealthUpdateSchema,
  parseEnvelope,
  type RegisterRead,
  registerSchema,
} from '#wire/agent/messages.ts';
import { FIRST_ISSUE } from '#wire/first-issue.ts';
import { networkOf } from './admission.ts';
import { Allowance } from './allowance.ts';
import type { HubCounters } from './counters.ts';
import { type Declaration, readDeclaration } from './declaration.ts';
import {
  linkFlooded,
  messageFailed,
  providerConnected,
  providerDisconnected,
  registrationRefused,
} from './events.ts';
import type { Occupancy } from './link-attempt.ts';
import { type Notice, noticeOfChange, noticesOfRegistration } from './notices.ts';
import type { KeyFinder, ModelFinder, NodeBinder, SessionLog } from './ports.ts';
import { Presence, type Registry } from './registry.ts';
import type { HubSettings } from './settings.ts';
import { StreamLink } from './stream-link.ts';
import { type Ownership, SwanLink } from './swan-link.ts';
import type { Transport } from './transport.ts';
import type { Turnstile } from './turnstile.ts';
import { WARM_UP_ID, WarmUpDesk } from './warm-up-desk.ts';

/**
 * One agent's life, from its socket to its last frame.
 *
 *     awaiting-register ── register ──▶ registering ── bound ──▶ registered ── drain ──▶ draining
 *            ▲                              │                        │                      │
 *            └────────── refused ───────────┘                        └───────┬──────────────┘
 *            └────────── key revoked ◀───────────────────────────────────────┤
 *                                                                            ▼
 *                                 closed  ◀── socket closed, silent too long, flooded, replaced
 *
 * - An agent proves who it is by the key in its `register`, and by nothing else; its node id belongs to the provider
 *   that first used it. The question to whom is the one thing that may wait for a database, and where many come at once
 *   each waits for its turn (`turnstile.ts`): until it is answered, what the agent sends is kept, up to a bound.
 * - A refused agent is not cut off. Generation A, closed right after a refusal, dials 431 times in two seconds and then
 *   never again (Swan contract 1.6, danger 1). It keeps its socket, unregistered, for 30 to 60 seconds.
 * - A session acts on nothing before the registration. Frames of attempts that arrive then are of an earlier connection
 *   of the same agent: that is how it behaves, no attack; they are counted and dropped.
 * - Alive means heartbeats. A socket that stays open without them is closed, and whatever it was serving goes elsewhere.
 * - Nothing an agent sends can hurt anyone but itself: what is malformed is counted, what is too much closes this link
 *   and no other, and a bug met while reading a message is logged and survived.
 */
export class Session {
  readonly id: string;
  readonly #parts: SessionParts;
  readonly #transport: Transport;
  #state: SessionState = 'awaiting-register';
  /** When this socket is closed unless something happens: the deadline to register, or the last heartbeat's. */
  #deadlineMs: number;
  readonly #openedMs: number;
  #closing: string | undefined;
  #registerTries = 0;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #presence: Presence | undefined;
  #link: SwanLink | StreamLink | undefined;
  #declaration: Declaration | undefined;
  /** Whether an answer to an old look-up still matters. */
  #lookUp = 0;
  /** An unknown key is looked for once in the life of a connection. */
  #sought = false;
  readonly #control: Allowance;
  readonly #garbage: Allowance;
  readonly #strays: Allowance;
  readonly #notices: Allowance;
  readonly #warmUps: WarmUpDesk;

  constructor(id: string, transport: Transport, parts: SessionParts) {
    this.id = id;
    this.#parts = parts;
    this.#transport = transport;
    this.#openedMs = parts.clock.nowMs();
    this.#deadlineMs = this.#openedMs + parts.settings.registerDeadlineMs;
    // An agent that changes its models often may send a few of these in a row; nobody needs hundreds.
    this.#control = new Allowance(parts.clock, { burst: 200, perSecond: 5 });
    this.#garbage = new Allowance(parts.clock, { burst: 200, perSecond: 10 });
    // After a reconnect an agent of the Swan protocol goes on with every stream that it was serving, for minutes.
    this.#strays = new Allowance(parts.clock, { burst: 50_000, perSecond: 5_000 });
    this.#notices = new Allowance(parts.clock, { burst: 10, perSecond: 10 / 3_600 });
    this.#warmUps = new WarmUpDesk({ clock: parts.clock, send: (message) => transport.send(message) });
    transport.listen({
      message: (data, isBinary) => this.#receive(data, isBinary),
      drained: () => {
        if (this.#link instanceof StreamLink) this.#link.drained();
      },
      closed: (code) => this.#closed(code),
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Attempts under way. */
  get inFlight(): number {
    return this.#link?.inFlight ?? 0;
  }

  /** When the session registered; undefined when it is not registered. */
  get registeredAtMs(): number | undefined {
    return this.#presence?.connectedAtMs;
  }

  /** Looks at the deadline. Called about once a second for every session: no session has a timer of its own. */
  tick(nowMs: number): void {
    if (this.#state === 'closed' || this.#state === 'registering' || nowMs < this.#deadlineMs) return;
    if (this.#presence) this.close(1001, NO_HEARTBEAT);
    else this.close(1008, 'not registered');
  }

  /** Tells a registered agent's operator something. Generation A knows no notices; an agent shows twenty an hour. */
  notify(notice: Notice): void {
    if (!this.#presence || this.#declaration?.generation === 'A' || !this.#notices.take()) return;
    this.#say('notice', undefined, { ...notice });
  }

  /** Closes the socket; every attempt ends as lost. */
  close(code: number, why: string): void {
    if (this.#state === 'closed') return;
    this.#closing ??= why;
    this.#transport.close(code, why);
    // What the agent still sends is of no interest, and the attempts need not wait for its goodbye.
    this.#closed(code);
  }

  /** Cuts the socket without ceremony. */
  terminate(): void {
    this.#transport.terminate();
    this.#closed(1006);
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#state === 'closed') return;
    this.#survive(() => {
      if (this.#state === 'registering') this.#keep(data, isBinary);
      else if (isBinary) this.#binary(data);
      else this.#text(data);
    });
  }

  #survive(step: () => void): void {
    try {
      step();
    } catch (error) {
      // A RangeError is what reading very deep JSON ends in: the agent's doing. Anything else is ours.
      if (error instanceof RangeError) return this.#malformed();
      this.#parts.counters.internalErrors += 1;
      messageFailed(this.#parts.log, this.id, error);
    }
  }

  #text(data: Buffer): void {
    const { settings } = this.#parts;
    const swan = this.#link instanceof SwanLink ? this.#link : undefined;
    if (data.length > (swan?.awaitsResult ? settings.messageBytesMax : settings.controlBytesMax)) {
      this.#parts.counters.oversize += 1;
      return this.#flooded(1009, 'a message that is too large');
    }
    if (swan?.takeKnown(data)) return;
    const text = data.toString();
    const message = parseEnvelope(text);
    if (!message) return this.#malformed();
    this.#message(message, text);
  }

  #message(message: Envelope, text: string): void {
    const swan = this.#link instanceof SwanLink ? this.#link : undefined;
    switch (message.type) {
      case 'stream_chunk':
        return this.#settle(swan ? swan.chunk(message, text) : 'foreign');
      case 'stream_end':
        return this.#settle(swan ? swan.streamEnd(message) : 'foreign');
      case 'ack':
        if (message.request_id?.startsWith(WARM_UP_ID))
          return this.#settle(this.#warmUps.take(message.request_id, message));
        return this.#settle(swan ? swan.result(message) : 'foreign');
      case 'error':
        // Agents also complain about messages that are no request of ours; there is nothing to do about those.
        if (swan && message.request_id !== undefined && swan.agentError(message) === 'known') return;
        this.#parts.counters.ignored += 1;
        return this.#spend(this.#garbage, 'errors');
      case 'register':
        this.#spend(this.#control, 'registrations');
        if (this.#presence) return this.#register(message);
        return this.#inTurn(() => this.#register(message));
      case 'heartbeat':
        this.#spend(this.#control, 'heartbeats');
        return this.#heartbeat(message);
      case 'model_health_update':
        this.#spend(this.#control, 'health updates');
        return this.#health(message);
      default:
        this.#parts.counters.ignored += 1;
        return this.#spend(this.#garbage, 'messages of no use');
    }
  }

  #binary(data: Buffer): void {
    const link = this.#link;
    if (!(link instanceof StreamLink)) {
      // Generation A to C send text only; before the registration nobody has frames to send.
      return link ? this.#malformed() : this.#settle('foreign');
    }
    if (data.length > this.#parts.settings.controlBytesMax) {
      this.#parts.counters.oversize += 1;
      return this.#flooded(1009, 'a message that is too large');
    }
    const taken = link.take(data);
    if (taken === 'broken') {
      this.#parts.counters.malformed += 1;
      return this.#flooded(1002, 'a message that is not made of frames');
    }
    for (let i = 0; i < taken.foreign && !this.#isClosed(); i++) this.#settle('foreign');
  }

  #settle(ownership: Ownership): void {
    const { counters } = this.#parts;
    if (ownership === 'known') return;
    if (ownership === 'malformed') return this.#malformed();
    if (ownership === 'late') counters.lateFrames += 1;
    else if (this.#presence) counters.foreignFrames += 1;
    else counters.beforeRegister += 1;
    this.#spend(this.#strays, 'frames of no attempt');
  }

  #malformed(): void {
    this.#parts.counters.malformed += 1;
    this.#spend(this.#garbage, 'messages that cannot be read');
  }

  #spend(allowance: Allowance, what: string): void {
    if (!allowance.take()) this.#flooded(1008, `too many ${what}`);
  }

  #flooded(code: number, why: string): void {
    if (this.#isClosed()) return;
    this.#parts.counters.floods += 1;
    linkFlooded(this.#parts.log, this.id, { address: this.#transport.address, why });
    this.close(code, why);
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  // --- registration ---------------------------------------------------------------------------------------------------

  #register(message: Envelope): void {
    if (this.#isClosed()) return;
    const parsed = registerSchema.safeParse(message.payload, FIRST_ISSUE);
    if (!parsed.success) {
      this.#malformed();
      return this.#refuse(message, {
        code: 400,
        why: 'unreadable',
        said: 'The registration could not be read.',
      });
    }
    const register = parsed.data;
    const key = this.#parts.keys.find(register.token ?? '');
    if (key === 'unknown' && !this.#sought) return this.#seekKey(message, register.token ?? '');
    if (key === 'malformed' || key === 'unknown') {
      return this.#refuse(message, { code: 401, why: `key ${key}`, said: 'This provider key is not known.' });
    }
    if (key === 'revoked') {
      return this.#refuse(message, { code: 401, why: 'key revoked', said: 'This provider key was revoked.' });
    }
    if (key === 'expired') {
      return this.#refuse(message, { code: 401, why: 'key expired', said: 'This provider key has expired.' });
    }
    if (key === 'suspended' || key.kind !== 'provider') {
      return this.#refuse(message, {
        code: 403,
        why: 'key of a consumer',
        said: 'This is a consumer key. An agent needs a provider key (sk-prov-…).',
      });
    }
    if (this.#parts.registry.providerState(key.ownerId) === 'removed') {
      return this.#refuse(message, {
        code: 403,
        why: 'provider removed',
        said: 'This provider was removed.',
      });
    }
    if (!NODE_ID.test(register.node_id)) {
      return this.#refuse(message, { code: 400, why: 'node id', said: 'The node id is not one.' });
    }
    const who: Who = { nodeId: register.node_id, providerId: key.ownerId, keyId: key.id };
    const presence = this.#presence;
    if (!presence) return this.#lookUpNode(message, register, who);
    if (presence.nodeId !== who.nodeId || presence.providerId !== who.providerId) {
      // What was registered stays; who an agent is cannot change on a connection.
      this.#say('error', undefined, { code: 409, message: 'Another node is registered on this connection.' });
      this.#say('ack', message.request_id, { success: false, message: 'Another node is registered here.' });
      return;
    }
    this.#accept(message, presence, readDeclaration(register, this.#parts.models, this.#parts.settings));
  }

  /** Looks once for a key that is not known here: it may be younger than the last news. */
  #seekKey(message: Envelope, secret: string): void {
    this.#sought = true;
    this.#lookUpFor(this.#parts.keys.seek(secret), (answer) => {
      if (answer === 'unanswered') this.#refuseForNow(message);
      else this.#register(message);
    });
  }

  /** Asks whose node it is. */
  #lookUpNode(message: Envelope, register: RegisterRead, who: Who): void {
    const about = { name: register.node_name ?? null, hardware: register.hardware ?? null };
    const bound = this.#parts.nodes.bind(who.nodeId, who.providerId, who.keyId, about);
    this.#lookUpFor(bound, (answer) => {
      if (answer === 'bound') this.#enter(message, register, who);
      else if (answer === 'foreign') {
        this.#refuse(message, {
          code: 403,
          why: 'node of another provider',
          said: 'This node is registered under another provider.',
        });
      } else this.#refuseForNow(message);
    });
  }

  /** Waits for what the store answers, for so long and no longer. What the agent sends meanwhile waits too. */
  #lookUpFor<Answer>(asked: Promise<Answer>, then: (answer: Answer | 'unanswered') => void): void {
    const { clock, settings } = this.#parts;
    this.#state = 'registering';
    const lookUp = ++this.#lookUp;
    const answered = (answer: Answer | 'unanswered'): void => {
      if (lookUp !== this.#lookUp || this.#state !== 'registering') return;
      timeout.cancel();
      this.#inTurn(() => then(answer));
    };
    const timeout = clock.after(settings.bindTimeoutMs, () => answered('unanswered'));
    asked.then(answered, () => answered('unanswered'));
  }

  /** Takes a step of the registration when it is this agent's turn. What it sends meanwhile waits too. */
  #inTurn(step: () => void): void {
    if (this.#isClosed()) return;
    this.#state = 'registering';
    const lookUp = ++this.#lookUp;
    this.#parts.turnstile.pass(networkOf(this.#transport.address), () => {
      if (lookUp !== this.#lookUp || this.#state !== 'registering') return;
      this.#lookUp += 1;
      this.#state = 'awaiting-register';
      this.#survive(step);
      this.#replay();
    });
  }

  /** The store is away. Nothing is wrong with the agent, which may try again soon. */
  #refuseForNow(message: Envelope): void {
    this.#refuse(message, {
      code: NOT_NOW,
      why: 'look-up failed',
      said: 'Registration is not possible right now.',
    });
  }

  #enter(message: Envelope, register: RegisterRead, who: Who): void {
    const { clock, registry, counters } = this.#parts;
    // The key may have been revoked while the look-up ran; nobody would tell us again.
    const key = this.#parts.keys.find(register.token ?? '');
    if (typeof key === 'string' || key.id !== who.keyId) {
      return this.#refuse(message, { code: 401, why: 'key revoked', said: 'This provider key was revoked.' });
    }
    const before = registry.presenceOf(who.nodeId);
    if (before) {
      counters.replaced += 1;
      before.evict('replaced');
    }
    this.#transport.trust();
    const declaration = readDeclaration(register, this.#parts.models, this.#parts.settings);
    const standing = (provider: Provider | undefined) => `${provider?.state} ${provider?.withheldUntil}`;
    let known = standing(registry.providerOf(who.providerId));
    const presence = new Presence({
      linkId: this.id,
      ...who,
      mode: 'websocket',
      several: register.capabilities.includes(SEVERAL_LINKS),
      connectedAtMs: clock.nowMs(),
      evict: (why) => this.#evict(why),
      warmUp: (modelId) => this.#warmUps.ask(this.#parts.ids(WARM_UP_ID), presence.nameOf(modelId)),
      providerChanged: (provider) => {
        // A new name or ask is no news.
        if (standing(provider) === known) return;
        known = standing(provider);
        const notice = noticeOfChange(provider);
        if (notice) this.notify(notice);
      },
      tell: (notice) => this.notify(notice),
    });
    presence.hardware = register.hardware;
    this.#presence = presence;
    this.#link = this.#openLink(declaration, presence);
    this.#state = 'registered';
    registry.enter(presence, this.#link);
    counters.registered += 1;
    this.#parts.sessions?.began({
      id: this.id,
      linkId: this.id,
      providerId: who.providerId,
      nodeId: who.nodeId,
      mode: 'websocket',
    });
    this.#parts.onRegistered(this);
    this.#accept(message, presence, declaration);
    providerConnected(this.#parts.log, this.#facts(presence), {
      generation: declaration.generation,
      dialect: declaration.dialect,
      models: declaration.models.length,
      refusedModels: declaration.refused.length,
    });
  }

  #openLink(declaration: Declaration, presence: Presence): SwanLink | StreamLink {
    const { clock, counters, settings, registry } = this.#parts;
    const occupancy: Occupancy = {
      began: (modelId) => registry.began(presence, modelId),
      ended: (modelId) => registry.ended(presence, modelId),
      buffered: (delta) => registry.buffered(presence, delta),
      missing: (modelId) => registry.missing(presence, modelId),
    };
    const parts = { id: this.id, transport: this.#transport, clock, counters, settings, occupancy };
    if (declaration.dialect === 'stream') {
      const { random } = this.#parts;
      return new StreamLink({ ...parts, random, onDrain: () => this.#drain() });
    }
    return new SwanLink({
      ...parts,
      node: {
        generation: () => this.#declaration?.generation ?? 'A',
        requestBytesMax: () => this.#declaration?.requestBytesMax ?? settings.requestBytesMaxOld,
        nameOf: (modelId) => presence.nameOf(modelId),
      },
    });
  }

  /** Takes over what a registration lists, in place of whatever was listed before, and says so. */
  #accept(message: Envelope, presence: Presence, declaration: Declaration): void {
    const { registry, settings } = this.#parts;
    this.#declaration = declaration;
    registry.serve(presence, declaration.models, declaration);
    this.#beat();
    const ack: Record<string, unknown> = {
      success: true,
      message: acceptance(declaration),
      registered_models: declaration.models.map((model) => model.name),
    };
    if (this.#link instanceof StreamLink) {
      ack['extensions'] = [STREAM_EXTENSION];
      ack['max_frame'] = settings.controlBytesMax;
      ack['heartbeat_s'] = settings.heartbeatS;
    }
    this.#say('ack', message.request_id, ack);
    const provider = registry.providerOf(presence.providerId);
    for (const notice of noticesOfRegistration(declaration, provider, registry.against(presence)))
      this.notify(notice);
  }

  #refuse(message: Envelope, about: { code: number; why: string; said: string }): void {
    const { counters, settings, random, clock, log } = this.#parts;
    counters.registrationsRefused += 1;
    registrationRefused(log, this.id, { address: this.#transport.address, why: about.why });
    this.#say('error', message.request_id, { code: about.code, message: about.said });
    this.#say('ack', message.request_id, { success: false, message: about.said });
    if (this.#presence) return;
    this.#registerTries += 1;
    // The first refusal sets the day of parting; further ones do not put it off.
    if (this.#registerTries > 1) return;
    const { refusedCloseAfterMsMin: min, refusedCloseAfterMsMax: max } = settings;
    this.#deadlineMs = clock.nowMs() + min + random.float() * (max - min);
  }

  /** Keeps a message until the look-up is answered. */
  #keep(data: Buffer, isBinary: boolean): void {
    const { settings } = this.#parts;
    this.#queuedBytes += data.length;
    if (this.#queue.length >= settings.queuedMessagesMax || this.#queuedBytes > settings.anonymousBytesMax) {
      return this.#flooded(1008, 'too much before the registration was answered');
    }
    this.#queue.push({ data, isBinary });
  }

  #replay(): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const { data, isBinary } of queue) this.#receive(data, isBinary);
  }

  /** Somebody else decides that this node is not here any more. */
  #evict(why: 'replaced' | 'key-revoked'): void {
    if (why === 'replaced') return this.close(1008, 'a newer connection of this node took over');
    // The same care as with any refusal: the socket stays for a while, unregistered.
    this.#depart(1008, 'key revoked');
    this.#state = 'awaiting-register';
    this.#registerTries = 0;
    this.#refuse(
      { type: 'register', payload: {} },
      {
        code: 401,
        why: 'key revoked',
        said: 'This provider key was revoked.',
      },
    );
  }

  // --- while registered -----------------------------------------------------------------------------------------------

  #heartbeat(message: Envelope): void {
    const presence = this.#presence;
    if (!presence) {
      // Not acknowledged: any success would make the agent believe that it is registered.
      this.#parts.counters.beforeRegister += 1;
      return;
    }
    const parsed = heartbeatSchema.safeParse(message.payload, FIRST_ISSUE);
    if (!parsed.success) return this.#malformed();
    const { registry } = this.#parts;
    this.#beat();
    this.#say('ack', message.request_id, { success: true, message: 'ok' });
    registry.ready(presence, new Set(parsed.data.models));
    if (parsed.data.model_health) registry.health(presence, parsed.data.model_health);
    measure(presence.reported, parsed.data.metrics ?? {});
  }

  #health(message: Envelope): void {
    const presence = this.#presence;
    if (!presence) {
      this.#parts.counters.beforeRegister += 1;
      return;
    }
    const parsed = modelHealthUpdateSchema.safeParse(message.payload, FIRST_ISSUE);
    if (!parsed.success) return this.#malformed();
    this.#parts.registry.health(presence, parsed.data.model_health);
  }

  #beat(): void {
    const nowMs = this.#parts.clock.nowMs();
    this.#deadlineMs = nowMs + this.#parts.settings.heartbeatTimeoutMs;
    if (this.#presence) this.#presence.heardAtMs = nowMs;
  }

  #drain(): void {
    if (!this.#presence || this.#state !== 'registered') return;
    this.#state = 'draining';
    this.#parts.registry.drain(this.#presence, true);
  }

  // --- the end --------------------------------------------------------------------------------------------------------

  #closed(code: number): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#queue = [];
    this.#lookUp += 1;
    this.#depart(code, this.#closing ?? 'the socket closed');
    this.#parts.onClosed(this);
  }

  /** Leaves the registry; every attempt ends as lost. */
  #depart(code: number, why: string): void {
    const presence = this.#presence;
    const link = this.#link;
    if (!presence || !link) return;
    // First out of the registry, so that nobody who hears of a lost attempt chooses this link again.
    this.#parts.registry.leave(presence);
    const attemptsLost = link.lost();
    this.#warmUps.lost();
    this.#presence = undefined;
    this.#link = undefined;
    const heardAgoMs = why === NO_HEARTBEAT ? this.#parts.clock.nowMs() - presence.heardAtMs : 0;
    this.#parts.sessions?.ended(this.id, { why, attemptsLost, heardAgoMs });
    providerDisconnected(this.#parts.log, this.#facts(presence), {
      code,
      why,
      attemptsLost,
      connectedMs: Math.round(this.#parts.clock.nowMs() - presence.connectedAtMs),
    });
  }

  #facts(presence: Presence): { linkId: string; nodeId: string; providerId: string } {
    return { linkId: this.id, nodeId: presence.nodeId.slice(0, 20), providerId: presence.providerId };
  }

  #say(type: string, request: string | undefined, payload: Record<string, unknown>): void {
    this.#transport.send(
      encodeMessage(type, request, request === undefined ? payload : { request_id: request, ...payload }),
    );
  }
}

export type SessionState = 'awaiting-register' | 'registering' | 'registered' | 'draining' | 'closed';

/** What a session is given. */
export interface SessionParts {
  readonly clock: Clock;
  readonly random: Randomness;
  readonly log: Logger;
  readonly ids: IdMaker;
  readonly settings: HubSettings;
  readonly counters: HubCounters;
  readonly registry: Registry;
  readonly turnstile: Turnstile;
  readonly keys: KeyFinder;
  readonly nodes: NodeBinder;
  readonly models: ModelFinder;
  readonly sessions?: SessionLog | undefined;
  readonly onRegistered: (session: Session) => void;
  readonly onClosed: (session: Session) => void;
}

interface Who {
  readonly nodeId: string;
  readonly providerId: string;
  readonly keyId: string;
}

interface Queued {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

const NO_HEARTBEAT = 'no heartbeat';
/** The code of a refusal that says nothing about the agent (an HTTP status, as all codes of refusals are). */
const NOT_NOW = 503;

/** Swan's are 130 hex characters; ours and a stranger's may be another plain word. */
const NODE_ID = /^[A-Za-z0-9._:-]{1,200}$/;

/** The load figures of Swan contract 1.4 that are kept; those of single GPUs are not. */
const METRICS = [
  'gpu_utilization',
  'memory_utilization',
  'active_requests',
  'total_requests',
  'requests_per_minute',
  'avg_latency_ms',
  'tokens_per_second',
];

function measure(into: Map<string, number>, metrics: Readonly<Record<string, number>>): void {
  for (const name of METRICS) {
    const value = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
    if (value !== undefined && Number.isFinite(value)) into.set(name, value);
  }
}

const REASONS_SHOWN_MAX = 5;

/** What a provider reads in its log after registering. Names are its own, shortened. */
function acceptance(declaration: Declaration): string {
  const { models, refused } = declaration;
  if (refused.length === 0) return `Registered with ${models.length} models.`;
  const reasons = refused
    .slice(0, REASONS_SHOWN_MAX)
    .map(({ name, reason }) => `${name.slice(0, 80)}: ${reason}`);
  const more = refused.length > REASONS_SHOWN_MAX ? `; and ${refused.length - REASONS_SHOWN_MAX} more` : '';
  return `Registered with ${models.length} models. Not accepted: ${reasons.join('; ')}${more}.`;
}
