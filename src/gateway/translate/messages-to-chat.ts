import { Fault } from '#kit/fault.ts';
import { type MessagesRequest, messagesRequestSchema } from '#wire/anthropic/messages.ts';
import { type BodyLimits, type ChatRequest, readChatRequest } from '../body.ts';
import { readBySchema } from '../read-json.ts';

/** An Anthropic request, read, with the chat request that it becomes. */
export interface MessagesAsk extends ChatRequest {
  readonly body: Uint8Array;
  /** What a model thinks is shown only to who asked for it. */
  readonly showsThoughts: boolean;
}

type Fields = Record<string, unknown>;

export function readMessagesRequest(bytes: Buffer, limits: BodyLimits): MessagesAsk | Fault {
  const request = readBySchema(bytes, messagesRequestSchema);
  if (request instanceof Fault) return request;
  const body = Buffer.from(JSON.stringify(chatOfMessages(request)));
  const chat = readChatRequest(body, limits);
  if (chat instanceof Fault) return chat;
  const showsThoughts = request.thinking !== undefined && request.thinking?.type !== 'disabled';
  return { ...chat, includeUsage: true, body, showsThoughts: showsThoughts && request.thinking !== null };
}

/** The chat request that asks the same. */
export function chatOfMessages(request: MessagesRequest): Fields {
  const { tools, tool_choice: choice, stop_sequences: stop } = request;
  const parallel =
    choice && 'disable_parallel_tool_use' in choice ? choice.disable_parallel_tool_use : undefined;
  return {
    model: request.model,
    messages: [
      ...systemMessages(request.system),
      ...request.messages.flatMap((message) =>
        message.role === 'user' ? userMessages(message.content) : [assistantMessage(message.content)],
      ),
    ],
    max_tokens: request.max_tokens,
    ...given({ temperature: request.temperature, top_p: request.top_p, top_k: request.top_k }),
    ...(stop && stop.length > 0 && { stop }),
    ...(tools && tools.length > 0 && { tools: tools.map(toolOf) }),
    ...(choice && { tool_choice: choiceOf(choice) }),
    ...(parallel === true && { parallel_tool_calls: false }),
    ...(request.stream && { stream: true, stream_options: { include_usage: true } }),
  };
}

function systemMessages(system: MessagesRequest['system']): Fields[] {
  const text = typeof system === 'string' ? system : (system ?? []).map((block) => block.text).join('\n\n');
  return text === '' ? [] : [{ role: 'system', content: text }];
}

type Content<R> = Extract<MessagesRequest['messages'][number], { role: R }>['content'];
type Block<R> = Exclude<Content<R>, string>[number];

/** Results of tools are messages of their own, and come before what the user says to them. */
function userMessages(content: Content<'user'>): Fields[] {
  if (typeof content === 'string') return [{ role: 'user', content }];
  const messages: Fields[] = [];
  const parts: Fields[] = [];
  for (const block of content) {
    if (block.type !== 'tool_result') {
      parts.push(partOf(block));
      continue;
    }
    const inner = typeof block.content === 'string' ? [] : (block.content ?? []);
    const texts = inner.flatMap((each) => (each.type === 'text' ? [each.text] : []));
    const text = typeof block.content === 'string' ? block.content : texts.join('\n');
    messages.push({
      role: 'tool',
      tool_call_id: block.tool_use_id,
      content: block.is_error ? `Error: ${text}` : text,
    });
    // A tool's message holds text only; what it shows besides, the user shows.
    for (const each of inner) if (each.type !== 'text') parts.push(partOf(each));
  }
  if (parts.length > 0) messages.push({ role: 'user', content: plainWherePossible(parts) });
  return messages;
}

function partOf(block: Exclude<Block<'user'>, { type: 'tool_result' }>): Fields {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text };
    case 'image': {
      const { source } = block;
      const url = source.type === 'url' ? source.url : `data:${source.media_type};base64,${source.data}`;
      return { type: 'image_url', image_url: { url } };
    }
    default: {
      const { source, title } = block;
      if (source.type === 'text')
        return { type: 'text', text: title ? `${title}\n\n${source.data}` : source.data };
      const file = {
        filename: title ?? 'document',
        file_data: `data:${source.media_type};base64,${source.data}`,
      };
      return { type: 'file', file };
    }
  }
}

/** Many servers read a list of parts only where the model has eyes. */
function plainWherePossible(parts: readonly Fields[]): string | readonly Fields[] {
  return parts.every((part) => part['type'] === 'text')
    ? parts.map((part) => part['text']).join('\n\n')
    : parts;
}

function assistantMessage(content: Content<'assistant'>): Fields {
  if (typeof content === 'string') return { role: 'assistant', content };
  const texts = content.flatMap((block) => (block.type === 'text' ? [block.text] : []));
  const calls = content.flatMap((block) =>
    block.type === 'tool_use'
      ? [
          {
            id: block.id,
            type: 'function',
            function: { name: block.name, arguments: JSON.stringify(block.input ?? {}) },
          },
        ]
      : [],
  );
  return {
    role: 'assistant',
    content: texts.length > 0 ? texts.join('') : null,
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function toolOf(tool: NonNullable<MessagesRequest['tools']>[number]): Fields {
  return {
    type: 'function',
    function: {
      name: tool.name,
      ...(tool.description && { description: tool.description }),
      parameters: tool.input_schema,
    },
  };
}

function choiceOf(choice: NonNullable<MessagesRequest['tool_choice']>): unknown {
  switch (choice.type) {
    case 'auto':
      return 'auto';
    case 'none':
      return 'none';
    case 'any':
      return 'required';
    default:
      return { type: 'function', function: { name: choice.name } };
  }
}

function given(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  );
}
