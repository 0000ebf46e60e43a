import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { WebSocket } from 'ws';
import type { Clock, Timer } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import type { Sealed } from '#kit/sealed.ts';
import { SEVERAL_LINKS, STREAM_EXTENSION } from '#wire/agent/frames.ts';
import {
  type AckRead,
  ackSchema,
  type Envelope,
  encodeMessage,
  errorSchema,
  type Hardware,
  type Heartbeat,
  type ModelDeclaration,
  type ModelHash,
  type ModelHealth,
  type ModelHealthUpdate,
  noticeSchema,
  parseEnvelope,
  type Register,
} from '#wire/agent/messages.ts';
import { JsonDialect } from './json-dialect.ts';
import { Outbox } from './outbox.ts';
import type { Desk } from './serve.ts';
import { STREAM_LIMITS, StreamDialect } from './stream-dialect.ts';

/**
 * The agent's line to a hub: it dials, registers, shows that it lives, and comes back after every loss. One line exists at
 * a time; each has its own table of jobs, and everything that belongs to an old one is dropped with it.
 *
 *     dialling ──open──▶ registering ──ack──▶ registered ──▶ … lost ──back-off──▶ dialling
 *         └──failed──▶ back-off               ├─nack─▶ refused ──slowly──▶ dialling
 *                                             └─not now─▶ back-off
 *
 * A hub that only knows the Swan protocol is spoken to in it. One whose ack of our register names `cygnet.stream.v1` in
 * `extensions` may also use the binary frames from then on.
 */

const HANDSHAKE_MS_MAX = 10_000;
const PING_EVERY_MS = 15_000;
/** Without a sign of life for this long the line is dead. */
const SILENCE_MS_MAX = 45_000;
const REGISTER_MS_MAX = 30_000;
const HEARTBEAT_S = 30;
const HEARTBEAT_S_MIN = 5;
const HEARTBEATS_UNANSWERED_MAX = 3;
const RETRY_MS_MAX = 30_000;
/** A line that held for this long was a good one: the next loss is answered by dialling at once. */
const GOOD_LINE_MS = 10_000;
const REFUSED_RETRY_MS = 60_000;
const REFUSED_RETRY_MS_MAX = 600_000;
const MESSAGE_BYTES_MAX = 64 * 1_048_576;
/** Backends pause while this much waits in the socket … */
const CONGESTED_BYTES = 4 * 1_048_576;
/** … and a line on which so much waits is given up: only what may not pause (answers, heartbeats) gets past the mark above. */
const STUCK_BYTES = 256 * 1_048_576;
const FAREWELL_MS = 2_000;
const MASK_BYTES = 4;
const MASK_POOL_BYTES = 4_096;

export interface ConnectionSettings {
  /** With or without `/ws` at its end. */
  readonly hubUrl: string;
  readonly key: Sealed<string>;
  /** What secures the line, as of now. Throws when it cannot be read. */
  readonly tls: () => SecureContextOptions;
  readonly nodeId: string;
  readonly nodeName: string | undefined;
  readonly version: string;
  readonly hardware: Hardware | undefined;
  /** This node is connected to several hubs at once. */
  readonly several?: boolean;
}

/** What the connection asks the rest of the agent. */
export interface ConnectionParts {
  readonly desk: Desk;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly ids: IdMaker;
  readonly log: Logger;
  /** The models that may be sent work now, what is known of them, and the health of all. */
  readonly readyModels: () => string[];
  readonly modelHealth: () => Record<string, ModelHealth>;
  readonly declarations: (models: readonly string[]) => {
    hashes: ModelHash[];
    declarations: ModelDeclaration[];
  };
  readonly metrics: () => Record<string, number>;
  /** The hub accepted a registration; called for every one. */
  readonly registered?: (ack: { extension: boolean; models: string[] | undefined }) => void;
  /** The hub refused our key. */
  readonly refused?: (message: string) => void;
}

/** The address that is dialled for a configured one. Throws on anything that is no WebSocket address. */
export function socketUrl(configured: string): string {
  const url = new URL(configured);
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    throw new Error(`${configured} is no ws:// or wss:// address.`);
  const bare = url.pathname.replace(/\/+$/, '');
  url.pathname = bare.endsWith('/ws') ? bare : `${bare}/ws`;
  return url.href;
}

