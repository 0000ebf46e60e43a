import { type Chat, readChat, thoughtsOf } from './chat.ts';
import type { ResponsesAsk } from './responses-to-chat.ts';
import { type ErrorBody, namedEvent, type StreamTranslation, type Translation } from './translation.ts';

/** A chat's answer as OpenAI's Responses API shows it. */
export const responses: Translation<ResponsesAsk> = {
  whole(completion, ask) {
    const chat = readChat(completion);
    const { said } = chat;
    const items = new Items(chat.id);
    const thoughts = thoughtsOf(said);
    if (thoughts !== '') items.reasoning(thoughts);
    const text = said.content ?? '';
    const calls = said.tool_calls ?? [];
    if (text !== '' || (calls.length === 0 && !said.refusal)) items.message(text);
    if (said.refusal) items.refusal(said.refusal);
    for (const [index, call] of calls.entries()) {
      items.call(call.id ?? `call_${index}`, call.function?.name ?? '', call.function?.arguments ?? '');
    }
    return responseOf(chat, ask.echo, { output: items.list, finish: chat.finish, usage: chat.usage });
  },
  stream: (ask) => new ResponseStream(ask.echo),
  error: (error) => ({ error }),
};

type Fields = Record<string, unknown>;

/** The parts of an answer, each with an id of its own that follows from the chat's. */
class Items {
  readonly list: Fields[] = [];
  readonly #stem: string;

  constructor(chatId: string) {
    this.#stem = stemOf(chatId);
  }

  reasoning(text: string): Fields {
    return this.#add('rs', {
      type: 'reasoning',
      summary: [],
      content: [{ type: 'reasoning_text', text }],
      status: 'completed',
    });
  }

  message(text: string): Fields {
    return this.#add('msg', {
      type: 'message',
      status: 'completed',
      role: 'assistant',
      content: [textPart(text)],
    });
  }

  refusal(refusal: string): Fields {
    return this.#add('msg', {
      type: 'message',
      status: 'completed',
      role: 'assistant',
      content: [{ type: 'refusal', refusal }],
    });
  }

  call(callId: string, name: string, args: string): Fields {
    return this.#add('fc', {
      type: 'function_call',
      status: 'completed',
      call_id: callId,
      name,
      arguments: args,
    });
  }

  #add(prefix: string, item: Fields): Fields {
    const added = { id: `${prefix}_${this.#stem}_${this.list.length}`, ...item };
    this.list.push(added);
    return added;
  }
}

function stemOf(chatId: string): string {
  return chatId.replace(/^chatcmpl-/, '');
}

