import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  DATA_PREFIX_BYTES,
  eachFrame,
  encodeCreditFrame,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  type JobEnd,
  type JobHeader,
  MAX_FRAME_PAYLOAD_BYTES,
  STREAM_EXTENSION,
} from '#wire/agent/frames.ts';
import { type Envelope, encodeMessage } from '#wire/agent/messages.ts';

const DEADLINE_MS = 5_000;

/** One stream as the hub saw it. */
export interface SeenStream {
  readonly id: number;
  sse: string;
  /** Of each `data` frame: events, tokens, bytes. */
  readonly frames: { events: number; tokens: number; bytes: number }[];
  events: number;
  tokens: number;
  result: string;
  end: JobEnd | undefined;
  /** Binary messages that carried something of this stream, by their number. */
  readonly messages: Set<number>;
}

/** The smallest hub that an agent can be tested against: real sockets, everything recorded, nothing decided. */
export class TinyHub {
  readonly url: string;
  readonly messages: Envelope[] = [];
  readonly streams = new Map<number, SeenStream>();
  connections = 0;
  binaryMessages = 0;
  largestMessage = 0;
  drained = false;
  socket: WebSocket | undefined;
  /** What the next registrations are answered with. */
  ack: Record<string, unknown> | undefined;
  /** What is said before the ack of a registration. */
  error: Record<string, unknown> | undefined;
  readonly #server: WebSocketServer;
  readonly #waiters = new Set<() => void>();
  #nextStream = 1;

  private constructor(server: WebSocketServer, extension: boolean) {
    this.#server = server;
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.ack = {
      success: true,
      message: 'welcome',
      ...(extension ? { extensions: [STREAM_EXTENSION] } : {}),
    };
    server.on('connection', (socket) => this.#connected(socket));
  }

  static async open(options: { extension: boolean; port?: number }): Promise<TinyHub> {
    const { port = 0 } = options;
    const server = new WebSocketServer({ port, host: '127.0.0.1', path: '/ws', perMessageDeflate: false });
    await once(server, 'listening');
    return new TinyHub(server, options.extension);
  }

  async close(): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Resolves with the first answer of `look` that is not undefined; rejects after five seconds. */
  until<T>(look: () => T | undefined | false, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = look();
        if (found === undefined || found === false) return;
        this.#waiters.delete(check);
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(check);
        reject(new Error(`The hub waited in vain for ${what}.`));
      }, DEADLINE_MS);
      this.#waiters.add(check);
      check();
    });
  }

  /** Resolves with the first message of `type` (and of `id`, where given). */
  message(type: string, id?: string): Promise<Envelope & { payload: Record<string, unknown> }> {
    return this.until(
      () => this.messages.find((each) => each.type === type && (id === undefined || each.request_id === id)),
      `a message of type ${type}`,
    ) as Promise<Envelope & { payload: Record<string, unknown> }>;
  }

  say(type: string, id: string | undefined, payload: unknown): void {
    this.socket?.send(encodeMessage(type, id, payload));
  }

  send(...frames: Buffer[]): void {
    this.socket?.send(Buffer.concat(frames));
  }

  /** Sends a job in the binary dialect; `cut` bytes of body per frame. */
  job(
    body: unknown,
    options: Partial<JobHeader> & { cut?: number; bodyText?: string; holdBody?: boolean } = {},
  ): SeenStream {
    const { cut = MAX_FRAME_PAYLOAD_BYTES, bodyText, holdBody, ...header } = options;
    const bytes = Buffer.from(bodyText ?? JSON.stringify(body));
    const id = this.#nextStream++;
    const stream: SeenStream = {
      id,
      sse: '',
      frames: [],
      events: 0,
      tokens: 0,
      result: '',
      end: undefined,
      messages: new Set(),
    };
    this.streams.set(id, stream);
    const job: JobHeader = {
      attempt: `att_${id}`,
      model: 'm',
      completion: `chatcmpl-${id}`,
      created: 1_700_000_000,
      operation: 'chat/completions',
      stream: true,
      set: {},
      body_bytes: bytes.length,
      credit: 262_144,
      deadline_ms: 60_000,
      ...header,
    };
    this.send(encodeJsonFrame(FRAME.job, id, job));
    if (!holdBody) for (const piece of this.bodyFrames(id, bytes, cut)) this.send(piece);
    return stream;
  }

  bodyFrames(id: number, bytes: Buffer, cut: number): Buffer[] {
    const frames: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += cut) {
      frames.push(encodeFrame(FRAME.body, id, bytes.subarray(at, at + cut)));
    }
    return frames;
  }

  cancel(id: number): void {
    this.send(encodeFrame(FRAME.cancel, id, Buffer.alloc(0)));
  }

  credit(id: number, bytes: number): void {
    this.send(encodeCreditFrame(id, bytes));
  }

  ended(stream: SeenStream): Promise<JobEnd> {
    return this.until(() => stream.end, `the end of stream ${stream.id}`);
  }

  #connected(socket: WebSocket): void {
    this.connections++;
    this.socket = socket;
    socket.on('message', (data, isBinary) => {
      if (isBinary) this.#binary(data as Buffer);
      else this.#text(JSON.parse((data as Buffer).toString()) as Envelope, socket);
      this.#wake();
    });
    socket.on('close', () => this.#wake());
    this.#wake();
  }

  #text(envelope: Envelope, socket: WebSocket): void {
    this.messages.push(envelope);
    if (this.error && envelope.type === 'register')
      socket.send(encodeMessage('error', envelope.request_id, this.error));
    if (this.ack && (envelope.type === 'register' || envelope.type === 'heartbeat')) {
      const payload = { request_id: envelope.request_id, ...this.ack };
      socket.send(encodeMessage('ack', envelope.request_id, payload));
    }
  }

  #binary(message: Buffer): void {
    const number = this.binaryMessages++;
    this.largestMessage = Math.max(this.largestMessage, message.length);
    const whole = eachFrame(message, MAX_FRAME_PAYLOAD_BYTES, (type, id, payload) => {
      if (type === FRAME.drain) {
        this.drained = true;
        return;
      }
      const stream = this.streams.get(id);
      if (!stream) throw new Error(`a frame for the unknown stream ${id}`);
      if (stream.end) throw new Error(`a frame after the end of stream ${id}`);
      stream.messages.add(number);
      if (type === FRAME.data) {
        const sse = payload.subarray(DATA_PREFIX_BYTES);
        const frame = { events: payload.readUInt16LE(0), tokens: payload.readUInt16LE(2), bytes: sse.length };
        stream.frames.push(frame);
        stream.events += frame.events;
        stream.tokens += frame.tokens;
        stream.sse += sse.toString();
      } else if (type === FRAME.result) stream.result += payload.toString();
      else if (type === FRAME.end) stream.end = JSON.parse(payload.toString()) as JobEnd;
    });
    if (!whole) throw new Error('a message that is no frames');
  }

  #wake(): void {
    for (const check of this.#waiters) check();
  }
}

/** The JSON of each event of a stream's bytes. */
export function eventsOf(sse: string): Record<string, unknown>[] {
  return sse
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => JSON.parse(event.slice('data: '.length)) as Record<string, unknown>);
}

/** The text of an answer, from its events. */
export function textOf(events: readonly Record<string, unknown>[]): string {
  return events
    .map((event) => (event['choices'] as { delta: { content?: string } }[])[0]?.delta.content ?? '')
    .join('');
}
