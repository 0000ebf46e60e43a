import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { KeyRecord } from '#domain/party.ts';
import type { User } from '#identity/accounts.ts';
import type { KeyOrigin } from '#identity/keys.ts';
import { assert } from '#kit/assert.ts';

/** Who may ask. Judged before anything of the body is read (`console.ts`). */
export type Access =
  /** Anyone. */
  | 'public'
  /** Whoever is logged in. */
  | 'user'
  /** Whoever is logged in and is a provider. Provider keys are refused. */
  | 'provider-user'
  /** Whoever is logged in and is an operator. */
  | 'operator'
  /** A provider key, or whoever is logged in and is a provider. */
  | 'provider'
  /** A consumer key. */
  | 'consumer-key'
  /** Whoever is logged in, or a key of either kind. */
  | 'anyone-known';

/**
 * How the Swan agent reads errors, by family of routes: a text under `error`, or an object with a `message` (section 2.3
 * of its contract).
 */
export type ErrorShape = 'text' | 'object';

/** One call of the management API: all that is to be known about it, on one screen. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly access: Access;
  readonly errors: ErrorShape;
  readonly body: z.ZodType | undefined;
  readonly query: z.ZodType | undefined;
  /** Answers with a session cookie: refused to pages of other sites even without one. */
  readonly opensSession: boolean;
  readonly handle: (visit: Visit<unknown, unknown>) => Promise<unknown>;
}

/** States a route. What the schemas read is what `handle` gets. */
export function route<B extends z.ZodType = z.ZodUndefined, Q extends z.ZodType = z.ZodUndefined>(
  line: `${Route['method']} ${string}`,
  about: { access: Access; errors: ErrorShape; body?: B; query?: Q; opensSession?: boolean },
  handle: (visit: Visit<z.output<B>, z.output<Q>>) => Promise<unknown>,
): Route {
  const [method, url] = line.split(' ') as [Route['method'], string];
  return {
    method,
    url,
    access: about.access,
    errors: about.errors,
    body: about.body,
    query: about.query,
    opensSession: about.opensSession ?? false,
    handle: handle as Route['handle'],
  };
}

/** Who asks, as far as the route's access made sure of it. */
export interface Caller {
  readonly user?: User | undefined;
  readonly sessionId?: string | undefined;
  readonly key?: KeyRecord | undefined;
  /** Asks again about the key: it may be revoked or limited while a long answer is given. */
  readonly keyHolds?: () => boolean;
}

/** One call under way. */
export class Visit<B = undefined, Q = undefined> {
  readonly body: B;
  readonly query: Q;
  readonly params: Readonly<Record<string, string>>;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Where the caller is. */
  readonly address: string;
  readonly isSecure: boolean;
  readonly #caller: Caller;
  /** What an operator's action found and what it left, for the log of such actions. */
  changed: { before?: unknown; after?: unknown } = {};

  constructor(
    about: Pick<Visit<B, Q>, 'body' | 'query' | 'params' | 'request' | 'reply' | 'address' | 'isSecure'>,
    caller: Caller,
  ) {
    this.body = about.body;
    this.query = about.query;
    this.params = about.params;
    this.request = about.request;
    this.reply = about.reply;
    this.address = about.address;
    this.isSecure = about.isSecure;
    this.#caller = caller;
  }

  get user(): User {
    assert(this.#caller.user, 'the route let in only users');
    return this.#caller.user;
  }

  get sessionId(): string {
    assert(this.#caller.sessionId, 'the route let in only users');
    return this.#caller.sessionId;
  }

  get key(): KeyRecord {
    assert(this.#caller.key, 'the route let in only keys');
    return this.#caller.key;
  }

  get providerId(): string {
    const { key, user } = this.#caller;
    const id = key?.kind === 'provider' ? key.ownerId : user?.providerId;
    assert(id, 'the route let in only providers');
    return id;
  }

  /** For whom the caller acts: a user's consumer and provider, or the owner of its key. */
  get parties(): { consumerId: string | undefined; providerId: string | undefined; isOperator: boolean } {
    const { key, user } = this.#caller;
    return {
      consumerId: key?.kind === 'consumer' ? key.ownerId : user?.consumerId,
      providerId: key?.kind === 'provider' ? key.ownerId : (user?.providerId ?? undefined),
      isOperator: user?.isOperator ?? false,
    };
  }

  /** Whether the caller is a key that may do less than its owner. */
  get isScoped(): boolean {
    return this.#caller.key?.scope !== undefined;
  }

  /** Whether a caller with a key may still do what it might when it came. */
  get keyHolds(): () => boolean {
    return this.#caller.keyHolds ?? (() => true);
  }

  /** The session of a caller that came with one. */
  get sessionIfAny(): string | undefined {
    return this.#caller.sessionId;
  }

  /** What the caller says it is: a browser's name, most often. */
  get program(): string {
    return this.request.headers['user-agent'] ?? '';
  }

  /** What a key that is made in this session remembers of it. */
  get origin(): KeyOrigin {
    return { sessionId: this.sessionId, address: this.address, program: this.program };
  }

  /** Who acts, for the list of what was done. */
  get actor(): string {
    return this.#caller.user?.id ?? this.#caller.key?.id ?? 'stranger';
  }
}

/** The envelope of the public calls. */
export function enveloped<T>(data: T): { code: 0; msg: string; data: T } {
  return { code: 0, msg: 'success', data };
}
