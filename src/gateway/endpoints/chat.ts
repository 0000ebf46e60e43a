import { CHAT_ONLY } from '#domain/operation.ts';
import { contentBytesOf } from '#hub/answer.ts';
import { ONE_ANSWER } from '#hub/link.ts';
import { inputCeiling } from '../bill.ts';
import { type ChatRequest, rewriteBody } from '../body.ts';
import { billed, type Endpoint } from '../endpoint.ts';

/** `POST /v1/chat/completions`, and what is translated to it. */
export const chat: Endpoint<ChatRequest> = {
  name: 'chat completions',
  operation: 'chat/completions',
  categories: new Set(['llm', 'multimodal']),
  misfit: (ask, model) =>
    ask.mediaParts > 0 && model.category !== 'multimodal'
      ? { param: 'messages', outer: `${model.id} reads text only: no images, sound or files.` }
      : undefined,
  // Pictures stand in the body too, and are not text.
  textBytes: (ask) => (ask.mediaParts > 0 ? 0 : ask.promptBytes),
  needs: () => CHAT_ONLY,
  ceiling: (ask, model, limits) => ({
    inputTokens: inputCeiling(ask, model.contextTokens),
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
  body: (ask, bytes) => {
    if (ask.body) return Buffer.from(ask.body.buffer, ask.body.byteOffset, ask.body.byteLength);
    return ask.needsRewrite ? rewriteBody(bytes) : bytes;
  },
  chunkObject: 'chat.completion.chunk',
  contentBytes: contentBytesOf,
  render: billed,
};
