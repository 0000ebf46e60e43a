import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Hub } from '#hub/hub.ts';
import type { Presence } from '#hub/registry.ts';
import { WsTransport } from '#hub/ws-transport.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Sealed } from '#kit/sealed.ts';
import { PEER_PAYLOAD_BYTES_MAX } from './frames.ts';
import { challengeSchema, isMac, type Meeting, macOf, proofSchema, welcomeSchema } from './handshake.ts';
import { PeerLink } from './peer-link.ts';
import { RemoteNodes } from './remote-nodes.ts';
import { type StrangerLimits, Strangers } from './strangers.ts';

/**
 * The private links of this gateway: one to each other gateway. Of two, the one whose instance comes first in the alphabet
 * dials; the link is used both ways. Who else is there, and where, is what `members` says (Redis has it); a link that
 * stands needs nobody to stand.
 *
 * What Redis says is not believed where it matters: a proof holds for the address that was dialled alone, and a gateway that
 * is reached over TLS itself dials others over nothing less.
 *
 * A link that says nothing for six seconds is taken for dead: a gateway that was cut off, or stands still, holds nobody up
 * for longer than that.
 */
export class Peers {
  readonly #parts: PeersParts;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, ...SOCKET });
  readonly #nodes: RemoteNodes;
  /** Of whom of our own agents there is something new. */
  readonly #touched: () => ReadonlySet<Presence>;
  readonly #links = new Map<string, { link: PeerLink; transport: WsTransport; ws: WebSocket }>();
  readonly #dialling = new Set<string>();
  /** What this gateway dialled, from the first word to the last: each holds the process up. */
  readonly #dialled = new Set<WebSocket>();
  readonly #open = new Set<Socket>();
  readonly #strangers: Strangers;
  /** Addresses that are not dialled, as they were last complained of, by instance. */
  readonly #refused = new Map<string, string>();
  readonly #ticker: Timer;
  #leaving = false;
  #closed = false;
  #hungUp = (): void => {};

