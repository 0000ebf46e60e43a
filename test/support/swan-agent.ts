import { WebSocket } from 'ws';
import type { Clock, Timer } from '#kit/clock.ts';
import { MemoryTransport } from './memory-transport.ts';

/**
 * A double of Swan's own provider agent in three generations, as Part 1 of the Swan contract describes it: what it sends
 * and when, what it believes, how it comes back, and what it gets wrong. What it answers to a request is a script.
 */
export class SwanAgent {
  readonly options: SwanAgentOptions;
  readonly #clock: Clock;
  readonly #timings: SwanTimings;
  #socket: AgentSocket | undefined;
  #sockets = 0;
  #stopped = false;
  #failedDials = 0;
  #unacked = 0;
  #silentBeats = 0;
  #beats: Timer | undefined;
  #pings: Timer | undefined;
  #readDeadline: Timer | undefined;
  #requests = 0;
  registered = false;
  /** What the last ack of a registration said. */
  lastAck: Record<string, unknown> | undefined;
  readonly acks: Record<string, unknown>[] = [];
  readonly errors: Record<string, unknown>[] = [];
  readonly inferences: Served[] = [];
  readonly unknownTypes: string[] = [];
  /** The models that it was asked to warm up. */
  readonly warmUps: string[] = [];
  dials = 0;
  /** Connections lost because a message was larger than the agent reads. */
  overlong = 0;
  #waiting: (() => void)[] = [];

  constructor(options: SwanAgentOptions) {
    this.options = options;
    this.#clock = options.clock;
    this.#timings = { ...SWAN_TIMINGS, ...options.timings };
  }

  async start(): Promise<void> {
    // The first heartbeat comes 30 s after the start of the process, whatever the connection does.
    this.#beats = this.#clock.every(this.#timings.heartbeatMs, () => this.#beat());
    await this.#dial();
  }

  /** SIGTERM: the TCP connection ends without a close frame; there is no drain. */
  stop(): void {
    this.#stopped = true;
    this.#beats?.cancel();
    this.#forgetSocket()?.cut();
  }

  /** Resolves when `condition` holds; looked at after every message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get connected(): boolean {
    return this.#socket !== undefined;
  }

  /** Sends anything at all. */
  raw(data: string | Buffer): void {
    this.#socket?.send(data);
  }

  send(type: string, requestId: string | undefined, payload: unknown): void {
    this.raw(
      JSON.stringify(requestId === undefined ? { type, payload } : { type, request_id: requestId, payload }),
    );
  }

  register(over: Record<string, unknown> = {}): void {
    const { generation, nodeId, token, models } = this.options;
    this.send('register', `reg-${++this.#requests}`, {
      node_id: nodeId,
      provider_id: nodeId,
      worker_addr: nodeId,
      owner_addr: '',
      token,
      models,
      model_hashes: models.map((model_id) => ({ model_id })),
      capabilities: ['inference', 'verification'],
      ...(generation === 'A' ? {} : { cp_version: generation === 'B' ? '0.5.5' : '0.6.0', commit: 'abc' }),
      ...this.options.register,
      ...over,
    });
  }

