import type { WriteStream } from 'node:tty';

const ESCAPE = '\u001B[';

/** Draws pages on a terminal's second screen, so that what stood there before is back when we leave. */
export class Screen {
  readonly #terminal: Pick<WriteStream, 'write' | 'columns' | 'rows'>;
  #open = false;

  constructor(terminal: Pick<WriteStream, 'write' | 'columns' | 'rows'>) {
    this.#terminal = terminal;
  }

  get size(): { columns: number; rows: number } {
    // A terminal that does not say how large it is says zero.
    return { columns: this.#terminal.columns || 80, rows: this.#terminal.rows || 24 };
  }

  draw(lines: readonly string[]): void {
    const begin = this.#open ? '' : `${ESCAPE}?1049h${ESCAPE}?25l`;
    this.#open = true;
    // Line by line over the old page, so that nothing flickers, and what was below it goes.
    const page = lines.map((line) => `${line}${ESCAPE}K`).join('\r\n');
    this.#terminal.write(`${begin}${ESCAPE}H${page}${ESCAPE}J`);
  }

  close(): void {
    if (this.#open) this.#terminal.write(`${ESCAPE}?25h${ESCAPE}?1049l`);
    this.#open = false;
  }
}
