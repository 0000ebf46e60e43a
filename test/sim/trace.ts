import { createHash } from 'node:crypto';

const HASH_EVERY_CHARS = 65_536;
const LINES_KEPT = 4_000;

/**
 * What happened, line by line: hashed, so that two runs of a seed can be compared, and the last lines kept, so that a
 * violation can show what led to it. A line names its subject (`#12` a request, `A` a process) first.
 */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: string[] = [];
  readonly #print: ((line: string) => void) | undefined;
  #at = 0;
  #waiting = '';
  /** Lines so far: the step number that a violation names. */
  length = 0;

  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  note(nowMs: number, subject: string, what: string): void {
    const line = `${nowMs} ${subject} ${what}`;
    this.#lines[this.#at] = line;
    this.#at = (this.#at + 1) % LINES_KEPT;
    this.length += 1;
    this.#waiting += `${line}\n`;
    if (this.#waiting.length > HASH_EVERY_CHARS) this.#digest();
    this.#print?.(line);
  }

  /** The last lines about any of `subjects`, oldest first. */
  about(subjects: readonly string[], count: number): string[] {
    const found: string[] = [];
    for (let back = 1; back <= LINES_KEPT && found.length < count; back++) {
      const line = this.#lines[(this.#at - back + LINES_KEPT) % LINES_KEPT];
      if (line === undefined) break;
      const subject = line.split(' ', 2)[1] as string;
      if (subjects.length === 0 || subjects.includes(subject)) found.push(line);
    }
    return found.toReversed();
  }

  /** The hash of everything so far. */
  hash(): string {
    this.#digest();
    return this.#hash.copy().digest('hex').slice(0, 32);
  }

  #digest(): void {
    this.#hash.update(this.#waiting);
    this.#waiting = '';
  }
}
