import { mkdirSync, openSync, write, writeSync } from 'node:fs';
import path from 'node:path';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { Clock } from './clock.ts';

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
  /** Writes what is gathered, at once. For the end of the process. */
  close(): void;
}

const GATHER_BYTES = 65_536;
const GATHER_MS = 1_000;

/**
 * Opens a file (or the descriptor 1 for stdout) for a busy log: lines gather in one buffer, up to 64 kB or a second, and
 * leave in one write, off the main thread. A process that is killed loses that second of its log; what was charged is in
 * the journal. (Pino's own buffered destination keeps the lines as strings until they leave: per request that was a
 * tenth of all its work, most of it collecting them.)
 */
export function openLogFile(clock: Clock, file: string | number): LogFile {
  if (typeof file === 'string') mkdirSync(path.dirname(file), { recursive: true });
  const descriptor = typeof file === 'string' ? openSync(file, 'a', 0o600) : file;
  let filling = Buffer.allocUnsafe(GATHER_BYTES);
  let filled = 0;
  let writing: Buffer | undefined;
  let written = 0;
  let dropped = 0;

  const writeOn = (): void => {
    write(
      descriptor,
      writing as Buffer,
      written,
      (writing as Buffer).length - written,
      null,
      (error, count) => {
        // A log that cannot be written (a full disk, a closed pipe) must not stop the market.
        if (!error) written += count;
        if (error && error.code === 'EAGAIN') return void clock.after(10, writeOn);
        if (!error && written < (writing as Buffer).length) return writeOn();
        writing = undefined;
      },
    );
  };
  const flush = (): void => {
    if (filled === 0 || writing) return;
    writing = filling.subarray(0, filled);
    written = 0;
    filling = Buffer.allocUnsafe(GATHER_BYTES);
    filled = 0;
    writeOn();
  };
  const rounds = clock.every(GATHER_MS, flush);
  return {
    write(line) {
      // At most three bytes for each UTF-16 code unit.
      if (filled + line.length * 3 > filling.length) flush();
      if (filled + line.length * 3 > filling.length) {
        dropped += 1;
        return;
      }
      filled += filling.write(line, filled);
    },
    close() {
      rounds.cancel();
      // What another thread is still writing must not be written twice: it is short, and in order before the rest.
      const rest = filling.subarray(0, filled);
      filled = 0;
      try {
        writeSync(descriptor, rest);
        if (dropped > 0)
          writeSync(descriptor, `{"level":40,"dropped":${dropped},"msg":"Log lines were dropped."}\n`);
      } catch {
        // Nobody is left to tell.
      }
    },
  };
}
