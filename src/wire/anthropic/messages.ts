import { z } from 'zod';
import { modelName, user } from '../openai/common.ts';

/**
 * `POST /v1/messages`: Anthropic's Messages API, as far as a chat can serve it. What it cannot (tools that the service
 * itself runs, batches, files kept by the service) is refused; hints without a meaning here (cache marks) are passed over.
 */

const textBlock = z.looseObject({ type: z.literal('text'), text: z.string() });
const imageBlock = z.looseObject({
  type: z.literal('image'),
  source: z.discriminatedUnion('type', [
    z.looseObject({ type: z.literal('base64'), media_type: z.string().max(64), data: z.string() }),
    z.looseObject({ type: z.literal('url'), url: z.string().max(4_096) }),
  ]),
});
const documentBlock = z.looseObject({
  type: z.literal('document'),
  title: z.string().nullish(),
  source: z.discriminatedUnion('type', [
    z.looseObject({ type: z.literal('text'), data: z.string() }),
    z.looseObject({ type: z.literal('base64'), media_type: z.string().max(64), data: z.string() }),
  ]),
});
const toolUseBlock = z.looseObject({
  type: z.literal('tool_use'),
  id: z.string().max(256),
  name: z.string().max(256),
  input: z.unknown(),
});
const toolResultBlock = z.looseObject({
  type: z.literal('tool_result'),
  tool_use_id: z.string().max(256),
  content: z
    .union([z.string(), z.array(z.discriminatedUnion('type', [textBlock, imageBlock, documentBlock]))])
    .nullish(),
  is_error: z.boolean().nullish(),
});
/** What a model thought before; only the model that thought it could read it again. */
const thoughtBlocks = [
  z.looseObject({ type: z.literal('thinking') }),
  z.looseObject({ type: z.literal('redacted_thinking') }),
] as const;

const messageSchema = z.discriminatedUnion('role', [
  z.looseObject({
    role: z.literal('user'),
    content: z.union([
      z.string(),
      z.array(z.discriminatedUnion('type', [textBlock, imageBlock, documentBlock, toolResultBlock])),
    ]),
  }),
  z.looseObject({
    role: z.literal('assistant'),
    content: z.union([
      z.string(),
      z.array(z.discriminatedUnion('type', [textBlock, toolUseBlock, ...thoughtBlocks])),
    ]),
  }),
]);

export const messagesRequestSchema = z
  .looseObject({
    model: modelName,
    max_tokens: z.int().min(1),
    messages: z.array(messageSchema).min(1),
    system: z.union([z.string(), z.array(textBlock)]).nullish(),
    stop_sequences: z.array(z.string()).max(16).nullish(),
    stream: z.boolean().nullish(),
    temperature: z.number().min(0).max(1).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    top_k: z.int().min(0).nullish(),
    tools: z
      .array(
        z.looseObject({
          type: z.literal('custom', 'tools that the service runs are not known here').nullish(),
          name: z.string().min(1).max(256),
          description: z.string().nullish(),
          input_schema: z.looseObject({}),
        }),
      )
      .max(512)
      .nullish(),
    tool_choice: z
      .discriminatedUnion('type', [
        z.looseObject({ type: z.literal('auto'), disable_parallel_tool_use: z.boolean().nullish() }),
        z.looseObject({ type: z.literal('any'), disable_parallel_tool_use: z.boolean().nullish() }),
        z.looseObject({
          type: z.literal('tool'),
          name: z.string(),
          disable_parallel_tool_use: z.boolean().nullish(),
        }),
        z.looseObject({ type: z.literal('none') }),
      ])
      .nullish(),
    thinking: z.looseObject({ type: z.string() }).nullish(),
    metadata: z.looseObject({ user_id: user }).nullish(),
  })
  .meta({ id: 'MessagesRequest' });

export type MessagesRequest = z.output<typeof messagesRequestSchema>;

export const messageAnswerSchema = z
  .looseObject({
    id: z.string(),
    type: z.literal('message'),
    role: z.literal('assistant'),
    model: z.string(),
    content: z.array(
      z.discriminatedUnion('type', [
        z.object({ type: z.literal('text'), text: z.string() }),
        z.object({ type: z.literal('tool_use'), id: z.string(), name: z.string(), input: z.unknown() }),
        z.object({ type: z.literal('thinking'), thinking: z.string(), signature: z.string() }),
      ]),
    ),
    stop_reason: z.enum(['end_turn', 'max_tokens', 'stop_sequence', 'tool_use', 'refusal']).nullable(),
    stop_sequence: z.string().nullable(),
    usage: z.looseObject({ input_tokens: z.int(), output_tokens: z.int() }),
  })
  .meta({ id: 'Message' });

export const anthropicErrorSchema = z
  .object({
    type: z.literal('error'),
    error: z.object({ type: z.string(), message: z.string() }),
    request_id: z.string().nullable(),
  })
  .meta({ id: 'MessagesError' });
