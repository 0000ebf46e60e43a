import { z } from 'zod';
import { modelName, user } from './common.ts';

/**
 * `POST /v1/responses`: OpenAI's Responses API, as far as a chat can serve it. Nothing is kept here, so what refers to an
 * earlier response is refused, and so are tools that the service itself runs.
 */

const METADATA_MAX = 64;
/** Looked at first: a record reports on each of its members. OpenAI takes 16. */
function fewMembers(value: unknown, context: z.RefinementCtx): unknown {
  if (typeof value === 'object' && value !== null && Object.keys(value).length > METADATA_MAX)
    context.addIssue({ code: 'custom', message: `may have at most ${METADATA_MAX} members` });
  return value;
}

const contentPart = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('input_text'), text: z.string() }),
  z.looseObject({ type: z.literal('output_text'), text: z.string() }),
  z.looseObject({ type: z.literal('refusal'), refusal: z.string() }),
  z.looseObject({
    type: z.literal('input_image'),
    image_url: z.string('an image needs an image_url; files are not kept here'),
    detail: z.string().nullish(),
  }),
  z.looseObject({
    type: z.literal('input_file'),
    file_data: z.string('a file needs its file_data; files are not kept here'),
    filename: z.string().nullish(),
  }),
]);

const messageItem = z.looseObject({
  type: z.literal('message').optional(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([z.string(), z.array(contentPart)]),
});
const callItem = z.looseObject({
  type: z.literal('function_call'),
  call_id: z.string().max(256),
  name: z.string().max(256),
  arguments: z.string(),
});
const resultItem = z.looseObject({
  type: z.literal('function_call_output'),
  call_id: z.string().max(256),
  output: z.union([z.string(), z.array(contentPart)]),
});
/** What a model thought before; only the model that thought it could read it again. */
const reasoningItem = z.looseObject({ type: z.literal('reasoning') });

export const inputItemSchema = z.union([messageItem, callItem, resultItem, reasoningItem]);

export const responsesRequestSchema = z
  .looseObject({
    model: modelName,
    input: z.union([z.string(), z.array(inputItemSchema).min(1)]),
    instructions: z.string().nullish(),
    max_output_tokens: z.int().min(1).nullish(),
    stream: z.boolean().nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    tools: z
      .array(
        z.looseObject({
          type: z.literal('function', 'tools that the service runs are not known here'),
          name: z.string().min(1).max(256),
          description: z.string().nullish(),
          parameters: z.looseObject({}).nullish(),
          strict: z.boolean().nullish(),
        }),
      )
      .max(512)
      .nullish(),
    tool_choice: z
      .union([
        z.enum(['auto', 'none', 'required']),
        z.looseObject({ type: z.literal('function'), name: z.string() }),
      ])
      .nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    text: z
      .looseObject({
        format: z
          .discriminatedUnion('type', [
            z.looseObject({ type: z.literal('text') }),
            z.looseObject({ type: z.literal('json_object') }),
            z.looseObject({
              type: z.literal('json_schema'),
              name: z.string(),
              schema: z.looseObject({}),
              description: z.string().nullish(),
              strict: z.boolean().nullish(),
            }),
          ])
          .nullish(),
      })
      .nullish(),
    reasoning: z.looseObject({ effort: z.string().nullish() }).nullish(),
    metadata: z.preprocess(fewMembers, z.record(z.string(), z.string())).nullish(),
    store: z.boolean().nullish().describe('Nothing is kept, whatever is asked.'),
    background: z.literal(false, 'nothing is kept here, so an answer cannot wait').nullish(),
    previous_response_id: z.null('nothing is kept here: send the whole conversation as input').optional(),
    conversation: z.null('nothing is kept here: send the whole conversation as input').optional(),
    user,
  })
  .meta({ id: 'ResponsesRequest' });

export type ResponsesRequest = z.output<typeof responsesRequestSchema>;

export const responseSchema = z
  .looseObject({
    id: z.string(),
    object: z.literal('response'),
    created_at: z.int(),
    status: z.enum(['completed', 'incomplete', 'in_progress', 'failed']),
    model: z.string(),
    output: z.array(z.looseObject({ type: z.string(), id: z.string() })),
    usage: z.looseObject({ input_tokens: z.int(), output_tokens: z.int(), total_tokens: z.int() }).nullable(),
  })
  .meta({ id: 'Response' });
