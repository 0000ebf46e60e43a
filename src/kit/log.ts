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