  heartbeat(over: Record<string, unknown> = {}): void {
    const { nodeId, models } = this.options;
    this.send('heartbeat', `beat-${++this.#requests}`, {
      node_id: nodeId,
      provider_id: nodeId,
      timestamp: Math.floor(this.#clock.wallMs() / 1_000),
      metrics: { gpu_utilization: 0, active_requests: 0 },
      // Left out when empty.
      ...(models.length > 0 ? { models } : {}),
      ...over,
    });
  }

  health(map: Record<string, string>): void {
    const { nodeId } = this.options;
    this.send('model_health_update', undefined, {
      node_id: nodeId,
      provider_id: nodeId,
      model_health: map,
      timestamp: 0,
    });
  }

  /** Closes and dials again, as it does when it has lost faith in the connection. What was queued is lost. */
  reconnect(): void {
    this.#forgetSocket()?.cut();
    if (!this.#stopped) void this.#dial();
  }

  async #dial(): Promise<void> {
    while (!this.#stopped) {
      this.dials += 1;
      const number = ++this.#sockets;
      const socket = await this.options
        .dial({
          message: (data) => {
            if (number === this.#sockets) this.#hear(data);
          },
          pong: () => this.#extendReading(),
          closed: () => {
            if (number === this.#sockets && this.#socket) this.reconnect();
          },
        })
        .catch(() => undefined);
      this.#wake();
      if (socket) {
        this.#opened(socket);
        return;
      }
      const waitMs = Math.min(30_000, 1_000 * 2 ** this.#failedDials++);
      await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
    }
  }

  #opened(socket: AgentSocket): void {
    if (this.#stopped) return socket.cut();
    this.#socket = socket;
    this.#failedDials = 0;
    this.#unacked = 0;
    this.#silentBeats = 0;
    this.registered = false;
    this.#pings = this.#clock.every(this.#timings.pingMs, () => this.#socket?.ping());
    this.#extendReading();
    if (this.options.registers !== false) this.register();
  }

  #forgetSocket(): AgentSocket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    this.registered = false;
    this.#pings?.cancel();
    this.#readDeadline?.cancel();
    return socket;
  }

  /** Only a pong extends the deadline: data does not. */
  #extendReading(): void {
    this.#readDeadline?.cancel();
    this.#readDeadline = this.#clock.after(this.#timings.readDeadlineMs, () => this.reconnect());
  }

  #beat(): void {
    if (!this.#socket) return;
    if (!this.registered) {
      // Generation A stays silent for ever; later ones give up after three intervals.
      if (this.options.generation !== 'A' && ++this.#silentBeats >= 3) this.reconnect();
      return;
    }
    if (this.#unacked >= 3) return this.reconnect();
    this.#unacked += 1;
    this.heartbeat();
  }

  #hear(data: string | Buffer): void {
    const limit = this.options.generation === 'C' ? 67_108_864 : 1_048_576;
    if (Buffer.byteLength(data) > limit) {
      this.overlong += 1;
      this.reconnect();
      return;
    }
    let message: { type?: string; request_id?: string; payload?: Record<string, unknown> };
    try {
      message = JSON.parse(data.toString());
    } catch {
      return;
    }
    const payload = message.payload ?? {};
    switch (message.type) {
      case 'ack':
        this.#acked(payload);
        break;
      case 'error':
        this.errors.push(payload);
        break;
      case 'inference':
        this.#serve(message.request_id as string, payload);
        break;
      case 'cancel':
        if (this.options.generation === 'C') {
          const id = payload['request_id'] ?? message.request_id;
          for (const served of this.inferences) if (served.id === id) served.cancelled = true;
        } else this.unknownTypes.push('cancel');
        break;
      case 'warmup':
        this.#warm(message.request_id as string, payload['model_id'] as string);
        break;
      default:
        this.unknownTypes.push(String(message.type));
    }
    this.#wake();
  }

  #acked(payload: Record<string, unknown>): void {
    this.acks.push(payload);
    if ('registered_models' in payload) this.lastAck = payload;
    // Any success makes it believe that it is registered.
    if (payload['success'] !== true) return;
    const first = !this.registered;
    this.registered = true;
    this.#unacked = 0;
    if (first) this.health(Object.fromEntries(this.options.models.map((model) => [model, 'healthy'])));
  }

  /** One small request to its backend, whatever the type; what comes of it in an ack. */
  #warm(id: string, modelId: string): void {
    this.warmUps.push(modelId);
    const { warmUp = 'succeeds' } = this.options;
    if (warmUp === 'says nothing') return;
    const known = this.options.models.includes(modelId) && warmUp === 'succeeds';
    this.send('ack', id, {
      request_id: id,
      model_id: modelId,
      success: known,
      load_time_ms: 12,
      ...(!known && { error: 'model not available' }),
    });
  }

  #serve(id: string, payload: Record<string, unknown>): void {
    const served = new Served(this, id, payload);
    this.inferences.push(served);
    (this.options.script ?? answerPlainly)(served);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) each();
  }
}

