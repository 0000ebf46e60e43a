import type { Gather } from '#hub/link.ts';
import { Fault } from '#kit/fault.ts';
import { embeddingRequestSchema } from '#wire/openai/embeddings.ts';
import { type BodyLimits, PRIVATE_FIELDS } from './body.ts';
import type { Ask } from './endpoint.ts';
import { readBySchema } from './read-json.ts';
import { bytesOf, countOf } from './text-request.ts';

/** The body of a request for embeddings, read. */
export interface EmbeddingsRequest extends Ask {
  readonly inputs: number;
  readonly encoding: 'float' | 'base64';
  readonly dimensions: number | undefined;
  readonly needsRewrite: boolean;
  /** What is passed on of a request that is small enough to share a call (`hub/gather.ts`). */
  readonly small: Pick<Gather, 'fields' | 'inputs'> | undefined;
}

const SMALL_INPUTS_MAX = 8;
const SMALL_BYTES_MAX = 16_384;

export function readEmbeddingsRequest(bytes: Buffer, limits: BodyLimits): EmbeddingsRequest | Fault {
  const body = readBySchema(bytes, embeddingRequestSchema);
  if (body instanceof Fault) return body;
  const { input } = body;
  const inputs: readonly unknown[] =
    typeof input === 'string' || typeof input[0] === 'number' ? [input] : input;
  const tooLong = inputs.findIndex((each) => Array.isArray(each) && each.length > limits.embeddingTokensMax);
  if (tooLong >= 0) {
    return new Fault('request-invalid', {
      param: `input[${tooLong}]`,
      outer: `An input may have at most ${limits.embeddingTokensMax} tokens.`,
    });
  }
  return {
    model: body.model,
    stream: false,
    includeUsage: false,
    maxTokens: undefined,
    n: 1,
    promptBytes: typeof inputs[0] === 'string' ? bytesOf(inputs as string[]) : countOf(inputs as number[][]),
    inputs: inputs.length,
    encoding: body.encoding_format ?? 'float',
    dimensions: body.dimensions ?? undefined,
    needsRewrite: Object.keys(body).some((name) => PRIVATE_FIELDS.has(name)),
    small:
      inputs.length <= SMALL_INPUTS_MAX && bytes.length <= SMALL_BYTES_MAX
        ? { fields: fieldsOf(body), inputs }
        : undefined,
  };
}

/** What is passed on beside the model and what is to be read. */
function fieldsOf(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(body).filter(
      ([name]) => name !== 'model' && name !== 'input' && !PRIVATE_FIELDS.has(name),
    ),
  );
}
