import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import type { Database } from './database.ts';

/**
 * Keeps something in memory true to its tables. Three things together make it so: an announcement names what changed
 * (at once); a new listening connection means announcements were missed, so everything is looked at again; and a round
 * every half minute looks again at what changed lately, should an announcement ever go astray.
 *
 * Loads never overlap. An announcement that arrives during a load waits for the next one: otherwise a slow load of
 * everything, begun before a change, could finish after the change's own load and undo it.
 *
 * When the database is away, what is in memory stays in use and loading is tried again each second.
 */
export interface Follower {
  /** Resolves when everything announced so far has been loaded, or once a try to load it has failed. */
  settled(): Promise<void>;
  /** Loads these rows as if they had been announced just now. Resolves when that is done, or was tried in vain. */
  look(ids: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** What to load: all of it, what changed in the last minutes, or the rows with these ids. */
export type Change = 'all' | 'recent' | ReadonlySet<string>;

export interface FollowerOptions {
  readonly channel: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Never called while an earlier call is under way. The first call is `all`. */
  readonly load: (change: Change) => Promise<void>;
  /** How often to look again unasked. Default 30,000. */
  readonly periodMs?: number;
}

const RETRY_MS = 1_000;
/** Above so many waiting ids, loading everything is cheaper, and the set stays small whatever is announced. */
const IDS_MAX = 500;

/** Starts listening, loads everything once (throws when that fails), and follows from then on. */
export async function follow(database: Database, options: FollowerOptions): Promise<Follower> {
  const { channel, clock, log, load } = options;
  let waiting: Change | undefined;
  let running: Promise<void> | undefined;
  let retry: Timer | undefined;
  let opened = false;
  let closed = false;

  const run = async (): Promise<void> => {
    for (let change = waiting; change !== undefined; change = waiting) {
      if (closed) return;
      waiting = undefined;
      try {
        await load(change);
      } catch (error) {
        log.warn({ channel, error }, 'A view could not be refreshed; what it holds stays in use.');
        waiting = both(change, waiting);
        if (!closed) retry = clock.after(RETRY_MS, start);
        return;
      }
    }
  };
  const start = (): void => {
    retry?.cancel();
    running ??= run().finally(() => {
      running = undefined;
    });
  };
  const ask = (change: Change): void => {
    waiting = both(waiting, change);
    if (opened) start();
  };

  const listening = await database.listen(
    channel,
    (id) => ask(new Set([id])),
    () => ask('all'),
  );
  try {
    waiting = undefined;
    await load('all');
  } catch (error) {
    await listening.stop();
    throw error;
  }
  opened = true;
  if (waiting !== undefined) start();
  const rounds = new Rounds(clock, {
    periodMs: options.periodMs ?? 30_000,
    work: async () => ask('recent'),
    failed: (error) => log.error({ channel, error }, 'A round failed.'),
  });

  return {
    async settled() {
      await running;
    },
    async look(ids) {
      ask(new Set(ids));
      await running;
    },
    async close() {
      closed = true;
      retry?.cancel();
      await rounds.close();
      await running;
      await listening.stop();
    },
  };
}

function both(first: Change | undefined, second: Change | undefined): Change | undefined {
  if (first === undefined) return second;
  if (second === undefined) return first;
  if (first === 'all' || second === 'all') return 'all';
  // What changed lately does not contain ids whose news arrived late, and the other way round.
  if (first === 'recent' || second === 'recent') return first === second ? 'recent' : 'all';
  const ids = new Set([...first, ...second]);
  return ids.size > IDS_MAX ? 'all' : ids;
}
