import type { z } from 'zod';
import { Fault } from '#kit/fault.ts';
import {
  type inputItemSchema,
  type ResponsesRequest,
  responsesRequestSchema,
} from '#wire/openai/responses.ts';
import { type BodyLimits, type ChatRequest, readChatRequest } from '../body.ts';
import { readBySchema } from '../read-json.ts';

/** A request to the Responses API, read, with the chat request that it becomes. */
export interface ResponsesAsk extends ChatRequest {
  readonly body: Uint8Array;
  /** What an answer repeats of its request. */
  readonly echo: Readonly<Record<string, unknown>>;
}

type Fields = Record<string, unknown>;
type Item = z.output<typeof inputItemSchema>;

export function readResponsesRequest(bytes: Buffer, limits: BodyLimits): ResponsesAsk | Fault {
  const request = readBySchema(bytes, responsesRequestSchema);
  if (request instanceof Fault) return request;
  const body = Buffer.from(JSON.stringify(chatOfResponses(request)));
  const chat = readChatRequest(body, limits);
  if (chat instanceof Fault) return chat;
  return { ...chat, includeUsage: true, body, echo: echoOf(request) };
}

/** The chat request that asks the same. */
export function chatOfResponses(request: ResponsesRequest): Fields {
  const { instructions, input, tools, text, tool_choice: choice, reasoning } = request;
  const format = text?.format;
  return {
    model: request.model,
    messages: [
      ...(instructions ? [{ role: 'system', content: instructions }] : []),
      ...(typeof input === 'string' ? [{ role: 'user', content: input }] : messagesOf(input)),
    ],
    ...given({
      max_tokens: request.max_output_tokens,
      temperature: request.temperature,
      top_p: request.top_p,
      parallel_tool_calls: request.parallel_tool_calls,
      reasoning_effort: reasoning?.effort,
    }),
    ...(tools && tools.length > 0 && { tools: tools.map(toolOf) }),
    ...(choice && {
      tool_choice:
        typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } },
    }),
    ...(format && format.type !== 'text' && { response_format: formatOf(format) }),
    ...(request.stream && { stream: true, stream_options: { include_usage: true } }),
  };
}

/** Calls of tools belong to the message of the assistant that they follow. */
function messagesOf(items: readonly Item[]): Fields[] {
  const messages: Fields[] = [];
  for (const item of items) {
    if (item.type === 'reasoning') continue;
    if (item.type === 'function_call') {
      const last = messages.at(-1);
      const speaker: Fields = last?.['role'] === 'assistant' ? last : { role: 'assistant', content: null };
      if (speaker !== last) messages.push(speaker);
      const call = {
        id: item.call_id,
        type: 'function',
        function: { name: item.name, arguments: item.arguments },
      };
      speaker['tool_calls'] = [...((speaker as { tool_calls?: unknown[] }).tool_calls ?? []), call];
    } else if (item.type === 'function_call_output') {
      messages.push({ role: 'tool', tool_call_id: item.call_id, content: textOf(item.output) });
    } else if ('role' in item) {
      const role = item.role === 'developer' ? 'system' : item.role;
      messages.push({ role, content: item.role === 'user' ? contentOf(item.content) : textOf(item.content) });
    }
  }
  return messages;
}

type Content = Extract<Item, { role: string }>['content'];

function textOf(content: Content): string {
  if (typeof content === 'string') return content;
  return content
    .map((part) => ('text' in part ? part.text : part.type === 'refusal' ? part.refusal : ''))
    .join('');
}

/** Many servers read a list of parts only where the model has eyes. */
function contentOf(content: Content): string | Fields[] {
  if (typeof content === 'string' || content.every((part) => 'text' in part)) return textOf(content);
  return content.map((part) => {
    switch (part.type) {
      case 'input_image':
        return {
          type: 'image_url',
          image_url: { url: part.image_url, ...(part.detail && { detail: part.detail }) },
        };
      case 'input_file':
        return { type: 'file', file: { filename: part.filename ?? 'file', file_data: part.file_data } };
      case 'refusal':
        return { type: 'text', text: part.refusal };
      default:
        return { type: 'text', text: part.text };
    }
  });
}

function toolOf(tool: NonNullable<ResponsesRequest['tools']>[number]): Fields {
  const { name, description, parameters, strict } = tool;
  return { type: 'function', function: { name, ...given({ description, parameters, strict }) } };
}

function formatOf(format: NonNullable<NonNullable<ResponsesRequest['text']>['format']>): Fields {
  if (format.type !== 'json_schema') return { type: format.type };
  const { name, schema, description, strict } = format;
  return { type: 'json_schema', json_schema: { name, schema, ...given({ description, strict }) } };
}

function echoOf(request: ResponsesRequest): Fields {
  return {
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    metadata: request.metadata ?? {},
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: request.reasoning?.effort ?? null, summary: null },
    store: false,
    temperature: request.temperature ?? null,
    text: { format: request.text?.format ?? { type: 'text' } },
    tool_choice: request.tool_choice ?? 'auto',
    tools: request.tools ?? [],
    top_p: request.top_p ?? null,
    truncation: 'disabled',
  };
}

function given(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  );
}
