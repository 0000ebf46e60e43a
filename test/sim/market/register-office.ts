import type { KeyAnswer, KeyRecord, Provider, ProviderState } from '#domain/party.ts';
import type { NodeBinder, ProviderStates } from '#hub/ports.ts';
import type { Asker, Store } from './store.ts';

/** Keys, providers and their nodes, as the processes know them from the database. */
export class RegisterOffice implements ProviderStates {
  readonly keys = new Map<string, KeyRecord>();
  readonly revoked = new Set<string>();
  readonly states = new Map<string, ProviderState>();
  readonly #nodes = new Map<string, string>();
  readonly #watchers = new Set<(provider: Provider) => void>();

  addKey(secret: string, kind: KeyRecord['kind'], ownerId: string): KeyRecord {
    const id = `key_${this.keys.size + 1}`;
    const record: KeyRecord = { id, kind, ownerId, name: id, prefix: id, revoked: false };
    this.keys.set(secret, record);
    return record;
  }

  findKey(secret: string): KeyAnswer {
    const record = this.keys.get(secret);
    if (!record) return secret.startsWith('sk-') ? 'unknown' : 'malformed';
    return this.revoked.has(record.id) ? 'revoked' : record;
  }

  isRevoked(keyId: string): boolean {
    return this.revoked.has(keyId);
  }

  find(providerId: string): Provider | undefined {
    const state = this.states.get(providerId);
    return state === undefined ? undefined : providerOf(providerId, state);
  }

  stateOf(providerId: string): ProviderState | undefined {
    return this.states.get(providerId);
  }

  watch(changed: (provider: Provider) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  setState(providerId: string, state: ProviderState): void {
    this.states.set(providerId, state);
    for (const changed of this.#watchers) changed(providerOf(providerId, state));
  }

  /** Asks the store whose node it is, as one process. */
  binderOf(store: Store, asker: Asker): NodeBinder {
    return {
      bind: (nodeId, providerId) =>
        store.statement(asker, 'bind', async () => {
          const owner = this.#nodes.get(nodeId) ?? providerId;
          this.#nodes.set(nodeId, owner);
          return owner === providerId ? ('bound' as const) : ('foreign' as const);
        }),
    };
  }
}

function providerOf(id: string, state: ProviderState): Provider {
  return { id, name: id, state, region: null, dataPolicy: 'unstated' };
}
