import { operationSet } from '#domain/operation.ts';
import { ONE_ANSWER } from '#hub/link.ts';
import { inputCeiling } from '../bill.ts';
import { rewriteBody } from '../body.ts';
import { billed, type Endpoint } from '../endpoint.ts';
import type { TextRequest } from '../text-request.ts';

const ANY = operationSet(['completions', 'chat/completions']);
const ITSELF = operationSet(['completions']);

/** `POST /v1/completions`: by an agent that knows it, or, where the prompt is plain, by one that only chats. */
export const completions: Endpoint<TextRequest> = {
  name: 'text completions',
  operation: 'completions',
  categories: new Set(['llm', 'multimodal']),
  textBytes: (ask) => ask.promptBytes,
  needs: (ask) => (ask.plain ? ANY : ITSELF),
  ceiling: (ask, model, limits) => ({
    inputTokens: inputCeiling(ask, model.contextTokens === null ? null : model.contextTokens * ask.prompts),
    // With `echo` the answer begins with the prompt, which is counted as read and not as made.
    outputTokens:
      Math.min(
        ask.maxTokens ?? limits.outputTokensDefault,
        model.maxOutputTokens ?? 0,
        limits.outputTokensMax,
      ) * ask.n,
    units: 0,
    seconds: 0,
  }),
  expects: () => ONE_ANSWER,
  body: (ask, bytes) => (ask.needsRewrite ? rewriteBody(bytes) : bytes),
  // Backends have defaults of their own where the consumer sets no limit.
  set: (ask) => ({ max_tokens: ask.maxTokens }),
  chunkObject: 'text_completion',
  contentBytes: (answer) => {
    let bytes = 0;
    for (const choice of answer['choices'] as { text: string }[]) bytes += Buffer.byteLength(choice.text);
    return bytes;
  },
  render: billed,
};
