import { operationSet } from '#domain/operation.ts';
import { rewriteBody } from '../body.ts';
import type { EmbeddingsRequest } from '../embeddings-request.ts';
import { type Endpoint, json } from '../endpoint.ts';
import { asBase64, asNumbers, type Vector } from '../vectors.ts';

const NEEDS = operationSet(['embeddings']);
/** Markers that a model's tokenizer puts around each text. */
const MARKERS_PER_INPUT = 4;

/** `POST /v1/embeddings`. */
export const embeddings: Endpoint<EmbeddingsRequest> = {
  name: 'embeddings',
  operation: 'embeddings',
  categories: new Set(['embedding']),
  needs: () => NEEDS,
  ceiling: ({ promptBytes, inputs }, { contextTokens }) => {
    const bound = promptBytes + inputs * MARKERS_PER_INPUT;
    return {
      inputTokens: contextTokens === null ? bound : Math.min(bound, inputs * contextTokens),
      outputTokens: 0,
      units: 0,
      seconds: 0,
    };
  },
  expects: ({ inputs, dimensions }) => ({ items: inputs, dimensions }),
  gather: ({ small }) =>
    small && {
      ...small,
      key: JSON.stringify(Object.entries(small.fields).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
  body: (ask, bytes) => (ask.needsRewrite ? rewriteBody(bytes) : bytes),
  contentBytes: () => 0,
  render: ({ ask, answer, usage }) => {
    const write = ask.encoding === 'base64' ? asBase64 : asNumbers;
    const vectors = answer['data'] as readonly { embedding: Vector }[];
    return json(
      Buffer.from(
        JSON.stringify({
          object: 'list',
          data: vectors.map(({ embedding }, index) => ({
            object: 'embedding',
            index,
            embedding: write(embedding),
          })),
          model: answer['model'],
          usage: { prompt_tokens: usage.inputTokens, total_tokens: usage.inputTokens },
        }),
      ),
    );
  },
};
