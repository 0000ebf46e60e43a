import type { Once } from '#db/round-terms.ts';
import { dayOf } from '#domain/window.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import type { Settler } from './day.ts';

/** What an audit answers, as far as the log needs it. */
export interface AuditResult {
  readonly balanced: boolean;
  readonly differences: readonly { what: string; where: string; found: string; expected: string }[];
}

const SETTLE_EVERY_MS = 15_000;
const LOOK_AT_CLOCK_EVERY_MS = 60_000;

/** The last audit of this process, for whoever asks how the market is. */
export interface AuditStanding {
  /** Wall milliseconds; undefined before the first. */
  readonly at: number | undefined;
  readonly balanced: boolean | undefined;
}

/**
 * What runs by itself while a market is open: settlement every few seconds, which mostly finds nothing to do, and once
 * after each UTC midnight the audit. Whatever stands still or differs is one error line of the log, the same constant
 * sentence and code each time, for an alarm to hear. An audit that finds something is made again at once: the market goes
 * on meanwhile, and only what is still there is a difference.
 */
export function openNights(parts: {
  settler: Settler | undefined;
  audit: () => Promise<AuditResult>;
  /** When the last nightly audit was made, by whatever process; undefined when there was none. */
  lastAudit?: () => Promise<number | undefined>;
  /** Keeps what an audit found. */
  audited?: (result: AuditResult, tookMs: number) => Promise<void>;
  clock: Clock;
  log: Logger;
  /** By default every round is this process's. */
  once?: Once;
}): { standing(): AuditStanding; close(): Promise<void> } {
  const { settler, clock, log, once = (_name, work) => work() } = parts;
  const rounds: Rounds[] = [];
  if (settler) {
    rounds.push(
      new Rounds(clock, {
        periodMs: SETTLE_EVERY_MS,
        work: async () => {
          await once('settlement', async () => {
            await settler.round();
          });
        },
        failed: (error) => settlementFailed(log, error),
      }),
    );
  }
  // Not at the start: a market that was just opened has other things to do, and restarts are frequent. One that was closed
  // at midnight makes up for it in its first minute.
  let audited: number | undefined;
  let standing: AuditStanding = { at: undefined, balanced: undefined };
  const opened = dayOf(clock.wallMs());
  const audit = async (): Promise<void> => {
    const began = clock.nowMs();
    let result = await parts.audit();
    if (!result.balanced) result = await parts.audit();
    await parts.audited?.(result, clock.nowMs() - began);
    standing = { at: clock.wallMs(), balanced: result.balanced };
    if (result.balanced) log.info('The nightly audit found everything in order.');
    else {
      log.error(
        { code: 'audit-differences', differences: result.differences.slice(0, 10) },
        'The nightly audit found differences.',
      );
    }
  };
  rounds.push(
    new Rounds(clock, {
      periodMs: LOOK_AT_CLOCK_EVERY_MS,
      work: async () => {
        const today = dayOf(clock.wallMs());
        if (audited === undefined) {
          const last = await parts.lastAudit?.();
          audited = last === undefined ? opened : dayOf(last);
        }
        if (today <= audited) return;
        await once('audit', async () => {
          // Another gateway may have made it meanwhile.
          const last = await parts.lastAudit?.();
          if (last === undefined || dayOf(last) < today) await audit();
          audited = today;
        });
      },
      failed: (error) => log.warn({ err: error }, 'The nightly audit failed; it will be tried again.'),
    }),
  );
  return {
    standing: () => standing,
    close: async () => {
      await Promise.all(rounds.map((each) => each.close()));
    },
  };
}

/** Says why a round of settlement failed. */
export function settlementFailed(log: Logger, error: unknown): void {
  if (error instanceof Fault && error.code === 'settlement-stopped') {
    log.error({ code: error.code, reason: error.message }, 'Payouts are stopped: a person must look.');
  } else {
    log.warn({ err: error }, 'A settlement round failed; it will be tried again.');
  }
}
