import { argumentsOf, type Chat, readChat, thoughtsOf } from './chat.ts';
import type { MessagesAsk } from './messages-to-chat.ts';
import { type ErrorBody, namedEvent, type StreamTranslation, type Translation } from './translation.ts';

/** A chat's answer as Anthropic's Messages API shows it. */
export const messages: Translation<MessagesAsk> = {
  whole(completion, ask) {
    const chat = readChat(completion);
    const { said, usage } = chat;
    const thoughts = ask.showsThoughts ? thoughtsOf(said) : '';
    const text = said.content ?? said.refusal ?? '';
    const calls = said.tool_calls ?? [];
    return {
      ...opening(chat),
      content: [
        ...(thoughts === '' ? [] : [{ type: 'thinking', thinking: thoughts, signature: '' }]),
        ...(text === '' && calls.length > 0 ? [] : [{ type: 'text', text }]),
        ...calls.map((call, index) => ({
          type: 'tool_use',
          id: call.id ?? `toolu_${index}`,
          name: call.function?.name ?? '',
          input: argumentsOf(call.function?.arguments ?? ''),
        })),
      ],
      stop_reason: stopReason(chat.finish, calls.length > 0),
      usage: { input_tokens: usage?.input ?? 0, output_tokens: usage?.output ?? 0 },
    };
  },
  stream: (ask) => new MessageStream(ask.showsThoughts),
  headers: (requestId) => ['request-id', requestId],
  error: (error, { status, requestId }) => ({ ...errorOf(error, status), request_id: requestId }),
};

function opening(chat: Chat): Record<string, unknown> {
  return {
    id: `msg_${chat.id.replace(/^chatcmpl-/, '')}`,
    type: 'message',
    role: 'assistant',
    model: chat.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 0, output_tokens: 0 },
  };
}

function stopReason(finish: string | undefined, called: boolean): string {
  switch (finish) {
    case 'length':
      return 'max_tokens';
    case 'tool_calls':
    case 'function_call':
      return 'tool_use';
    case 'content_filter':
      return 'refusal';
    default:
      // Some servers say `stop` after a call; a client would never run it.
      return called ? 'tool_use' : 'end_turn';
  }
}

const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

function errorOf(error: ErrorBody, status: number): Record<string, unknown> & { type: string } {
  const type = TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
  return { type: 'error', error: { type, message: error.message } };
}

type BlockKind = 'text' | 'thinking' | 'tool';

/**
 * The events of a streamed message. Blocks come one after the other: one is closed when another begins. What was read is
 * known only at the end, so the message opens with zero and the last event has the counts.
 */
class MessageStream implements StreamTranslation {
  readonly #showsThoughts: boolean;
  #opened = false;
  #block: { kind: BlockKind; call: number } | undefined;
  #index = -1;
  #called = false;
  #finish: string | undefined;
  #usage: Chat['usage'];

  constructor(showsThoughts: boolean) {
    this.#showsThoughts = showsThoughts;
  }

  chunk(value: unknown): string {
    const chat = readChat(value);
    const { said } = chat;
    let text = '';
    if (!this.#opened) {
      this.#opened = true;
      text += namedEvent({ type: 'message_start', message: opening(chat) });
    }
    const thoughts = this.#showsThoughts ? thoughtsOf(said) : '';
    if (thoughts !== '') {
      text += this.#enter('thinking', 0, { type: 'thinking', thinking: '', signature: '' });
      text += this.#delta({ type: 'thinking_delta', thinking: thoughts });
    }
    const words = said.content ?? said.refusal ?? '';
    if (words !== '') {
      text += this.#enter('text', 0, { type: 'text', text: '' });
      text += this.#delta({ type: 'text_delta', text: words });
    }
    for (const [place, call] of (said.tool_calls ?? []).entries()) {
      const index = call.index ?? place;
      this.#called = true;
      text += this.#enter('tool', index, {
        type: 'tool_use',
        id: call.id ?? `toolu_${index}`,
        name: call.function?.name ?? '',
        input: {},
      });
      const piece = call.function?.arguments ?? '';
      if (piece !== '') text += this.#delta({ type: 'input_json_delta', partial_json: piece });
    }
    this.#finish = chat.finish ?? this.#finish;
    this.#usage = chat.usage ?? this.#usage;
    return text;
  }

  end(): string {
    let text = this.#opened ? '' : this.chunk({});
    // A message without a block is one that clients do not expect.
    if (this.#index < 0) text += this.#enter('text', 0, { type: 'text', text: '' });
    text += this.#leave();
    text += namedEvent({
      type: 'message_delta',
      delta: { stop_reason: stopReason(this.#finish, this.#called), stop_sequence: null },
      usage: { input_tokens: this.#usage?.input ?? 0, output_tokens: this.#usage?.output ?? 0 },
    });
    return text + namedEvent({ type: 'message_stop' });
  }

  broken(error: ErrorBody): string {
    return namedEvent(errorOf(error, 500));
  }

  #enter(kind: BlockKind, call: number, block: Record<string, unknown>): string {
    if (this.#block?.kind === kind && this.#block.call === call) return '';
    const text = this.#leave();
    this.#block = { kind, call };
    this.#index += 1;
    return text + namedEvent({ type: 'content_block_start', index: this.#index, content_block: block });
  }

  #delta(delta: Record<string, unknown>): string {
    return namedEvent({ type: 'content_block_delta', index: this.#index, delta });
  }

  #leave(): string {
    if (!this.#block) return '';
    this.#block = undefined;
    return namedEvent({ type: 'content_block_stop', index: this.#index });
  }
}
