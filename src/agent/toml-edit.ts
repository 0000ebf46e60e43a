import { isDeepStrictEqual } from 'node:util';
import { parse, stringify, type TomlTable } from 'smol-toml';

/**
 * Changes single values of a TOML file that belongs to somebody else, and leaves every other byte of it as it is: comments,
 * order and whatever we do not know. A change is a splice of lines; what comes out is parsed, and must say exactly what
 * went in with the one value replaced. A file written so unusually that no splice does that (dotted keys, tables within
 * one line) is written anew: then its values are all kept, and its comments are not.
 */
export interface TomlChange {
  readonly table: string;
  readonly key: string;
  readonly value: string | number | boolean | readonly string[];
}

/** Throws when `text` is not TOML, or when `table` is in use for something that is no table. */
export function editToml(text: string, changes: readonly TomlChange[]): string {
  return changes.reduce(editOne, text);
}

function editOne(text: string, change: TomlChange): string {
  const wanted = parse(text);
  // Of the parser's own making, so that the comparison finds tables of one kind.
  const table = (wanted[change.table] ??= parse('')) as TomlTable;
  if (typeof table !== 'object' || Array.isArray(table) || table instanceof Date)
    throw new Error(`${change.table} is no table.`);
  if (isDeepStrictEqual(table[change.key], change.value)) return text;
  table[change.key] = typeof change.value === 'object' ? [...change.value] : change.value;
  for (const candidate of splices(text, change)) {
    if (says(candidate, wanted)) return candidate;
  }
  return stringify(wanted);
}

function says(text: string, wanted: TomlTable): boolean {
  try {
    return isDeepStrictEqual(parse(text), wanted);
  } catch {
    return false;
  }
}

/** Texts that could be the answer, the most careful first. */
function* splices(text: string, { table, key, value }: TomlChange): Generator<string> {
  const lines = text.split('\n');
  const assignment = `${key} = ${literal(value)}`;
  const header = lines.findIndex((line) => line.replace(/#.*$/, '').trim() === `[${table}]`);
  if (header < 0) {
    const separator = text === '' ? '' : text.endsWith('\n') ? '\n' : '\n\n';
    yield `${text}${separator}[${table}]\n${assignment}\n`;
    return;
  }
  const next = lines.findIndex((line, index) => index > header && /^\s*\[/.test(line));
  // A list over several lines has lines that look like headers: the check of the result sorts them out.
  for (const end of next < 0 ? [lines.length] : [next, lines.length]) {
    const pattern = new RegExp(String.raw`^(\s*)${escaped(key)}\s*=`);
    const at = lines.findIndex((line, index) => index > header && index < end && pattern.test(line));
    if (at < 0) continue;
    const indent = pattern.exec(lines[at] as string)?.[1] ?? '';
    const comment = /(?<=["'\]\w])\s*#[^"']*$/.exec(lines[at] as string)?.[0] ?? '';
    yield spliced(lines, at, 1, `${indent}${assignment}${comment}`);
    for (let length = 1; at + length <= end; length++)
      yield spliced(lines, at, length, `${indent}${assignment}`);
  }
  yield spliced(lines, header + 1, 0, assignment);
}

function spliced(lines: readonly string[], at: number, length: number, line: string): string {
  return lines.toSpliced(at, length, line).join('\n');
}

function literal(value: TomlChange['value']): string {
  if (typeof value === 'object') return `[${value.map((each) => JSON.stringify(each)).join(', ')}]`;
  return JSON.stringify(value);
}

function escaped(key: string): string {
  return key.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
