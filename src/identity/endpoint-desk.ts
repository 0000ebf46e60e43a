import type { Database } from '#db/database.ts';
import type { ExternalEndpoint } from '#domain/external-endpoint.ts';
import type { Sealed } from '#kit/sealed.ts';
import { addEndpoint, type ListedEndpoint, listEndpoints, removeEndpoint, setAsk } from './endpoints.ts';
import type { SecretBox } from './secret-box.ts';

const LISTED = 100;

/** What providers ask and change about their external endpoints. */
export class EndpointDesk {
  readonly #database: Database;
  readonly #box: SecretBox;

  constructor(parts: { database: Database; box: SecretBox }) {
    this.#database = parts.database;
    this.#box = parts.box;
  }

  async add(wish: {
    endpoint: ExternalEndpoint;
    key: Sealed<string> | undefined;
    actor: string;
    at: number;
  }): Promise<'added' | 'too-many'> {
    return await addEndpoint(this.#database, { ...wish, box: this.#box });
  }

  /** What an endpoint of the provider asks for a model from now on; without `amounts`, the listed price. */
  async ask(wish: Parameters<typeof setAsk>[1]): Promise<'set' | 'unknown'> {
    return await setAsk(this.#database, wish);
  }

  /** Of a provider, or of all. */
  async list(providerId: string | undefined): Promise<ListedEndpoint[]> {
    return await listEndpoints(this.#database, { providerId, limit: LISTED });
  }

  /** False when the provider has no such endpoint. */
  async remove(which: { id: string; providerId: string; actor: string; at: number }): Promise<boolean> {
    return await removeEndpoint(this.#database, which);
  }
}
