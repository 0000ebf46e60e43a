import type { Once } from '#db/round-terms.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import type { SlaDesk } from './desk.ts';

const EVERY_MS = 600_000;

/** How long a statement of this room may take: it reads a month of a consumer's requests. */
export const SLA_DEADLINE_MS = 1_200_000;

/** Closes months while a market is open. What stands still is an error line of the log. */
export function openSlaRounds(
  desk: SlaDesk,
  { clock, log, once }: { clock: Clock; log: Logger; once: Once },
): { close(): Promise<void> } {
  return new Rounds(clock, {
    periodMs: EVERY_MS,
    work: async () => {
      await once('sla', async () => {
        for (const { month, made, reports } of await desk.round()) {
          log.info(
            { month, made, reports: reports.length },
            'A month of service level agreements was closed.',
          );
        }
      });
    },
    failed: (error) => {
      if (error instanceof Fault && error.code === 'database-unreachable') {
        log.warn({ err: error }, 'Service levels could not be settled; it will be tried again.');
      } else {
        log.error({ err: error }, 'Service levels stand still: a person must look.');
      }
    },
  });
}
