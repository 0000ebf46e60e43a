/**
 * What a command answers: a value for programs (`--json`, amounts in pico-dollars as decimal strings, times in ISO 8601)
 * and lines for people. Answers go to stdout, everything else to stderr.
 */
export interface Report {
  readonly value: unknown;
  readonly lines: readonly string[];
}

export function writeReport(report: Report, json: boolean): void {
  const text = json
    ? JSON.stringify(
        report.value,
        (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
        2,
      )
    : report.lines.join('\n');
  process.stdout.write(`${text}\n`);
}

/** Rows under headings, columns aligned. Numbers are aligned on the right where the heading begins with `>`. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const titles = headings.map((heading) => heading.replace(/^>/, ''));
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return headings[i]?.startsWith('>') ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(titles), ...rows.map((row) => line(row))];
}

/** A moment for people: `2026-11-20 12:00:05` (UTC). */
export function moment(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 19).replace('T', ' ');
}

/** A moment for programs. */
export function iso(wallMs: number | null): string | null {
  return wallMs === null ? null : new Date(wallMs).toISOString();
}
