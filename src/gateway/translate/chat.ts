import { z } from 'zod';
import { FIRST_ISSUE } from '#wire/first-issue.ts';

/**
 * What the translations read of a chat's answer. It comes from a provider, through checks of its frame and its names only:
 * whatever in it makes no sense is passed over.
 */

const soft = <T extends z.ZodType>(schema: T) => schema.nullish().catch(undefined);

const callPiece = z.looseObject({
  index: soft(z.int().nonnegative()),
  id: soft(z.string()),
  function: soft(z.looseObject({ name: soft(z.string()), arguments: soft(z.string()) })),
});

const said = z.looseObject({
  content: soft(z.string()),
  refusal: soft(z.string()),
  reasoning_content: soft(z.string()),
  reasoning: soft(z.string()),
  tool_calls: soft(z.array(callPiece).max(512)),
});
export type Said = z.output<typeof said>;

const usage = z.looseObject({ prompt_tokens: z.number(), completion_tokens: z.number() });

const choice = z.looseObject({
  message: soft(said),
  delta: soft(said),
  finish_reason: soft(z.string()),
});

const chatSchema = z.looseObject({
  id: z.string().catch(''),
  created: z.number().catch(0),
  model: z.string().catch(''),
  choices: z.array(choice).catch([]),
  usage: soft(usage),
});

/** A chat completion or one of its chunks. */
export interface Chat {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  /** Of the first choice: the whole message, or what a chunk adds to it. */
  readonly said: Said;
  readonly finish: string | undefined;
  readonly usage: { readonly input: number; readonly output: number } | undefined;
}

export function readChat(value: unknown): Chat {
  const chat = chatSchema.parse(value, FIRST_ISSUE);
  const [first] = chat.choices;
  return {
    id: chat.id,
    created: chat.created,
    model: chat.model,
    said: first?.message ?? first?.delta ?? {},
    finish: first?.finish_reason ?? undefined,
    usage: chat.usage ? { input: chat.usage.prompt_tokens, output: chat.usage.completion_tokens } : undefined,
  };
}

/** Text that a model wrote before its answer. */
export function thoughtsOf(words: Said): string {
  return words.reasoning_content ?? words.reasoning ?? '';
}

/** The arguments of a call as the object they should be; what is none is kept as a text, so that nothing is lost. */
export function argumentsOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Cut off by a limit on tokens, or no JSON to begin with.
  }
  return { arguments: text };
}
