import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A double of an OpenAI-compatible server as others run it. It keeps what it was asked and answers with what the test
 * says; the list of models is as the test says too.
 */
export class Upstream {
  readonly asked: Asked[] = [];
  /** How often the list of models was asked for. */
  checks = 0;
  models: readonly string[] = ['local-name'];
  /** The status of the list of models. */
  modelsStatus = 200;
  /** Where a key is wanted: others get 401. */
  key: string | undefined;
  answer: (turn: UpstreamTurn) => void = (turn) => answerAs('openai', ['Hello', ' there'], turn);
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  static async open(): Promise<Upstream> {
    const upstream = new Upstream();
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      if (this.key !== undefined && request.headers.authorization !== `Bearer ${this.key}`) {
        return json(response, 401, { error: { message: 'Incorrect API key', code: 'invalid_api_key' } });
      }
      if (request.method === 'GET') {
        this.checks += 1;
        const data = this.models.map((id) => ({ id, object: 'model' }));
        return json(response, this.modelsStatus, { object: 'list', data });
      }
      const bytes = Buffer.concat(parts);
      const isJson = request.headers['content-type'] === 'application/json';
      const asked: Asked = {
        path: request.url ?? '',
        headers: request.headers,
        bytes,
        body: isJson ? JSON.parse(bytes.toString()) : undefined,
      };
      this.asked.push(asked);
      this.answer({ ...asked, response });
    });
  }
}

export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
  readonly body: any;
}

export interface UpstreamTurn extends Asked {
  readonly response: ServerResponse;
}

export function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** Begins an event stream; answers how to write events into it. */
export function events(response: ServerResponse): (...values: unknown[]) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  return (...values) => {
    for (const value of values)
      response.write(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`);
  };
}

export const DIALECTS = ['openai', 'vllm', 'tgi', 'llama.cpp'] as const;
export type ServerDialect = (typeof DIALECTS)[number];

/** Answers a chat with these words, as this server writes it, streamed or whole as it was asked. */
export function answerAs(dialect: ServerDialect, words: readonly string[], turn: UpstreamTurn): void {
  const usage = { prompt_tokens: 6, completion_tokens: words.length, total_tokens: 6 + words.length };
  const head = (object: string): Record<string, unknown> => ({
    id: dialect === 'tgi' ? '' : 'chatcmpl-upstream',
    object,
    created: 1_700_000_000,
    model: 'local-name',
    ...HEADS[dialect],
  });
  if (!turn.body.stream) {
    const message = {
      role: 'assistant',
      content: words.join(''),
      ...(dialect === 'vllm' && { tool_calls: [] }),
    };
    return json(turn.response, 200, {
      ...head('chat.completion'),
      choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
      usage,
    });
  }
  const write = events(turn.response);
  const chunk = (delta: unknown, finish: string | null, more: object = {}): unknown => ({
    ...head('chat.completion.chunk'),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...more,
  });
  switch (dialect) {
    case 'openai':
      // The role alone comes first, `usage: null` stands in every chunk, and the usage comes alone at the end.
      write(chunk({ role: 'assistant', content: '', refusal: null }, null, { usage: null }));
      for (const word of words) write(chunk({ content: word }, null, { usage: null }));
      write(
        chunk({}, 'stop', { usage: null }),
        { ...head('chat.completion.chunk'), choices: [], usage },
        '[DONE]',
      );
      break;
    case 'vllm':
      write(chunk({ role: 'assistant', content: '' }, null));
      for (const word of words) write(chunk({ content: word, reasoning_content: null }, null));
      write(chunk({ content: '' }, 'stop', { stop_reason: null }));
      write({ ...head('chat.completion.chunk'), choices: [], usage }, '[DONE]');
      break;
    case 'tgi':
      // Comments keep the line open, there is no space behind the colon, and the role stands in every chunk.
      turn.response.write(': keep-alive\n\n');
      for (const word of words)
        turn.response.write(`data:${JSON.stringify(chunk({ role: 'assistant', content: word }, null))}\n\n`);
      turn.response.write(
        `data:${JSON.stringify(chunk({ role: 'assistant', content: '' }, 'stop', { usage: null }))}\n\n`,
      );
      turn.response.write(
        `data:${JSON.stringify({ ...head('chat.completion.chunk'), choices: [], usage })}\n\n`,
      );
      turn.response.write('data: [DONE]\n\n');
      break;
    case 'llama.cpp':
      // The usage comes with the finish in a chunk of its own, beside timings of the server's own.
      write(chunk({ role: 'assistant', content: null }, null));
      for (const word of words) write(chunk({ content: word }, null));
      write(chunk({}, 'stop'));
      write({ ...head('chat.completion.chunk'), choices: [], usage, timings: { predicted_n: words.length } });
      write('[DONE]');
      break;
  }
  turn.response.end();
}

const HEADS: Readonly<Record<ServerDialect, Record<string, unknown>>> = {
  openai: { service_tier: 'default', system_fingerprint: 'fp_1' },
  vllm: { prompt_logprobs: null },
  tgi: { system_fingerprint: '3.3.4-native' },
  'llama.cpp': { system_fingerprint: 'b6000-1' },
};
