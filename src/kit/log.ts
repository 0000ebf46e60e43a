import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/**
 * Structured logs: constant sentences, values as fields, one wide line per request or round. Secrets travel as `Sealed`
 * and print as `[sealed]`; the redaction list is the second line of defence, not the first.
 */
export function openLog(options: { level: string; destination?: DestinationStream }): Logger {
  const settings = {
    level: options.level,
    base: null,
    redact: { paths: ['token', 'key', 'authorization', 'password'], censor: '[sealed]' },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

/** A log that writes nothing, for tests and tools. */
export const silentLog: Logger = pino({ level: 'silent' });

/** Where a server's log goes. */
export interface LogFile extends DestinationStream {
  /** Writes what is gathered now, and waits until it is written. For the end of the process. */
  flushSync(): void;
}

const GATHER_BYTES = 65_536;
const GATHER_MS = 1_000;

/**
 * Opens a file (or the descriptor 1 for stdout) for a busy log: lines gather up to 64 kB or a second and leave in one
 * write, off the main thread. A process that is killed loses that second of its log; what was charged is in the journal.
 */
export function openLogFile(file: string | number): LogFile {
  const destination = pino.destination({
    dest: file,
    sync: false,
    mkdir: true,
    minLength: GATHER_BYTES,
    maxWrite: 2 * GATHER_BYTES,
    periodicFlush: GATHER_MS,
  });
  return destination;
}