/** A request that arrived, and what a script may answer. Answers go out on whatever connection there is by then. */
export class Served {
  readonly agent: SwanAgent;
  readonly id: string;
  readonly modelId: string;
  readonly stream: boolean;
  readonly operation: unknown;
  readonly request: Record<string, unknown>;
  cancelled = false;

  constructor(agent: SwanAgent, id: string, payload: Record<string, unknown>) {
    this.agent = agent;
    this.id = id;
    this.modelId = payload['model_id'] as string;
    this.stream = payload['stream'] === true;
    this.operation = payload['operation'];
    this.request = payload['request'] as Record<string, unknown>;
  }

  /** A `stream_chunk` with this chunk, whatever it is. */
  chunk(chunk: unknown, over: Record<string, unknown> = {}): void {
    if (this.cancelled) return;
    this.agent.send('stream_chunk', this.id, { request_id: this.id, chunk, done: false, ...over });
  }

  /** A chunk with a piece of text, as a backend of another name would write it. */
  token(content: string, over: Record<string, unknown> = {}): void {
    this.chunk({
      id: 'chatcmpl-backend',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'local-name',
      choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }],
      ...over,
    });
  }

  role(): void {
    this.chunk(openAiChunk({ role: 'assistant', content: '' }, null));
  }

  finish(reason = 'stop'): void {
    this.chunk(openAiChunk({}, reason));
  }

  usage(prompt: number, completion: number): void {
    this.chunk({
      ...openAiChunk({}, null),
      choices: [],
      usage: {
        completion_tokens: completion,
        prompt_tokens: prompt,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    });
  }

  done(): void {
    this.chunk(null, { done: true });
  }

  end(over: Record<string, unknown> = {}): void {
    if (!this.cancelled)
      this.agent.send('stream_end', this.id, { request_id: this.id, latency_ms: 5, ...over });
  }

  /** The answer to an unstreamed request. */
  result(response: unknown, over: Record<string, unknown> = {}): void {
    if (!this.cancelled)
      this.agent.send('ack', this.id, { request_id: this.id, response, latency_ms: 5, ...over });
  }

  completion(content: string): Record<string, unknown> {
    return {
      id: 'chatcmpl-backend',
      object: 'chat.completion',
      created: 1,
      model: 'local-name',
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    };
  }
}

function openAiChunk(delta: unknown, finish: string | null): Record<string, unknown> {
  return {
    id: 'chatcmpl-backend',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'local-name',
    choices: [{ index: 0, delta, finish_reason: finish }],
  };
}

export type Script = (served: Served) => void;

/** Three words, a usage chunk, the end mark, the end. */
export const answerPlainly: Script = (served) => {
  if (!served.stream) return served.result(served.completion('one two three'));
  served.role();
  for (const word of ['one ', 'two ', 'three']) served.token(word);
  served.finish();
  served.usage(7, 3);
  served.done();
  served.end({ tokens_input: 7, tokens_output: 3 });
};

const DEEP = '['.repeat(200_000) + ']'.repeat(200_000);

