import type { Command } from 'commander';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { type Config, readConfig } from '#config/config.ts';
import { type Database, openDatabase } from '#db/database.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase, type Progress } from '#db/embedded.ts';
import { migrate } from '#db/migrate.ts';
import { type Clock, systemClock } from '#kit/clock.ts';
import { type IdMaker, idMaker } from '#kit/id.ts';
import { type Logger, openLog } from '#kit/log.ts';
import { type Randomness, systemRandomness } from '#kit/random.ts';
import type { Sealed } from '#kit/sealed.ts';
import { type Report, writeReport } from './report.ts';

/** What a command works with. */
export interface Session {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  readonly randomness: Randomness;
  readonly makeId: IdMaker;
  readonly database: Database;
}

/** The database of this configuration, ready to use: reachable, its schema and catalogue complete. */
export interface OpenStore {
  readonly url: Sealed<string>;
  readonly database: Database;
  /** Undefined where the operator brought a database. */
  readonly embedded: EmbeddedDatabase | undefined;
  /** Closes our connections; stops an embedded server that nobody else uses. */
  close(): Promise<void>;
}

/** Opens the database that `config` names, or the embedded one; brings the schema up to date and adds missing models. */
export async function openStore(options: {
  config: Config;
  clock: Clock;
  log: Logger;
  progress?: Progress;
  maxConnections?: number;
  /** How long one statement may take; the database's own default where it is left out. */
  deadlineMs?: number;
}): Promise<OpenStore> {
  const { config, clock, log } = options;
  const embedded = config.databaseUrl
    ? undefined
    : await openEmbeddedDatabase({
        dataFolder: config.dataFolder,
        clock,
        ...(options.progress && { progress: options.progress }),
      });
  const url = config.databaseUrl ?? (embedded as EmbeddedDatabase).url;
  const database = openDatabase({
    url: url.open(),
    log,
    clock,
    ...(options.maxConnections !== undefined && { maxConnections: options.maxConnections }),
    ...(options.deadlineMs !== undefined && {
      deadlineMs: options.deadlineMs,
      statementTimeoutMs: options.deadlineMs,
    }),
  });
  const close = async (): Promise<void> => {
    await database.close();
    await embedded?.leave();
  };
  try {
    await migrate(database, { url: url.open(), clock, log });
    await seedCatalogue(database, { catalogue: readCatalogueFile(), at: clock.wallMs() });
    return { url, database, embedded, close };
  } catch (error) {
    await close().catch((failed: unknown) =>
      log.warn({ error: failed }, 'The database could not be left in order.'),
    );
    throw error;
  }
}

/**
 * Runs one command on the market's database and prints its report. Without a running server the embedded database is
 * started for the command and stopped after it. A command that writes its answer itself returns none. `deadlineMs` is for
 * those that read much of the ledger.
 */
export async function inSession(
  command: Command,
  work: (session: Session) => Promise<Report | undefined>,
  options: { deadlineMs?: number } = {},
): Promise<void> {
  const { json } = command.optsWithGlobals<{ json?: boolean }>();
  const config = readConfig();
  for (const name of config.strangers) process.stderr.write(`${name} is set and means nothing here.\n`);
  const log = openLog({ level: 'warn', destination: process.stderr });
  const clock = systemClock;
  const randomness = systemRandomness;
  const store = await openStore({
    config,
    clock,
    log,
    maxConnections: 2,
    ...options,
    // Opening it takes a tenth of a second and happens with each command: no news.
    progress: (step, sentence) => {
      if (step !== 'open') process.stderr.write(`${sentence}\n`);
    },
  });
  try {
    const { database } = store;
    const report = await work({
      config,
      log,
      clock,
      randomness,
      makeId: idMaker(clock, randomness),
      database,
    });
    if (report) writeReport(report, json ?? false);
  } finally {
    await store.close();
  }
}
