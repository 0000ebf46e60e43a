import { type Asked, ask } from './chat-client.ts';

export type Answered = Asked;

/** One call of the management API, by its whole address. GET, or POST where there is a body. */
export async function visit(
  address: string,
  about: {
    method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    headers?: Record<string, string>;
    body?: unknown;
    /** A session's token or a key, as a bearer. */
    token?: string;
  } = {},
): Promise<Answered> {
  const { origin, pathname, search } = new URL(address);
  const { method = about.body === undefined ? 'GET' : 'POST', body, token, headers } = about;
  return await ask({
    url: origin,
    path: `${pathname}${search}`,
    method,
    ...(body !== undefined && { body }),
    ...(token !== undefined && { key: token }),
    ...(headers && { headers }),
  });
}
