import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { LISTEN_BACKLOG } from '#kit/backlog.ts';
import type { Clock } from '#kit/clock.ts';
import type { TlsFiles } from '#kit/tls-files.ts';
import { Admission, type AdmissionSettings, DEFAULT_ADMISSION, networkOf } from './admission.ts';
import type { Hub } from './hub.ts';
import { WsTransport } from './ws-transport.ts';

/** How long a socket has to finish its request line and headers, and a closing one to say goodbye. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * The hub's door: `/ws` (and `/ws/ws`, which is what an agent dials whose configured address ends in `/ws`) for agents,
 * `/health` for whoever watches, nothing else.
 */
export class HubServer {
  readonly #hub: Hub;
  readonly #settings: HubServerSettings;
  readonly #clock: Clock;
  readonly #admission: Admission;
  readonly #http: Server | TlsServer;
  readonly #addressOf: (request: IncomingMessage) => string;
  readonly #sockets: WebSocketServer;

  /** Listens. Rejects when the port is taken. */
  static async open(hub: Hub, parts: HubServerParts): Promise<HubServer> {
    const server = new HubServer(hub, parts, { ...DEFAULT_HUB_SERVER, ...parts.settings });
    await server.#listen();
    return server;
  }

  private constructor(hub: Hub, parts: HubServerParts, settings: HubServerSettings) {
    const { clock, tls } = parts;
    this.#hub = hub;
    this.#clock = clock;
    this.#settings = settings;
    this.#addressOf = parts.addressOf ?? peerOf;
    this.#admission = new Admission(clock, settings.admission);
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: hub.settings.messageBytesMax,
      skipUTF8Validation: true,
      // Answered by the transport, and only while the other side reads.
      autoPong: false,
    });
    const timeouts = { headersTimeout: HANDSHAKE_TIMEOUT_MS, requestTimeout: HANDSHAKE_TIMEOUT_MS };
    if (tls) {
      const server = createTlsServer({ ...tls.options(), ...timeouts });
      tls.serve(server);
      this.#http = server;
    } else this.#http = createServer(timeouts);
    // Below TLS, so that a socket which never gets through its handshake is known, too.
    this.#http.on('connection', (socket: Socket) => {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
    });
    this.#http.maxConnections = settings.linksMax + 64;
    this.#http.on('request', (request, response) => {
      const asked = request.url?.split('?')[0] === '/health';
      const status = !asked ? 404 : hub.closing ? 503 : 200;
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(
        asked
          ? `{"status":"${hub.closing ? 'draining' : 'ok'}","links":${hub.links}}`
          : '{"error":"There is nothing at this address."}',
      );
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
  }

  /** The port in use (of interest when 0 was asked for). */
  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /** Stops listening and says goodbye to every agent, after up to `graceMs` for what is under way. */
  async close(graceMs = 0): Promise<void> {
    // While answers are still running the port stays open, so that a watcher sees it drain; upgrades are refused.
    await this.#hub.close(graceMs);
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeAllConnections();
    const late = this.#clock.after(this.#settings.goodbyeMs, () => {
      for (const socket of this.#open) socket.destroy();
    });
    await closed;
    late.cancel();
  }

  readonly #open = new Set<Socket>();
  /** Upgrades that wait for their turn. */
  #entering = 0;

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject);
      const { port, host } = this.#settings;
      this.#http.listen({ port, host, backlog: LISTEN_BACKLOG }, () => {
        this.#http.off('error', reject);
        // Later ones are of single connections that could not be accepted (no file handles left): the others go on.
        this.#http.on('error', () => undefined);
        resolve();
      });
    });
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const { counters } = this.#hub;
    counters.upgrades += 1;
    const path = request.url?.split('?')[0];
    if (path !== '/ws' && path !== '/ws/ws') return refuse(socket, '404 Not Found');
    const address = this.#addressOf(request);
    if (this.#hub.closing || this.#hub.links + this.#entering >= this.#settings.linksMax) {
      counters.upgradesRefused += 1;
      return refuse(socket, '503 Service Unavailable', 5);
    }
    const answer = this.#admission.ask(address);
    if (!answer.admitted) {
      counters.upgradesRefused += 1;
      return refuse(socket, '503 Service Unavailable', answer.retryAfterS);
    }
    let since: number | undefined;
    socket.once('close', () => {
      this.#admission.closed(address, since === undefined ? undefined : this.#clock.nowMs() - since);
    });
    this.#entering += 1;
    this.#hub.turnstile.pass(networkOf(address), () => {
      this.#entering -= 1;
      // It may have left while it waited.
      if (socket.destroyed) return;
      if (this.#hub.closing) return refuse(socket, '503 Service Unavailable', 5);
      this.#sockets.handleUpgrade(request, socket, head, (ws: WebSocket) => {
        const transport = new WsTransport({
          ws,
          socket,
          address,
          clock: this.#clock,
          anonymousBytesMax: this.#hub.settings.anonymousBytesMax,
        });
        this.#hub.attach(transport, {
          registered: () => {
            since = this.#clock.nowMs();
            this.#admission.registered(address);
          },
        });
      });
    });
  }
}

export interface HubServerParts {
  readonly clock: Clock;
  readonly settings?: Partial<HubServerSettings>;
  /** Undefined: plain, for a proxy in front that does TLS, or for one machine. */
  readonly tls?: TlsFiles | undefined;
  /** Where a request comes from. By default the socket's other end; behind a proxy, what it says. */
  readonly addressOf?: (request: IncomingMessage) => string;
}

export interface HubServerSettings {
  readonly host: string;
  readonly port: number;
  readonly linksMax: number;
  /** How long a closing socket may take before it is cut. */
  readonly goodbyeMs: number;
  readonly admission: AdmissionSettings;
}

const DEFAULT_HUB_SERVER: HubServerSettings = {
  host: '127.0.0.1',
  port: 8_081,
  linksMax: 20_000,
  goodbyeMs: 1_000,
  admission: DEFAULT_ADMISSION,
};

function peerOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? 'unknown';
}

/** Refuses an upgrade. Unlike a socket that is opened and closed, a refusal makes every agent wait before it dials again. */
function refuse(socket: Socket, status: string, retryAfterS?: number): void {
  const retry = retryAfterS === undefined ? '' : `Retry-After: ${retryAfterS}\r\n`;
  socket.end(`HTTP/1.1 ${status}\r\n${retry}Connection: close\r\nContent-Length: 0\r\n\r\n`, () =>
    socket.destroy(),
  );
}
