import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A double of a model server that speaks OpenAI's chat completions, as vLLM and others do. It keeps what it was asked,
 * word for word, and answers with what the test says.
 */
export class OpenAiBackend {
  /** The bodies that were asked, oldest first. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
  readonly asked: any[] = [];
  readonly headers: IncomingMessage['headers'][] = [];
  /** What it answers; replaced by a test. */
  answer: (turn: Turn) => void = answerWords('Hello', ' there');
  /** What it calls the models that it has. */
  names = ['local-name'];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      request.on('end', () => {
        if (request.method === 'GET') {
          response.setHeader('content-type', 'application/json');
          response.statusCode = request.url === '/v1/models' ? 200 : 404;
          const data = this.names.map((id) => ({ id, object: 'model' }));
          response.end(JSON.stringify({ object: 'list', data }));
          return;
        }
        this.asked.push(JSON.parse(text));
        this.headers.push(request.headers);
        this.answer({ request: this.asked.at(-1), response });
      });
    });
  }

  static async open(): Promise<OpenAiBackend> {
    const backend = new OpenAiBackend();
    await new Promise<void>((resolve) => backend.#server.listen(0, '127.0.0.1', resolve));
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** As `--model` wants it, with the name that the model has here. */
  get source(): string {
    return `${this.url}/v1#${this.names[0]}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export interface Turn {
  // oxlint-disable-next-line typescript/no-explicit-any -- a test reads what it expects
  readonly request: any;
  readonly response: ServerResponse;
}

const LOCAL = { id: 'cmpl-local', created: 1, model: 'local-name' };

/** Answers with these words, streamed or not as it was asked, and says what that took. */
export function answerWords(...words: readonly string[]): (turn: Turn) => void {
  return (turn) => {
    const usage = { prompt_tokens: 6, completion_tokens: words.length, total_tokens: 6 + words.length };
    if (!turn.request.stream) {
      answerWhole(
        turn,
        [{ index: 0, message: { role: 'assistant', content: words.join('') }, finish_reason: 'stop' }],
        usage,
      );
      return;
    }
    answerChoices(
      turn,
      [
        ...words.map((content) => ({ index: 0, delta: { content }, finish_reason: null })),
        { index: 0, delta: {}, finish_reason: 'stop' },
      ],
      usage,
    );
  };
}

/** Answers an unstreamed request with these choices. */
export function answerWhole({ response }: Turn, choices: readonly unknown[], usage?: object): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ ...LOCAL, object: 'chat.completion', choices, ...(usage && { usage }) }));
}

/** Streams these choices, one an event, and ends as a good server does. */
export function answerChoices(turn: Turn, choices: readonly unknown[], usage?: object): void {
  beginStream(turn, choices);
  if (usage) writeEvent(turn, { choices: [], usage });
  turn.response.end('data: [DONE]\n\n');
}

/** Streams these choices and leaves the answer open. */
export function beginStream(turn: Turn, choices: readonly unknown[]): void {
  turn.response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const index of new Set(choices.map((choice) => (choice as { index: number }).index))) {
    const delta = { role: 'assistant', content: '' };
    writeEvent(turn, { choices: [{ index, delta, logprobs: null, finish_reason: null }] });
  }
  for (const choice of choices) writeEvent(turn, { choices: [choice] });
}

function writeEvent({ response }: Turn, fields: object): void {
  response.write(`data: ${JSON.stringify({ ...LOCAL, object: 'chat.completion.chunk', ...fields })}\n\n`);
}