function textPart(text: string): Fields {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function responseOf(
  chat: Pick<Chat, 'id' | 'created' | 'model'>,
  echo: Readonly<Fields>,
  about: { output: readonly Fields[]; finish: string | undefined; usage: Chat['usage']; status?: string },
): Fields {
  const cut =
    about.finish === 'length'
      ? 'max_output_tokens'
      : about.finish === 'content_filter'
        ? 'content_filter'
        : undefined;
  const { usage } = about;
  return {
    id: `resp_${stemOf(chat.id)}`,
    object: 'response',
    created_at: chat.created,
    status: about.status ?? (cut === undefined ? 'completed' : 'incomplete'),
    background: false,
    error: null,
    incomplete_details: cut === undefined ? null : { reason: cut },
    model: chat.model,
    output: about.output,
    ...echo,
    usage: usage
      ? {
          input_tokens: usage.input,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: usage.output,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: usage.input + usage.output,
        }
      : null,
    user: null,
  };
}

/** A part of the answer that is being written. */
type Open = { index: number; item: Fields; call: number } & (
  | { kind: 'text' | 'reasoning'; text: string }
  | { kind: 'call'; text: string }
);

/** The events of a streamed response. Parts come one after the other: one is closed when another begins. */
class ResponseStream implements StreamTranslation {
  readonly #echo: Readonly<Fields>;
  readonly #output: Fields[] = [];
  #chat: Pick<Chat, 'id' | 'created' | 'model'> | undefined;
  #open: Open | undefined;
  #sequence = 0;
  #finish: string | undefined;
  #usage: Chat['usage'];

  constructor(echo: Readonly<Fields>) {
    this.#echo = echo;
  }

  chunk(value: unknown): string {
    const chat = readChat(value);
    const { said } = chat;
    let text = this.#chat ? '' : this.#begin(chat);
    const thoughts = thoughtsOf(said);
    if (thoughts !== '') text += this.#write('reasoning', 0, thoughts);
    const words = said.content ?? said.refusal ?? '';
    if (words !== '') text += this.#write('text', 0, words);
    for (const [place, call] of (said.tool_calls ?? []).entries()) {
      const index = call.index ?? place;
      const about = { id: call.id ?? `call_${index}`, name: call.function?.name ?? '' };
      text += this.#write('call', index, call.function?.arguments ?? '', about);
    }
    this.#finish = chat.finish ?? this.#finish;
    this.#usage = chat.usage ?? this.#usage;
    return text;
  }

  end(): string {
    let text = this.#chat ? '' : this.#begin(readChat({}));
    if (this.#output.length === 0 && !this.#open) text += this.#write('text', 0, '');
    text += this.#close();
    const response = this.#response();
    return text + this.#event(`response.${response['status'] as string}`, { response });
  }

  broken(error: ErrorBody): string {
    const { code, message } = error;
    const response = { ...this.#response('failed'), error: { code, message } };
    return this.#event('response.failed', { response });
  }

  #begin(chat: Chat): string {
    this.#chat = chat;
    const response = this.#response('in_progress');
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  #response(status?: string): Fields {
    const chat = this.#chat ?? { id: '', created: 0, model: '' };
    return responseOf(chat, this.#echo, {
      output: [...this.#output],
      finish: this.#finish,
      usage: this.#usage,
      ...(status !== undefined && { status }),
    });
  }

  #write(kind: Open['kind'], call: number, piece: string, about?: { id: string; name: string }): string {
    let text = '';
    if (this.#open?.kind !== kind || this.#open.call !== call) {
      text += this.#close() + this.#start(kind, call, about);
    }
    const open = this.#open as Open;
    open.text += piece;
    if (piece === '') return text;
    const place = { item_id: open.item['id'], output_index: open.index };
    if (kind === 'call')
      return text + this.#event('response.function_call_arguments.delta', { ...place, delta: piece });
    const inner = { ...place, content_index: 0, delta: piece };
    if (kind === 'reasoning') return text + this.#event('response.reasoning_text.delta', inner);
    return text + this.#event('response.output_text.delta', { ...inner, logprobs: [] });
  }

  #start(kind: Open['kind'], call: number, about?: { id: string; name: string }): string {
    const stem = stemOf(this.#chat?.id ?? '');
    const index = this.#output.length;
    const item = beginning(kind, `${stem}_${index}`, about);
    this.#open = { kind, call, index, item, text: '' };
    const added = this.#event('response.output_item.added', { output_index: index, item });
    if (kind === 'call') return added;
    const part = kind === 'text' ? textPart('') : { type: 'reasoning_text', text: '' };
    return (
      added +
      this.#event('response.content_part.added', {
        item_id: item['id'],
        output_index: index,
        content_index: 0,
        part,
      })
    );
  }

  #close(): string {
    const open = this.#open;
    if (!open) return '';
    this.#open = undefined;
    const { text, index, kind } = open;
    const place = { item_id: open.item['id'], output_index: index };
    let events: string;
    let item: Fields;
    if (kind === 'call') {
      item = { ...open.item, arguments: text, status: 'completed' };
      events = this.#event('response.function_call_arguments.done', {
        ...place,
        name: open.item['name'],
        arguments: text,
      });
    } else {
      const part = kind === 'text' ? textPart(text) : { type: 'reasoning_text', text };
      item = { ...open.item, content: [part], status: 'completed' };
      const done = kind === 'text' ? 'response.output_text.done' : 'response.reasoning_text.done';
      events = this.#event(done, {
        ...place,
        content_index: 0,
        text,
        ...(kind === 'text' && { logprobs: [] }),
      });
      events += this.#event('response.content_part.done', { ...place, content_index: 0, part });
    }
    this.#output.push(item);
    return events + this.#event('response.output_item.done', { output_index: index, item });
  }

  #event(type: string, about: Fields): string {
    return namedEvent({ type, sequence_number: this.#sequence++, ...about });
  }
}

/** A part before anything of it was written. */
function beginning(kind: Open['kind'], stem: string, about?: { id: string; name: string }): Fields {
  if (kind === 'reasoning')
    return { id: `rs_${stem}`, type: 'reasoning', status: 'in_progress', summary: [], content: [] };
  if (kind === 'text')
    return { id: `msg_${stem}`, type: 'message', status: 'in_progress', role: 'assistant', content: [] };
  return {
    id: `fc_${stem}`,
    type: 'function_call',
    status: 'in_progress',
    call_id: about?.id ?? '',
    name: about?.name ?? '',
    arguments: '',
  };
}
