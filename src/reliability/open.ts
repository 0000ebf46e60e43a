import type { Database } from '#db/database.ts';
import type { TierName } from '#domain/tier.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';
import { errorRow } from '#wire/errors.ts';
import { type GaugeReading, Metrics } from './metrics.ts';
import { MinuteBook } from './minute-book.ts';
import { MinuteTable } from './minute-table.ts';
import { keepRefusals, RefusalBook } from './refusals.ts';
import { ServiceTotals } from './service-totals.ts';

/** How often closed minutes are looked for, and how often hours are added up and old partitions dropped. */
const KEEP_EVERY_MS = 5_000;
const ROLL_UP_EVERY_MS = 300_000;
/** Minutes that wait for a database that is away; older ones are given up first. Half a day. */
const WAITING_MAX = 720;

/** What serving tells the room of reliability. Calls cost about a microsecond and never throw or wait. */
export interface Measures {
  served(
    record: UsageRecord,
    about: { tier: TierName; region: string | null; queueMs?: number | undefined },
  ): void;
  refused(about: { consumerId: string; modelId: string; tier: TierName; code: string }): void;
}

export interface Reliability extends Measures {
  readonly table: MinuteTable;
  readonly metrics: Metrics;
  /** Keeps what was measured and ends. */
  close(): Promise<void>;
}

/** Opens the room. `life` names this run of this process: its rows are its own. */
export function openReliability(parts: {
  database: Database;
  clock: Clock;
  log: Logger;
  life: string;
  gauges: readonly GaugeReading[];
}): Reliability {
  const { database, clock, log } = parts;
  const book = new MinuteBook(errorRow);
  const refusals = new RefusalBook();
  const totals = new ServiceTotals(errorRow);
  const table = new MinuteTable({ database, instance: parts.life });
  const keep = async (all: boolean): Promise<void> => {
    const minutes = all ? book.takeAll() : book.takeClosed(clock.wallMs());
    if (minutes.length === 0) return;
    try {
      await table.keep(minutes);
    } catch (error) {
      book.putBack(minutes.slice(-WAITING_MAX));
      throw error;
    }
  };
  const keepRefused = async (all: boolean): Promise<void> => {
    const cells = all ? refusals.takeAll() : refusals.takeClosed(clock.wallMs());
    if (cells.length === 0) return;
    try {
      await keepRefusals(database, parts.life, cells);
    } catch (error) {
      refusals.putBack(cells);
      throw error;
    }
  };
  const failed = (error: unknown): void =>
    log.warn({ err: error }, 'Measured minutes could not be kept; they wait.');
  const keeping = new Rounds(clock, { periodMs: KEEP_EVERY_MS, work: () => keep(false), failed });
  const keepingRefused = new Rounds(clock, {
    periodMs: KEEP_EVERY_MS,
    work: () => keepRefused(false),
    failed,
  });
  const rolling = new Rounds(clock, {
    periodMs: ROLL_UP_EVERY_MS,
    work: async () => {
      await table.rollUp(clock.wallMs());
      await table.dropOld(clock.wallMs());
    },
    failed,
  });
  return {
    table,
    metrics: new Metrics({ totals, gauges: parts.gauges, process: true }),
    served: (record, about) => {
      book.served(record, about);
      totals.served(record, about);
    },
    refused: (about) => {
      book.refused(clock.wallMs(), about);
      refusals.note(clock.wallMs(), about);
      totals.refused(about);
    },
    close: async () => {
      await keeping.close();
      await keepingRefused.close();
      await rolling.close();
      await keep(true).catch(failed);
      await keepRefused(true).catch(failed);
    },
  };
}
