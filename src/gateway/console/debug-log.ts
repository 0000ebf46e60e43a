import { DEBUG_AHEAD_MAX_MS, type DebugHead, ENTRIES_MAX } from '#identity/debug-book.ts';
import { Fault } from '#kit/fault.ts';
import {
  type DebugEntriesAnswer,
  type DebugEntryAnswer,
  type DebugLogAnswer,
  debugEntriesQuery,
  debugLogRequest,
} from '#wire/dashboard.ts';
import type { DebugText } from '../debug-log.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/**
 * A consumer's own debug log: on for a while, off, read, emptied. Only for whoever is signed in, never for a key, and for no
 * operator: no call takes a consumer's id.
 */
export function debugLogRoutes({ debugBook, keyDesk, keys, clock }: ConsoleRooms): Route[] {
  const forUser = { access: 'user', errors: 'text' } as const;

  const standing = async (consumerId: string): Promise<DebugLogAnswer> => {
    const now = clock.wallMs();
    const { until, entries, bytes, readings } = await debugBook.standing(consumerId);
    const enabled = until !== undefined && until > now;
    return {
      enabled,
      until: enabled ? new Date(until).toISOString() : null,
      until_max: new Date(now + DEBUG_AHEAD_MAX_MS).toISOString(),
      entries,
      entries_max: ENTRIES_MAX,
      bytes,
      readings: readings.map((each) => ({ ...each, at: new Date(each.at).toISOString() })),
    };
  };
  const set = async (user: { id: string; consumerId: string }, until: number | undefined) => {
    await debugBook.set({ consumerId: user.consumerId, until, actor: user.id, at: clock.wallMs() });
    // Here from the next request on; in other processes as soon as the database has announced it.
    const owned = await keyDesk.list(user.consumerId);
    await keys.look(owned.map(({ id }) => id));
    return await standing(user.consumerId);
  };

  return [
    route('GET /api/v1/user/me/debug-log', forUser, ({ user }) => standing(user.consumerId)),
    route('PUT /api/v1/user/me/debug-log', { ...forUser, body: debugLogRequest }, async ({ user, body }) => {
      const until = Date.parse(body.until);
      const now = clock.wallMs();
      if (until <= now || until > now + DEBUG_AHEAD_MAX_MS) {
        throw new Fault('request-invalid', {
          outer: 'until: must be later than now, by at most 72 hours.',
          param: 'until',
        });
      }
      return await set(user, until);
    }),
    route('DELETE /api/v1/user/me/debug-log', forUser, ({ user }) => set(user, undefined)),
    route(
      'GET /api/v1/user/me/debug-log/entries',
      { ...forUser, query: debugEntriesQuery },
      async ({ user, query }): Promise<DebugEntriesAnswer> => {
        const { before, limit } = query;
        const { consumerId } = user;
        const found = await debugBook.list({ consumerId, before, limit: limit + 1, now: clock.wallMs() });
        const page = found.slice(0, limit);
        return {
          entries: page.map(head),
          next: found.length > limit ? (page.at(-1)?.id ?? null) : null,
        };
      },
    ),
    route('DELETE /api/v1/user/me/debug-log/entries', forUser, async ({ user }) => ({
      deleted: await debugBook.remove({ consumerId: user.consumerId, actor: user.id, at: clock.wallMs() }),
    })),
    route(
      'GET /api/v1/user/me/debug-log/entries/:id',
      forUser,
      async ({ user, params, address }): Promise<DebugEntryAnswer> => {
        const found = await debugBook.read({
          consumerId: user.consumerId,
          id: params['id'] ?? '',
          actor: user.id,
          address,
          at: clock.wallMs(),
        });
        if (found === 'unknown') throw new Fault('thing-unknown', { outer: NO_ENTRY });
        if (found === 'sealed') throw new Fault('thing-unknown', { outer: SEALED });
        return { ...head(found), ...(JSON.parse(found.text.open()) as DebugText) };
      },
    ),
    route('DELETE /api/v1/user/me/debug-log/entries/:id', forUser, async ({ user, params }) => {
      const id = params['id'] ?? '';
      const about = { consumerId: user.consumerId, id, actor: user.id, at: clock.wallMs() };
      if ((await debugBook.remove(about)) === 0) throw new Fault('thing-unknown', { outer: NO_ENTRY });
      return { deleted: 1 };
    }),
  ];
}

const NO_ENTRY = 'Your debug log has no such entry.';
const SEALED = 'This entry was sealed with a secret that the market does not have any more.';

function head({
  id,
  at,
  endpoint,
  status,
  streamed,
  bytes,
  expiresAt,
}: DebugHead): DebugEntriesAnswer['entries'][number] {
  return {
    id,
    at: new Date(at).toISOString(),
    endpoint,
    status,
    streamed,
    bytes,
    expires_at: new Date(expiresAt).toISOString(),
  };
}
