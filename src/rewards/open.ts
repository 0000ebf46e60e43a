import type { Database } from '#db/database.ts';
import type { Once } from '#db/round-terms.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { RewardBook } from './book.ts';
import { databaseTime, Rewarder } from './day.ts';
import { Presence } from './presence.ts';

const ROUND_EVERY_MS = 15_000;

/**
 * The room as a market has it: notes who is present, and rewards each day once it is over; then `settle` pays out what there
 * is, so that a day's rewards are in that night's batch. Most rounds find nothing to do.
 */
export function openRewards(parts: {
  /** For questions of requests, for noting who is present, and for asking whether a day is due. */
  database: Database;
  /** A reward looks at a week of usage. */
  patientDatabase: Database;
  clock: Clock;
  log: Logger;
  present: () => Iterable<{ providerId: string }>;
  /** Undefined: nothing is paid out here. */
  settle: (() => Promise<unknown>) | undefined;
  failed: (error: unknown) => void;
  /** By default every round is this process's. */
  once?: Once;
}): { book: RewardBook; close(): Promise<void> } {
  const { database, patientDatabase, clock, log, present, settle, once = (_name, work) => work() } = parts;
  const presence = new Presence({ database, clock, log, present });
  const rewarder = new Rewarder({
    database,
    patientDatabase,
    clock,
    secondClock: () => databaseTime(database),
    log,
  });
  const rounds = new Rounds(clock, {
    periodMs: ROUND_EVERY_MS,
    work: async () => {
      await once('rewards', async () => {
        await rewarder.round();
        await settle?.();
      });
    },
    failed: parts.failed,
  });
  return {
    book: new RewardBook(database),
    close: async () => {
      await Promise.all([presence.close(), rounds.close()]);
    },
  };
}