/** What a provider may send that no provider should. Each is followed by a plain answer. */
export const HOSTILE: Readonly<Record<string, Script>> = {
  foreignIds: (served) => {
    for (let i = 0; i < 50; i++) {
      served.agent.send('stream_chunk', `att_guess${i}`, {
        request_id: `att_guess${i}`,
        chunk: {},
        done: true,
      });
      served.agent.send('stream_end', `att_guess${i}`, { request_id: `att_guess${i}` });
    }
    answerPlainly(served);
  },
  duplicateEnds: (served) => {
    answerPlainly(served);
    served.end();
    served.token('after the end');
    served.end({ status_code: 500, error: 'again' });
    served.result(served.completion('and again'));
  },
  garbage: (served) => {
    for (const text of ['', '{', 'null', '[]', '"text"', '{"type":5}', '{"type":"stream_chunk"}', '\u0000']) {
      served.agent.raw(text);
    }
    answerPlainly(served);
  },
  stringChunks: (served) => {
    served.chunk('data: {"choices":[]}\n\ndata: [DONE]\n\n');
    served.chunk(5);
    served.chunk([]);
    served.chunk({ choices: 'no' });
    served.chunk({ choices: [null] });
    served.chunk({ choices: ['\n\ndata: [DONE]\n\n'] });
    answerPlainly(served);
  },
  newlines: (served) => {
    served.token('a\n\ndata: [DONE]\n\nb\r\r', {
      id: 'x\n\ndata: [DONE]\n\n',
      model: 'y\r\nevent: z',
      'key\n\ndata: [DONE]\n\n': 'v\n\n',
    });
    answerPlainly(served);
  },
  prototype: (served) => {
    const chunk =
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},' +
      '"choices":[{"index":0,"delta":{"content":"x","__proto__":{"polluted":1}}}]}';
    served.agent.raw(
      `{"type":"stream_chunk","request_id":"${served.id}","__proto__":{"polluted":1},"payload":{"request_id":"${served.id}","chunk":${chunk}}}`,
    );
    answerPlainly(served);
  },
  deep: (served) => {
    served.agent.raw(
      `{"type":"stream_chunk","request_id":"${served.id}","payload":{"request_id":"${served.id}","chunk":{"choices":[{"delta":${DEEP}}]}}}`,
    );
    served.agent.raw(
      `{"type":"stream_chunk","request_id":"${served.id}","payload":{"request_id":"${served.id}","chunk":{"choices":[{"delta":{"x":${DEEP}}}]}}}`,
    );
    served.agent.raw(DEEP);
    answerPlainly(served);
  },
};

export interface SwanAgentOptions {
  readonly generation: 'A' | 'B' | 'C';
  readonly token: string;
  readonly nodeId: string;
  /** The models that are ready. A test may change the list and call `register`. */
  models: string[];
  readonly clock: Clock;
  readonly dial: Dial;
  script?: Script;
  /** Fields that its registrations carry besides, or instead. */
  readonly register?: Record<string, unknown>;
  /** What it says when it is asked to warm up. By default that it did. */
  readonly warmUp?: 'succeeds' | 'fails' | 'says nothing';
  /** False: it connects and says nothing. */
  readonly registers?: boolean;
  readonly timings?: Partial<SwanTimings>;
}

export interface SwanTimings {
  readonly heartbeatMs: number;
  readonly pingMs: number;
  readonly readDeadlineMs: number;
}

const SWAN_TIMINGS: SwanTimings = { heartbeatMs: 30_000, pingMs: 54_000, readDeadlineMs: 60_000 };

/** Opens a connection; rejects when the hub does not take it. */
export type Dial = (on: {
  message(data: string | Buffer): void;
  pong(): void;
  closed(): void;
}) => Promise<AgentSocket>;

export interface AgentSocket {
  send(data: string | Buffer): void;
  ping(): void;
  /** Ends without a close frame. */
  cut(): void;
}

/** Dials a real hub. */
export function dialSocket(url: string): Dial {
  return (on) =>
    new Promise((resolve, reject) => {
      const ws = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: 10_000 });
      ws.on('message', (data, isBinary) =>
        on.message(isBinary ? (data as Buffer) : (data as Buffer).toString()),
      );
      ws.on('pong', () => on.pong());
      ws.on('close', () => on.closed());
      ws.on('error', reject);
      ws.on('open', () =>
        resolve({ send: (data) => ws.send(data), ping: () => ws.ping(), cut: () => ws.terminate() }),
      );
    });
}

/** Connects to a hub in memory: `attach` is the hub's own. Pings are answered at once, as any WebSocket does. */
export function dialMemory(attach: (transport: MemoryTransport) => unknown, address?: string): Dial {
  return (on) => {
    const transport = new MemoryTransport(address);
    transport.toAgent = (data) => on.message(data);
    transport.agentHearsClose = () => on.closed();
    attach(transport);
    return Promise.resolve({
      send: (data) => transport.arrive(data),
      ping: () => on.pong(),
      cut: () => transport.cut(),
    });
  };
}
