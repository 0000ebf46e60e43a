// docs/contract.md says of each line of Swan's contract which test proves it. Held here: the file is there, and it has a
// test of that name.

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { testNames } from '#support/source.ts';

const ROOT = packageRoot();
const PREFIXES: Readonly<Record<string, string>> = {
  swan: 'src/hub/swan-link.test.ts',
  session: 'src/hub/session.test.ts',
  server: 'src/hub/server.test.ts',
  'warm-up': 'src/hub/warm-up.test.ts',
};
/** The whole of Part 2 is in one file. */
const FILES_OF_PARTS: Readonly<Record<string, string>> = { 'Part 2': 'test/compat/swan-rest.test.ts' };

interface Proof {
  readonly file: string;
  /** Part of the name of a test; undefined where the file as a whole is named. */
  readonly name?: string;
}

/** The files and names in the last cell of a row, a name belonging to the file before it. */
function proofsIn(cell: string, fileOfPart: string | undefined): Proof[] {
  const found: Proof[] = [];
  let file = fileOfPart;
  const mention =
    /`([\w./-]+\.test\.ts)`|(?<![\w/])(swan|session|server|warm-up)\.(?=[\s,])|(?<!\/)hostile\/([\w-]+)|"([^"]+)"/g;
  for (const [, named, prefix, hostile, name] of cell.matchAll(mention)) {
    if (name !== undefined) {
      found.push({ file: file ?? 'no file', name });
      continue;
    }
    file =
      named ?? (prefix === undefined ? `test/hostile/${hostile}.test.ts` : PREFIXES[prefix]) ?? 'no file';
    found.push({ file });
  }
  return found;
}

/** Each row of the tables of the parts that follow the contract. */
function rowsIn(page: string): { row: string; proofs: Proof[] }[] {
  return page
    .split(/^## /m)
    .filter((section) => section.startsWith('Part '))
    .flatMap((section) => {
      const fileOfPart = FILES_OF_PARTS[section.slice(0, 'Part 2'.length)];
      return section
        .split('\n')
        .filter((line) => /^\| [\d#]/.test(line) && !line.startsWith('| #'))
        .map((row) => ({ row, proofs: proofsIn(row.split(' | ').at(-1) ?? '', fileOfPart) }));
    });
}

function complaintsOf(page: string, read: (file: string) => readonly string[] | undefined): string[] {
  return rowsIn(page).flatMap(({ row, proofs }) => {
    if (proofs.length === 0) return [`no test is named: ${row}`];
    return proofs.flatMap(({ file, name }) => {
      const names = read(file);
      if (!names) return [`${file} is not there: ${row}`];
      if (name === undefined || names.some((each) => each.includes(name))) return [];
      return [`${file} has no test "${name}"`];
    });
  });
}

const known = new Map<string, readonly string[]>();
function namesOf(file: string): readonly string[] | undefined {
  const at = path.join(ROOT, file);
  if (!existsSync(at)) return undefined;
  if (!known.has(file)) known.set(file, testNames(readFileSync(at, 'utf8')));
  return known.get(file);
}

test('the contract’s page names for each line a test that there is', () => {
  const page = readFileSync(path.join(ROOT, 'docs/contract.md'), 'utf8');
  expect(rowsIn(page).length).toBeGreaterThan(60);
  expect(complaintsOf(page, namesOf)).toEqual([]);
});

describe('the check of the contract’s page', () => {
  const complaintsAbout = (cell: string) =>
    complaintsOf(`## Part 1: x\n\n| 1.1 | a rule | here | ${cell} |\n`, (file) =>
      file === 'src/hub/session.test.ts' ? ['a node comes', 'a node goes at once'] : undefined,
    );

  test('finds a name that no test has, a file that is gone, and a line without a test', () => {
    expect(complaintsAbout('session. "goes at once"; session. alone')).toEqual([]);
    expect(complaintsAbout('session. "never goes"')).toEqual([
      'src/hub/session.test.ts has no test "never goes"',
    ]);
    expect(complaintsAbout('hostile/gone "x"')).toHaveLength(2);
    expect(complaintsAbout('`src/gone.test.ts`')).toHaveLength(1);
    expect(complaintsAbout('somewhere')).toHaveLength(1);
  });

  test('reads the names of tests with those of the groups that they are in', () => {
    const source = `
      describe('a node', () => {
        it('comes', async () => {});
        it.each([1, 2])('goes %i times', () => {});
        describe.each<[string]>([['x']])('of %s', () => test(\`stays\`, { timeout: 5 }, () => {}));
      });
      test('alone', () => {});
    `;
    expect(testNames(source)).toEqual([
      'a node comes',
      'a node goes %i times',
      'a node of %s stays',
      'alone',
    ]);
  });
});
