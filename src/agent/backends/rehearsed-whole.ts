import { createHash } from 'node:crypto';
import type { Operation } from '#domain/operation.ts';
import type { Identity, TokenUsage } from './backend.ts';

/**
 * What a rehearsal answers where nothing is streamed: vectors that depend on nothing but the text, an image of one pixel,
 * a transcript that says how much was heard.
 */

type WholeOperation = Exclude<Operation, 'chat/completions' | 'completions'>;

const DIMENSIONS = 8;
/** A PNG of one transparent pixel. */
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg==';

export function rehearsedWhole(
  operation: WholeOperation,
  request: {
    body: Readonly<Record<string, unknown>>;
    identity: Identity;
    file: Buffer | undefined;
  },
): { answer: unknown; usage: TokenUsage | undefined } {
  const { body, identity, file } = request;
  switch (operation) {
    case 'embeddings': {
      const inputs = inputsOf(body['input']);
      const dimensions = typeof body['dimensions'] === 'number' ? body['dimensions'] : DIMENSIONS;
      const each = inputs.map(tokensOf);
      const tokens = each.reduce((sum, count) => sum + count, 0);
      const data = inputs.map((input, index) => ({
        object: 'embedding',
        index,
        embedding: rehearsedVector(input, dimensions),
      }));
      return {
        answer: {
          object: 'list',
          model: identity.model,
          data,
          usage: { prompt_tokens: tokens, total_tokens: tokens, prompt_tokens_per_input: each },
        },
        usage: { prompt_tokens: tokens, completion_tokens: 0 },
      };
    }
    case 'images/generations': {
      const n = typeof body['n'] === 'number' ? body['n'] : 1;
      const data = Array.from({ length: n }, () => ({ b64_json: PIXEL }));
      return { answer: { created: identity.createdS, data }, usage: undefined };
    }
    default:
      return { answer: { text: `I heard ${file?.length ?? 0} bytes.`, language: 'en' }, usage: undefined };
  }
}

/** The embedding of a text or of tokens: 32-bit floats between -1 and 1 that only depend on it. */
export function rehearsedVector(input: unknown, dimensions: number): number[] {
  const vector = new Float32Array(dimensions);
  for (let i = 0; i < dimensions; i++) {
    const digest = createHash('sha256')
      .update(`${i} ${typeof input === 'string' ? input : JSON.stringify(input)}`)
      .digest();
    vector[i] = digest.readInt32LE(0) / 2 ** 31;
  }
  return [...vector];
}

function inputsOf(input: unknown): unknown[] {
  if (Array.isArray(input) && typeof input[0] !== 'number') return input;
  return [input];
}

function tokensOf(input: unknown): number {
  return Array.isArray(input) ? input.length : Math.ceil(String(input).length / 4);
}

export interface RehearsedCall {
  readonly id: string;
  readonly name: string;
  /** As JSON. */
  readonly arguments: string;
}

/** The call that a chat is answered with: of the first tool, with a plain value for each of its required arguments. */
export function rehearsedCall(body: Readonly<Record<string, unknown>>): RehearsedCall | undefined {
  const { tools, messages } = body;
  const last = Array.isArray(messages) ? (messages.at(-1) as { role?: unknown } | undefined) : undefined;
  if (!Array.isArray(tools) || last?.role === 'tool') return undefined;
  const tool = (tools[0] as Tool | undefined)?.function;
  if (typeof tool?.name !== 'string') return undefined;
  const { properties = {}, required = [] } = tool.parameters ?? {};
  const values = required.map((name) => [name, properties[name]?.type === 'number' ? 7 : 'swan']);
  return { id: 'call_rehearsed', name: tool.name, arguments: JSON.stringify(Object.fromEntries(values)) };
}

interface Tool {
  readonly function?: {
    readonly name?: unknown;
    readonly parameters?: {
      readonly properties?: Readonly<Record<string, { readonly type?: unknown }>>;
      readonly required?: readonly string[];
    };
  };
}