  /** Listens on the private port. Rejects when it is taken. */
  static async open(parts: PeersParts): Promise<Peers> {
    const peers = new Peers(parts);
    await new Promise<void>((resolve, reject) => {
      peers.#http.once('error', reject);
      peers.#http.listen(parts.port, parts.host, () => {
        peers.#http.off('error', reject);
        peers.#http.on('error', () => undefined);
        resolve();
      });
    });
    return peers;
  }

  private constructor(parts: PeersParts) {
    this.#parts = parts;
    this.#nodes = new RemoteNodes({ registry: parts.hub.registry, clock: parts.clock });
    this.#touched = parts.hub.registry.follow();
    this.#strangers = new Strangers(parts.clock, { ...STRANGERS, ...parts.strangers });
    this.#http = createServer({ maxHeaderSize: ANONYMOUS_BYTES_MAX }, (_request, response) => {
      response.writeHead(404, { connection: 'close' });
      response.end();
    });
    this.#http.on('connection', (socket: Socket) => {
      this.#strangers.enter(socket);
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgraded(request, socket as Socket, head));
    this.#ticker = parts.clock.every(TICK_MS, () => this.#tick());
  }

  /** Where other gateways reach this one. */
  get url(): string {
    const { port } = this.#http.address() as AddressInfo;
    return this.#parts.url ?? `ws://${this.#parts.host}:${port}`;
  }

  /** The gateways that are linked to this one. */
  get linked(): string[] {
    return [...this.#links.keys()];
  }

  /** Sockets of the private port that have not shown who they are. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /** Jobs of other gateways that are under way here. */
  get serving(): number {
    let sum = 0;
    for (const { link } of this.#links.values()) sum += link.serving;
    return sum;
  }

  /** Asks the others for no new jobs; those under way go on. */
  leave(): void {
    this.#leaving = true;
    for (const { link } of this.#links.values()) link.leaving();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#ticker.cancel();
    for (const { transport } of this.#links.values()) transport.close(1001, 'leaving');
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeAllConnections();
    for (const socket of this.#open) socket.destroy();
    // Whoever is no link yet has nobody to say goodbye to, and must not become one now.
    const linked = new Set([...this.#links.values()].map(({ ws }) => ws));
    for (const ws of this.#dialled) if (!linked.has(ws)) ws.terminate();
    await closed;
    while (this.#dialled.size > 0) await new Promise<void>((resolve) => (this.#hungUp = resolve));
  }

  #tick(): void {
    const { registry } = this.#parts.hub;
    const touched = this.#touched();
    if (touched.size > 0) {
      for (const { link } of this.#links.values()) link.tell(registry, touched);
      this.#nodes.placeAll(touched);
    }
    for (const [instance, about] of this.#parts.members()) {
      const { instance: own } = this.#parts;
      if (instance <= own || this.#links.has(instance) || this.#dialling.has(instance) || this.#closed)
        continue;
      const url = urlOf(about);
      if (url !== undefined && this.#mayDial(instance, url)) this.#dial(instance, url);
    }
  }

  /** A gateway that others reach over TLS is not talked into less by what stands in Redis. */
  #mayDial(instance: string, url: string): boolean {
    if (!this.#parts.url?.startsWith('wss:') || url.startsWith('wss:')) return true;
    if (this.#refused.get(instance) !== url) {
      if (this.#refused.size >= REFUSED_MAX) this.#refused.clear();
      this.#refused.set(instance, url);
      this.#parts.log.warn(
        { gateway: instance, address: url },
        'Another gateway is said to be reached without TLS, and this one is reached over it: not dialled.',
      );
    }
    return false;
  }

  #dial(instance: string, url: string): void {
    this.#dialling.add(instance);
    const { clock } = this.#parts;
    const ws = new WebSocket(url, { ...SOCKET, handshakeTimeout: HANDSHAKE_MS });
    this.#dialled.add(ws);
    ws.on('error', () => undefined);
    ws.once('close', () => {
      this.#dialled.delete(ws);
      this.#hungUp();
      if (this.#closed) return;
      // The next try a moment later, so that a gateway that is away costs little.
      clock.after(REDIAL_MS, () => this.#dialling.delete(instance));
    });
    let socket: Socket | undefined;
    ws.once('upgrade', (response: IncomingMessage) => {
      socket = response.socket;
    });
    // Not before: what came behind the upgrade would go to whoever listens to the socket by then.
    ws.once('open', () => {
      if (!socket) return;
      const transport = this.#transportOf(ws, socket, url);
      const { ids, secret, instance: own } = this.#parts;
      const nonce = ids('nonce');
      let meeting: Meeting | undefined;
      this.#meet(ws, transport, undefined, (said) => {
        if (!meeting) {
          const challenge = challengeSchema.parse(said);
          if (challenge.from !== instance) return 'nobody we know';
          meeting = {
            listener: instance,
            dialler: own,
            listenerNonce: challenge.nonce,
            diallerNonce: nonce,
            address: url,
          };
          transport.send(
            JSON.stringify({ type: 'proof', from: own, nonce, mac: macOf('proof', secret, meeting) }),
          );
          return 'not yet';
        }
        const { mac } = welcomeSchema.parse(said);
        return isMac(mac, macOf('welcome', secret, meeting)) ? { gateway: instance } : 'nobody we know';
      });
    });
  }

  #upgraded(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    if (this.#closed) {
      socket.destroy();
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (ws: WebSocket) => {
      const transport = this.#transportOf(ws, socket, socket.remoteAddress ?? 'unknown');
      const { ids, secret, instance: own } = this.#parts;
      const nonce = ids('nonce');
      this.#meet(ws, transport, socket, (said) => {
        const proof = proofSchema.parse(said);
        const meeting: Meeting = {
          listener: own,
          dialler: proof.from,
          listenerNonce: nonce,
          diallerNonce: proof.nonce,
          address: this.url,
        };
        if (!isMac(proof.mac, macOf('proof', secret, meeting)) || proof.from === own) return 'nobody we know';
        transport.send(JSON.stringify({ type: 'welcome', mac: macOf('welcome', secret, meeting) }));
        return { gateway: proof.from };
      });
      transport.send(JSON.stringify({ type: 'challenge', from: own, nonce }));
    });
  }

  #transportOf(ws: WebSocket, socket: Socket, address: string): WsTransport {
    return new WsTransport({
      ws,
      socket,
      address,
      clock: this.#parts.clock,
      anonymousBytesMax: ANONYMOUS_BYTES_MAX,
    });
  }

  /**
   * The handshake, and then the link. `step` answers who the other side is, once that is shown; `stranger` is the socket of
   * one that came by itself.
   */
  #meet(
    ws: WebSocket,
    transport: WsTransport,
    stranger: Socket | undefined,
    step: (said: unknown) => Shown,
  ): void {
    const { clock, log } = this.#parts;
    let link: PeerLink | undefined;
    let heardMs = clock.nowMs();
    const late = clock.after(HANDSHAKE_MS, () => ws.terminate());
    const beat = clock.every(PING_MS, () => {
      if (clock.nowMs() - heardMs > SILENT_MS) ws.terminate();
      else if (link) ws.ping();
    });
    const heard = (): void => {
      heardMs = clock.nowMs();
    };
    ws.on('pong', heard);
    transport.listen({
      message: (data, isBinary) => {
        heard();
        if (link) {
          if (!this.#took(link, data, isBinary)) transport.close(1002, 'what cannot be read');
          return;
        }
        let shown: Shown = 'nobody we know';
        try {
          if (!isBinary) shown = step(JSON.parse(data.toString()));
        } catch {
          // What is no step of the handshake shows nobody.
        }
        if (shown === 'not yet') return;
        late.cancel();
        if (shown === 'nobody we know') {
          log.warn(
            { address: transport.address },
            'A stranger dialled the private port, or the link secrets differ.',
          );
          transport.close(1008, 'not shown');
          return;
        }
        transport.trust();
        if (stranger) this.#strangers.leave(stranger);
        link = this.#linked(shown.gateway, transport, ws);
      },
      drained: () => link?.drained(),
      closed: () => {
        late.cancel();
        beat.cancel();
        if (link) this.#unlinked(link, transport);
      },
    });
  }

  #took(link: PeerLink, data: Buffer, isBinary: boolean): boolean {
    try {
      return link.take(data, isBinary);
    } catch (error) {
      this.#parts.log.error({ err: error, gateway: link.gateway }, 'A message of another gateway met a bug.');
      return false;
    }
  }

  #linked(gateway: string, transport: WsTransport, ws: WebSocket): PeerLink {
    const { clock, log, hub } = this.#parts;
    const before = this.#links.get(gateway);
    const link: PeerLink = new PeerLink({
      gateway,
      transport,
      clock,
      log,
      registry: hub.registry,
      settings: hub.settings,
      heard: (news) => this.#nodes.hear(link, news),
    });
    this.#links.set(gateway, { link, transport, ws });
    // Its former life, or a socket that nobody has noticed to be dead.
    if (before) {
      before.transport.terminate();
      this.#unlinked(before.link, before.transport);
    }
    log.info({ gateway, address: transport.address }, 'Linked to another gateway.');
    link.tell(hub.registry, hub.registry.present());
    if (this.#leaving) link.leaving();
    return link;
  }

  #unlinked(link: PeerLink, transport: WsTransport): void {
    const current = this.#links.get(link.gateway);
    if (current?.transport === transport) this.#links.delete(link.gateway);
    // First out of the registry, so that nobody who hears of a lost attempt chooses this way again.
    this.#nodes.forget(link);
    link.lost();
    if (!this.#closed && current?.transport === transport)
      this.#parts.log.warn({ gateway: link.gateway }, 'The link to another gateway is lost.');
  }
}

export interface PeersParts {
  readonly hub: Hub;
  readonly instance: string;
  readonly secret: Sealed<string>;
  readonly host: string;
  readonly port: number;
  /** Where others reach the port; undefined: at the host. */
  readonly url: string | undefined;
  /** Every gateway by its instance, with what it says of itself (`aboutLink`). */
  readonly members: () => Iterable<readonly [string, string]>;
  /** What differs from the usual bounds of sockets that have not shown who they are. */
  readonly strangers?: Partial<StrangerLimits>;
  readonly clock: Clock;
  readonly ids: IdMaker;
  readonly log: Logger;
}

/** What a step of the handshake has shown. */
type Shown = { readonly gateway: string } | 'not yet' | 'nobody we know';

/** What a gateway says of itself, so that others find it. */
export function aboutLink(url: string | undefined): string {
  return JSON.stringify({ link: url ?? null });
}

function urlOf(about: string): string | undefined {
  try {
    const { link } = JSON.parse(about) as { link?: unknown };
    return typeof link === 'string' && isLinkAddress(link) ? link : undefined;
  } catch {
    return undefined;
  }
}

/** Whatever stands in what gateways share is only dialled where it is such an address: anything else would throw. */
const isLinkAddress = (text: string): boolean => /^wss?:\/\/[^\s/?#]+$/.test(text) && URL.canParse(text);

const SOCKET = { perMessageDeflate: false, maxPayload: 2 * PEER_PAYLOAD_BYTES_MAX, skipUTF8Validation: true };
const TICK_MS = 100;
const HANDSHAKE_MS = 5_000;
const REDIAL_MS = 500;
const PING_MS = 2_000;
const SILENT_MS = 6_000;
const ANONYMOUS_BYTES_MAX = 8_192;
const STRANGERS: StrangerLimits = { perAddress: 64, inAll: 256, withinMs: HANDSHAKE_MS };
const REFUSED_MAX = 1_000;
