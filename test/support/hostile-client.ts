import http from 'node:http';

/**
 * A client that sees everything: the very bytes of an answer, how it ended, and each event as it comes, so that it can
 * hang up at any of them.
 */
export interface ChatAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** The body as it came. */
  readonly body: string;
  /** The `data:` of each event but `[DONE]`, parsed, in order. */
  readonly events: readonly Record<string, unknown>[];
  /** The text of all deltas of choice 0. */
  readonly text: string;
  /** `done`: the answer ended with `[DONE]`. `error`: with an error event. `plain`: no stream. `cut`: the socket broke. */
  readonly ending: 'done' | 'error' | 'plain' | 'cut' | 'open';
  readonly error: { code?: string; message?: string; type?: string } | undefined;
}

export interface ChatAsk {
  readonly baseUrl: string;
  readonly key: string;
  readonly body: Record<string, unknown> | string | Buffer;
  readonly headers?: Record<string, string>;
  /** Told of each event as it arrives, with a way to hang up and one to stop reading. */
  readonly onEvent?: (count: number, connection: { hangUp(): void; pause(): void; resume(): void }) => void;
}

/** Asks for a chat completion and resolves when the answer is over, however it ended. Never rejects for the server's doing. */
export function chat(ask: ChatAsk): Promise<ChatAnswer> {
  const body =
    typeof ask.body === 'string' || Buffer.isBuffer(ask.body) ? ask.body : JSON.stringify(ask.body);
  return new Promise((resolve) => {
    let text = '';
    let status = 0;
    let headers: http.IncomingHttpHeaders = {};
    let seen = 0;
    let over = false;
    const finish = (whole: boolean): void => {
      if (over) return;
      over = true;
      resolve(answerOf(status, headers, text, whole));
    };
    const request = http.request(
      `${ask.baseUrl}/v1/chat/completions`,
      {
        method: 'POST',
        agent: false,
        headers: {
          authorization: `Bearer ${ask.key}`,
          'content-type': 'application/json',
          ...ask.headers,
        },
      },
      (response) => {
        status = response.statusCode ?? 0;
        headers = response.headers;
        response.setEncoding('utf8');
        const connection = {
          hangUp: () => request.destroy(),
          pause: () => void response.pause(),
          resume: () => void response.resume(),
        };
        response.on('data', (part: string) => {
          text += part;
          const now = text.split('\n\n').length - 1;
          while (seen < now) {
            seen += 1;
            ask.onEvent?.(seen, connection);
          }
        });
        response.on('end', () => finish(true));
        response.on('close', () => finish(response.complete));
        response.on('error', () => finish(false));
      },
    );
    request.on('error', () => finish(false));
    request.end(body);
  });
}

function answerOf(
  status: number,
  headers: http.IncomingHttpHeaders,
  body: string,
  whole: boolean,
): ChatAnswer {
  const streamed = headers['content-type']?.startsWith('text/event-stream') ?? false;
  const events: Record<string, unknown>[] = [];
  let text = '';
  let ending: ChatAnswer['ending'] = whole ? (streamed ? 'open' : 'plain') : 'cut';
  let error: ChatAnswer['error'];
  if (streamed) {
    for (const block of body.split('\n\n').slice(0, -1)) {
      const lines = block.split('\n');
      const data = lines.find((line) => line.startsWith('data: '))?.slice(6) ?? '';
      if (data === '[DONE]') {
        if (whole) ending = 'done';
        continue;
      }
      const event = JSON.parse(data) as Record<string, unknown>;
      events.push(event);
      if (event['error']) {
        error = event['error'];
        ending = 'error';
      }
      const choices = event['choices'] as { index?: number; delta?: { content?: string } }[] | undefined;
      for (const choice of choices ?? []) if ((choice.index ?? 0) === 0) text += choice.delta?.content ?? '';
    }
  } else if (body.startsWith('{')) {
    const parsed = JSON.parse(body);
    error = parsed.error;
    text = parsed.choices?.[0]?.message?.content ?? '';
  }
  return { status, headers, body, events, text, ending, error };
}

/** The smallest streamed request; `over` adds or replaces fields. */
export function streamBody(model: string, over: Record<string, unknown> = {}): Record<string, unknown> {
  return { model, stream: true, messages: [{ role: 'user', content: 'Hi' }], ...over };
}
