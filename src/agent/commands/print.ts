/** What a command answers: a value for programs (`--json`), and lines for people. */
export interface Answer {
  readonly value: unknown;
  readonly lines: readonly string[];
}

/** Answers go to stdout; everything else goes to stderr. */
export function print(answer: Answer, json: boolean | undefined): void {
  process.stdout.write(`${json ? JSON.stringify(answer.value, null, 2) : answer.lines.join('\n')}\n`);
}

/** Rows under headings, columns aligned; on the right where a heading begins with `>`. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = headings.map((heading, i) =>
    Math.max(heading.replace('>', '').length, ...rows.map((row) => (row[i] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return headings[i]?.startsWith('>') ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(headings.map((heading) => heading.replace('>', ''))), ...rows.map(line)];
}

/** Dollars for people: to the cent, or to the first two digits that are not zero. */
export function usd(amount: number | undefined): string {
  if (amount === undefined) return 'not known';
  if (amount === 0) return '$0.00';
  const decimals = Math.abs(amount) >= 1 ? 2 : Math.min(12, 2 - Math.floor(Math.log10(Math.abs(amount))));
  return `$${amount.toFixed(Math.max(2, decimals))}`;
}

/** A duration for people: `2 d 3 h`, `4 min`. */
export function duration(seconds: number): string {
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ] as const;
  const at = Math.max(
    0,
    units.findIndex(([, length]) => seconds >= length),
  );
  const [unit, length] = units[seconds < 1 ? 3 : at] ?? ['s', 1];
  const whole = `${Math.floor(seconds / length)} ${unit}`;
  const next = units[at + 1];
  const rest = next ? Math.floor((seconds % length) / next[1]) : 0;
  return next && rest > 0 && seconds >= 60 ? `${whole} ${rest} ${next[0]}` : whole;
}

/** One line of text from elsewhere, safe for a terminal. */
export function plainLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}
