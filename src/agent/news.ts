import { plainLine } from './commands/print.ts';

const KEPT = 50;
const WARN = 40;

/** The latest warnings of a log, as lines for people; every line is passed on as it is. */
export class News {
  readonly #to: { write(line: string): unknown };
  readonly #lines: string[] = [];

  constructor(to: { write(line: string): unknown }) {
    this.#to = to;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  write(line: string): void {
    this.#to.write(line);
    let entry: { level?: unknown; time?: unknown; msg?: unknown; [field: string]: unknown };
    try {
      entry = JSON.parse(line) as typeof entry;
    } catch {
      return;
    }
    const { level, time, msg } = entry;
    const isNotice = msg === 'notice from the hub' || msg === 'registered with the hub';
    if (typeof level !== 'number' || (level < WARN && !isNotice)) return;
    const at = typeof time === 'number' ? new Date(time).toISOString().slice(11, 19) : '';
    const about = ['model', 'hub', 'text', 'why', 'reason']
      .map((field) => entry[field])
      .filter((value) => typeof value === 'string');
    const said = plainLine([at, String(msg), ...about].join('  ').slice(0, 400));
    this.#lines.push(said);
    if (this.#lines.length > KEPT) this.#lines.shift();
  }
}
