import type { KeyedEndpoint } from '#domain/external-endpoint.ts';
import type { Model } from '#domain/model.ts';
import type { KeyAnswer, Provider, ProviderState } from '#domain/party.ts';

/**
 * What the hub asks of other rooms, as the smallest interfaces that serve it. The classes of `identity` and `catalogue`
 * fit them as they are; a simulation fits them with maps.
 */

/** Whose key a secret is. */
export interface KeyFinder {
  /** Answers at once, from memory: an agent's ack must not wait for a database. */
  find(secret: string): KeyAnswer;
  /**
   * Looks for a key that is unknown here, since it may have been made a moment ago at another gateway: an agent that is
   * told so in error stays away for a minute. Rejects when the store cannot be asked.
   */
  seek(secret: string): Promise<void>;
}

/** The providers as they stand, from memory; undefined when there is no such provider. */
export interface ProviderStates {
  find(providerId: string): Provider | undefined;
  stateOf(providerId: string): ProviderState | undefined;
  /** Tells of each provider that changed. Answers how to stop. */
  watch(changed: (provider: Provider) => void): () => void;
}

/**
 * Ties a node id to the provider whose key first registered it. `foreign`: it belongs to another provider, so this
 * agent is an impostor. Rejects when the store cannot be asked.
 */
export interface NodeBinder {
  bind(
    nodeId: string,
    providerId: string,
    keyId: string,
    /** What the agent says of itself. */
    about?: { name: string | null; hardware: Readonly<Record<string, unknown>> | null },
  ): Promise<'bound' | 'foreign'>;
}

/**
 * What keeps a node from serving a model beside its provider's state, or puts it behind others: a benchmark that is not
 * passed, answers unlike those of others. From memory.
 */
export interface Standings {
  /** Why it may not; undefined when it may. */
  against(nodeId: string, modelId: string): string | undefined;
  /** Why it stands behind others of the model; undefined when it does not. */
  behind?(nodeId: string, modelId: string): string | undefined;
  /** Tells of each node of which that may have changed. Answers how to stop. */
  watch(changed: (nodeId: string) => void): () => void;
}

/** Writes down who was connected. Tells return at once and never throw. */
export interface SessionLog {
  began(session: {
    id: string;
    linkId: string;
    providerId: string;
    nodeId: string;
    mode: 'websocket' | 'external';
  }): void;
  /** `heardAgoMs` is the time since a sign of life, where silence ended it. */
  ended(id: string, about: { why: string; attemptsLost: number; heardAgoMs?: number }): void;
}

/** The catalogue: finds a model by id, slug or alias. */
export interface ModelFinder {
  resolve(name: string): Model | undefined;
}

/** The registered external endpoints, from memory. */
export interface EndpointSource {
  list(): Iterable<KeyedEndpoint>;
  /** Tells of each endpoint that is new, changed, or (undefined) removed. Answers how to stop. */
  watch(changed: (id: string, endpoint: KeyedEndpoint | undefined) => void): () => void;
}
