import { Agent, type Dispatcher } from 'undici';

/**
 * A client of the consumer API for tests: it looks at the bytes as they come, keeps each connection to one request unless
 * told otherwise, and can leave in the middle. (That real clients work too is for `test/compat`.)
 */
export interface Asked {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly text: string;
  /** The body as JSON; throws when it is none. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
  readonly json: any;
}

const agent = new Agent({ connections: null, pipelining: 1, headersTimeout: 60_000, bodyTimeout: 60_000 });

interface Ask {
  readonly url: string;
  readonly key?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly method?: Dispatcher.HttpMethod;
  readonly path?: string;
}

function send({ url, key, body, headers, method = 'POST', path = '/v1/chat/completions' }: Ask) {
  const sent = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return agent.request({
    origin: url,
    path,
    method,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(sent !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(sent !== undefined && { body: sent }),
  });
}

/** Asks and reads the whole answer. */
export async function ask(what: Ask): Promise<Asked> {
  const response = await send(what);
  const text = await response.body.text();
  return {
    status: response.statusCode,
    headers: response.headers as Record<string, string>,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

/** Asks for a streamed answer; resolves when its head is there. */
export async function askStream(what: Ask & { body: object }): Promise<ChatStream> {
  const response = await send({ ...what, body: { ...what.body, stream: true } });
  return new ChatStream(response);
}

export interface SseEvent {
  readonly event: string | undefined;
  readonly data: string;
}

/** A streamed answer as it arrives. */
export class ChatStream {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly events: SseEvent[] = [];
  /** `end`: the answer came to its end. `cut`: the connection broke, or we left. */
  readonly ended: Promise<'end' | 'cut'>;
  readonly #body: Dispatcher.ResponseData['body'];
  #rest = '';
  #bytes = '';
  #waiting: (() => void)[] = [];
  #over = false;

  constructor(response: Dispatcher.ResponseData) {
    this.status = response.statusCode;
    this.headers = response.headers as Record<string, string>;
    this.#body = response.body;
    this.ended = this.#read();
  }

  /** Resolves when at least `count` tokens have come, or the answer is over. */
  async tokens(count: number): Promise<void> {
    while (this.words.length < count && !this.#over) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Leaves: the connection is closed. */
  leave(): void {
    this.#body.destroy();
  }

  /** Everything that came, as it came. */
  get bytes(): string {
    return this.#bytes;
  }

  /** The chunks of the completion, parsed. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
  get chunks(): any[] {
    return this.events
      .filter(({ event, data }) => event === undefined && data !== '[DONE]')
      .map(({ data }) => JSON.parse(data));
  }

  /** The pieces of text that are not empty. */
  get words(): string[] {
    return this.chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').filter((text) => text !== '');
  }

  get text(): string {
    return this.words.join('');
  }

  /** Whether the answer said that it is complete. */
  get done(): boolean {
    return this.events.some(({ data }) => data === '[DONE]');
  }

  /** The body of the `error` event, if one came. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
  get error(): any {
    const found = this.events.find(({ event }) => event === 'error');
    return found && JSON.parse(found.data);
  }

  async #read(): Promise<'end' | 'cut'> {
    try {
      for await (const part of this.#body.setEncoding('utf8') as AsyncIterable<string>) {
        this.#bytes += part;
        this.#rest += part;
        const blocks = this.#rest.split('\n\n');
        this.#rest = blocks.pop() as string;
        for (const block of blocks) this.events.push(eventOf(block));
        this.#wake();
      }
      return this.#rest === '' ? 'end' : 'cut';
    } catch {
      return 'cut';
    } finally {
      this.#over = true;
      this.#wake();
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

function eventOf(block: string): SseEvent {
  let event: string | undefined;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) event = line.slice('event: '.length);
    else if (line.startsWith('data: ')) data.push(line.slice('data: '.length));
  }
  return { event, data: data.join('\n') };
}

/** A short prompt. */
export const HELLO = [{ role: 'user', content: 'Say hello, please.' }];
