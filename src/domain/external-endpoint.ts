import type { Sealed } from '#kit/sealed.ts';
import type { Category } from './model.ts';
import type { Operation } from './operation.ts';
import type { Price } from './price.ts';

/** An OpenAI-compatible HTTP server that a provider registered, used when no agent can serve. */
export interface ExternalEndpoint {
  readonly id: string;
  readonly providerId: string;
  readonly name: string;
  /** As an SDK's base URL, without a slash at its end: `https://api.example.com/v1`. */
  readonly url: string;
  /** The most requests at once. */
  readonly capacity: number;
  readonly models: readonly EndpointModel[];
}

export interface EndpointModel {
  readonly modelId: string;
  /** What the endpoint calls it. */
  readonly upstreamName: string;
  readonly operations: readonly Operation[];
  /** What its owner wants for it; absent: the listed price. */
  readonly ask?: Price | undefined;
}

/** An endpoint with what opens it. */
export interface KeyedEndpoint extends ExternalEndpoint {
  /** Undefined: it takes none. `unreadable`: it was sealed with a secret that this process does not have. */
  readonly key: Sealed<string> | 'unreadable' | undefined;
}

/** What an endpoint is asked for a model of this category, unless its owner says otherwise. */
export function usualOperations(category: Category): readonly Operation[] {
  return USUAL[category];
}

const USUAL: Readonly<Record<Category, readonly Operation[]>> = {
  llm: ['chat/completions'],
  multimodal: ['chat/completions'],
  embedding: ['embeddings'],
  image: ['images/generations'],
  audio: ['audio/transcriptions'],
};