/** Whether bytes to this address can only be seen by its two ends: TLS, or this very machine. */
export function isPrivateLine(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'wss:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

export class Connection {
  readonly #settings: ConnectionSettings;
  readonly #parts: ConnectionParts;
  readonly #url: string;
  #line: Line | undefined;
  #retry: Timer | undefined;
  #failures = 0;
  #refusals = 0;
  #leaving = false;

  constructor(settings: ConnectionSettings, parts: ConnectionParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#url = socketUrl(settings.hubUrl);
  }

  /** Dials, and keeps the line for as long as the agent lives. */
  open(): void {
    if (this.#leaving) return;
    this.#retry = undefined;
    this.#line = new Line(this.#url, this.#settings, this.#parts, (outcome) => this.#lost(outcome));
  }

  /** What is offered has changed: the hub is told of the health, and of models or declarations by a new registration. */
  modelsChanged(): void {
    this.#line?.modelsChanged();
  }

  /** True while the hub has us registered. */
  get registered(): boolean {
    return this.#line?.state === 'registered';
  }

  /** No new work, please; what is under way goes on. */
  drain(): void {
    this.#leaving = true;
    this.#retry?.cancel();
    this.#line?.drain();
  }

  /** Says what is left to say and hangs up. Resolves when the line is closed, two seconds later at the latest. */
  async close(): Promise<void> {
    this.#leaving = true;
    this.#retry?.cancel();
    await this.#line?.farewell();
  }

  #lost(outcome: { was: LineState; heldMs: number; why: string }): void {
    this.#line = undefined;
    if (this.#leaving) return;
    let delayMs: number;
    if (outcome.was === 'refused') {
      delayMs = jittered(
        Math.min(REFUSED_RETRY_MS_MAX, REFUSED_RETRY_MS * 2 ** this.#refusals++),
        this.#parts.randomness,
      );
    } else {
      this.#refusals = 0;
      if (outcome.was === 'registered' && outcome.heldMs >= GOOD_LINE_MS) this.#failures = 0;
      // At once, then 1, 2, 4 … 30 seconds, each between half and the whole of it so that a herd spreads out.
      const attempt = this.#failures++;
      delayMs =
        attempt === 0
          ? 0
          : jittered(Math.min(RETRY_MS_MAX, 1_000 * 2 ** Math.min(attempt - 1, 10)), this.#parts.randomness);
    }
    this.#parts.log.warn(
      { hub: this.#url, why: outcome.why, retryMs: Math.round(delayMs) },
      'the line to the hub is lost',
    );
    this.#retry = this.#parts.clock.after(delayMs, () => this.open());
  }
}

function jittered(ms: number, randomness: Randomness): number {
  return ms * (0.5 + randomness.float() / 2);
}

type LineState = 'dialling' | 'registering' | 'registered' | 'refused' | 'closed';

/** One WebSocket, from dialling to its end. */
class Line {
  state: LineState = 'dialling';
  readonly #settings: ConnectionSettings;
  readonly #parts: ConnectionParts;
  readonly #socket: WebSocket;
  /** What the WebSocket runs over, once it does. */
  #wire: Socket | undefined;
  #corked = false;
  readonly #lost: (outcome: { was: LineState; heldMs: number; why: string }) => void;
  readonly #json: JsonDialect;
  #streams: StreamDialect | undefined;
  readonly #timers: Timer[] = [];
  #heartbeat: Timer | undefined;

  #beganMs: number;
  #aliveMs: number;
  #lastState: LineState = 'dialling';
  #why = 'the hub hung up';
  #draining = false;
  #wasCongested = false;
  #registerId: string | undefined;
  /** The code of the error that came before the answer to our register; a Swan hub may send none. */
  #errorCode: number | undefined;
  #registeredModels = '';
  #registeredAs = '';
  #unanswered = 0;
  #maskPool: Buffer | undefined;
  #maskAt = 0;
  #unmasked = false;
  #closed: (() => void)[] = [];

  constructor(
    url: string,
    settings: ConnectionSettings,
    parts: ConnectionParts,
    lost: (outcome: { was: LineState; heldMs: number; why: string }) => void,
  ) {
    this.#settings = settings;
    this.#parts = parts;
    this.#lost = lost;
    const { clock } = parts;
    this.#beganMs = clock.nowMs();
    this.#aliveMs = this.#beganMs;
    this.#json = new JsonDialect({
      desk: parts.desk,
      send: (message) => this.#sendText(message),
      congested: () => this.#congested(),
      clock,
    });
    const privateLine = isPrivateLine(url);
    this.#socket = new WebSocket(url, {
      ...this.#secure(url),
      perMessageDeflate: false,
      skipUTF8Validation: true,
      handshakeTimeout: HANDSHAKE_MS_MAX,
      maxPayload: MESSAGE_BYTES_MAX,
      followRedirects: false,
      generateMask: (mask) => this.#mask(mask, privateLine),
    });
    this.#socket.on('upgrade', (response) => {
      this.#wire = response.socket;
    });
    this.#socket.on('open', () => this.#opened());
    this.#socket.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary));
    this.#socket.on('pong', () => this.#signOfLife());
    this.#socket.on('ping', () => this.#signOfLife());
    this.#socket.on('error', (error) => {
      this.#why = `${(error as { code?: string }).code ?? ''} ${error.message}`.trim();
    });
    this.#socket.on('close', (code, reason) => this.#ended(code, reason.toString()));
  }

  #secure(url: string): SecureContextOptions {
    if (!url.startsWith('wss:')) return {};
    try {
      return this.#settings.tls();
    } catch (error) {
      // Half renewed, perhaps. Without our files the hub will most likely turn us away, and the next dial reads them anew.
      this.#parts.log.error({ why: (error as Error).message }, 'the TLS files cannot be used');
      return { minVersion: 'TLSv1.2' };
    }
  }

  modelsChanged(): void {
    if (this.state !== 'registered') return;
    this.#sendHealth();
    const models = this.#readyModels();
    if (fingerprint(models, this.#parts.declarations(models)) !== this.#registeredAs) this.#register();
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (this.state === 'registered') this.#announceLeaving();
  }

  #announceLeaving(): void {
    if (this.#streams) this.#streams.drain();
    // The Swan protocol has no word for it; but a node without models is sent nothing.
    else if (this.#registeredModels !== '') this.#register();
  }

  farewell(): Promise<void> {
    if (this.state === 'closed') return Promise.resolve();
    return new Promise((resolve) => {
      this.#closed.push(resolve);
      this.#timers.push(this.#parts.clock.after(FAREWELL_MS, () => this.#socket.terminate()));
      void this.#sayTheRest();
    });
  }

  /** Whole answers leave in pieces: the last of them must be on its way before the line is closed behind it. */
  async #sayTheRest(): Promise<void> {
    const outbox = this.#streams?.outbox;
    outbox?.flush();
    await outbox?.emptied();
    this.#uncork();
    this.#socket.close(1000);
  }

  // --- the life of the line

  #opened(): void {
    const { clock } = this.#parts;
    this.#signOfLife();
    this.#enter('registering');
    this.#register();
    this.#timers.push(
      clock.every(PING_EVERY_MS, () => {
        if (clock.nowMs() - this.#aliveMs > SILENCE_MS_MAX) this.#giveUp('the hub fell silent');
        else this.#socket.ping();
      }),
      clock.after(REGISTER_MS_MAX, () => {
        if (this.state === 'registering') this.#giveUp('the hub did not answer the registration');
      }),
    );
  }

  #signOfLife(): void {
    this.#aliveMs = this.#parts.clock.nowMs();
  }

  #giveUp(why: string): void {
    this.#why = why;
    this.#socket.terminate();
  }

  #enter(state: LineState): void {
    this.state = state;
    this.#lastState = state;
  }

  /** @param said the hub's own words for hanging up; often none */
  #ended(code: number, said: string): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    for (const timer of this.#timers) timer.cancel();
    this.#heartbeat?.cancel();
    this.#json.dropAll();
    this.#streams?.dropAll();
    for (const resolve of this.#closed) resolve();
    const words = said ? `${this.#why}: ${said}` : this.#why;
    this.#lost({
      was: this.#lastState,
      heldMs: this.#parts.clock.nowMs() - this.#beganMs,
      why: code === 1006 || code === 1000 ? words : `${words} (code ${code})`,
    });
  }

  // --- what arrives

  #received(data: Buffer, isBinary: boolean): void {
    this.#signOfLife();
    if (isBinary && this.#streams) {
      if (!this.#streams.receive(data)) this.#giveUp('the hub broke the protocol');
      return;
    }
    const envelope = parseEnvelope(data.toString());
    if (!envelope) return;
    switch (envelope.type) {
      case 'ack':
        return this.#ack(envelope);
      case 'notice':
        return this.#notice(envelope);
      case 'error':
        return this.#error(envelope);
      default:
        // Types that we do not know are from tomorrow, and none of our business.
        this.#json.receive(envelope);
    }
  }

  #ack(envelope: Envelope): void {
    const parsed = ackSchema.safeParse(envelope.payload);
    if (!parsed.success) return;
    const ack = parsed.data;
    if (!ack.success) return this.#refusedBy(ack);
    this.#unanswered = 0;
    // As the Swan agent does: any success counts while we wait, whatever request it names.
    const mine =
      this.#registerId !== undefined && [envelope.request_id, ack.request_id].includes(this.#registerId);
    if (this.state === 'registering' || this.state === 'refused' || mine) this.#accepted(ack);
  }

  #accepted(ack: AckRead): void {
    const first = this.state !== 'registered';
    this.#registerId = undefined;
    this.#enter('registered');
    const { log, clock } = this.#parts;
    if (ack.registered_models) {
      const missing = this.#registeredModels
        .split('\n')
        .filter((id) => id !== '' && !ack.registered_models?.includes(id));
      if (missing.length > 0) log.warn({ models: missing }, 'the hub does not take these models');
    }
    if (ack.upgrade_available)
      log.warn({ latest: ack.upgrade_available.latest }, 'a newer agent is available');
    if (!first) return;
    const extension = ack.extensions?.includes(STREAM_EXTENSION) ?? false;
    if (extension) {
      this.#unmasked = true;
      this.#streams = new StreamDialect({
        desk: this.#parts.desk,
        outbox: new Outbox({
          transmit: (message) => this.#send(message, true),
          waiting: () => this.#socket.bufferedAmount,
          clock,
          messageBytesMax: ack.max_frame,
        }),
        limits: STREAM_LIMITS,
        congested: () => this.#congested(),
      });
    }
    const heartbeatMs = Math.max(HEARTBEAT_S_MIN, ack.heartbeat_s ?? HEARTBEAT_S) * 1_000;
    this.#heartbeat?.cancel();
    this.#heartbeat = clock.every(heartbeatMs, () => this.#beat());
    this.#sendHealth();
    if (this.#draining) this.#announceLeaving();
    this.#parts.registered?.({ extension, models: ack.registered_models });
  }

  #refusedBy(ack: AckRead): void {
    if (this.state === 'registered' || this.state === 'refused') return;
    const message = ack.message ?? 'no reason given';
    // A hub whose store is away says nothing about us: it may answer in a moment, or another behind the same name may.
    if ((this.#errorCode ?? 0) >= 500) return this.#giveUp(`the hub cannot register anybody now: ${message}`);
    this.#enter('refused');
    this.#why = 'the hub refused the registration';
    this.#parts.log.error({ reason: message }, 'the hub refuses this key or node');
    this.#parts.refused?.(message);
    // Hubs keep such a line open so that agents do not storm them. We hang up late, and come back later still.
    this.#timers.push(this.#parts.clock.after(REFUSED_RETRY_MS, () => this.#socket.close(1000)));
  }

  #notice(envelope: Envelope): void {
    const notice = noticeSchema.safeParse(envelope.payload);
    if (!notice.success) return;
    const { event, severity, message, model_id: model } = notice.data;
    const fields = { event: `hub_${event}`, ...(model === undefined ? {} : { model }), text: message };
    if (severity === 'info') this.#parts.log.info(fields, 'notice from the hub');
    else this.#parts.log.warn(fields, 'notice from the hub');
  }

  #error(envelope: Envelope): void {
    const error = errorSchema.safeParse(envelope.payload);
    if (error.success) {
      if (this.state === 'registering') this.#errorCode = Number(error.data.code);
      this.#parts.log.warn(
        { code: error.data.code, text: error.data.message.slice(0, 500) },
        'error from the hub',
      );
    }
  }

  // --- what is said

  #readyModels(): string[] {
    return this.#draining ? [] : this.#parts.readyModels();
  }

  #register(): void {
    const models = this.#readyModels();
    this.#registeredModels = models.join('\n');
    this.#registerId = this.#parts.ids('reg');
    const { nodeId, nodeName, key, hardware, version, several } = this.#settings;
    const { hashes, declarations } = this.#parts.declarations(models);
    this.#registeredAs = fingerprint(models, { hashes, declarations });
    const register: Register = {
      node_id: nodeId,
      provider_id: nodeId,
      worker_addr: nodeId,
      owner_addr: '',
      ...(nodeName === undefined ? {} : { node_name: nodeName }),
      token: key.open(),
      models,
      model_hashes: hashes,
      model_declarations: declarations,
      capabilities: ['inference', 'verification', STREAM_EXTENSION, ...(several ? [SEVERAL_LINKS] : [])],
      ...(hardware ? { hardware } : {}),
      cp_version: version,
    };
    this.#sendText(encodeMessage('register', this.#registerId, register));
  }

  #beat(): void {
    if (this.#unanswered >= HEARTBEATS_UNANSWERED_MAX) return this.#giveUp('the hub answers no heartbeat');
    this.#unanswered++;
    const models = this.#readyModels();
    const { nodeId, hardware } = this.#settings;
    const heartbeat: Heartbeat = {
      node_id: nodeId,
      provider_id: nodeId,
      timestamp: Math.floor(this.#parts.clock.wallMs() / 1_000),
      metrics: this.#parts.metrics(),
      ...(models.length > 0 ? { models } : {}),
      model_health: this.#parts.modelHealth(),
      ...(hardware ? { hardware } : {}),
    };
    this.#sendText(encodeMessage('heartbeat', this.#parts.ids('hb'), heartbeat));
  }

  #sendHealth(): void {
    const update: ModelHealthUpdate = {
      node_id: this.#settings.nodeId,
      provider_id: this.#settings.nodeId,
      model_health: this.#parts.modelHealth(),
      timestamp: Math.floor(this.#parts.clock.wallMs() / 1_000),
    };
    this.#sendText(encodeMessage('model_health_update', undefined, update));
  }

  #sendText(message: string | Buffer): void {
    this.#send(message, false);
  }

  #send(message: string | Buffer, binary: boolean): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    // What one turn of the event loop sends goes to the network in one call: a Swan hub gets a message per token.
    if (!this.#corked && this.#wire) {
      this.#corked = true;
      this.#wire.cork();
      this.#parts.clock.endOfTurn(this.#uncork);
    }
    this.#socket.send(message, { binary }, this.#sent);
    if (this.#socket.bufferedAmount > STUCK_BYTES) this.#giveUp('the hub does not read');
  }

  readonly #uncork = (): void => {
    if (!this.#corked) return;
    this.#corked = false;
    this.#wire?.uncork();
  };

  /** Something was passed on to the network. */
  readonly #sent = (): void => {
    if (this.state === 'closed') return;
    if (this.#wasCongested) {
      if (this.#socket.bufferedAmount > CONGESTED_BYTES / 2) return;
      this.#wasCongested = false;
      this.#json.roomAgain();
      this.#streams?.roomAgain();
    } else this.#streams?.outbox.roomAgain();
  };

  #congested(): boolean {
    if (this.#wasCongested) return true;
    this.#wasCongested = this.#socket.bufferedAmount > CONGESTED_BYTES;
    return this.#wasCongested;
  }

  /**
   * RFC 6455 has clients mask what they send with unpredictable bytes, so that nobody can plant chosen bytes where a
   * broken intermediary would take them for HTTP. On a line that no intermediary can read (TLS, or this machine) there is
   * nothing to protect, and masking by zero spares both ends a pass over every token. It is used with hubs that
   * agreed to our extension only.
   */
  #mask(mask: Buffer, privateLine: boolean): void {
    if (this.#unmasked && privateLine) {
      mask.fill(0);
      return;
    }
    if (!this.#maskPool || this.#maskAt + MASK_BYTES > MASK_POOL_BYTES) {
      this.#maskPool = this.#parts.randomness.bytes(MASK_POOL_BYTES);
      this.#maskAt = 0;
    }
    this.#maskPool.copy(mask, 0, this.#maskAt, this.#maskAt + MASK_BYTES);
    this.#maskAt += MASK_BYTES;
  }
}

/** Tells two registrations apart. */
function fingerprint(models: readonly string[], said: object): string {
  return JSON.stringify([models, said]);
}
