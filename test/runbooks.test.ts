import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '#cli/commands.ts';

// A runbook is read at three in the morning: what it says must exist. Every `npx cygnet …` of the operators' pages is taken
// apart as the program would, and each runbook has its five steps, each with something to do.

const read = (page: string): string =>
  readFileSync(fileURLToPath(new URL(`../docs/operate/${page}`, import.meta.url)), 'utf8');

const PAGES = ['runbooks.md', 'incidents.md'];
const STEPS = ['detect', 'stabilise', 'diagnose', 'fix or fail over', 'report'];

/** The command lines of a page: in code spans, in blocks and in indented lines. */
function commandLines(text: string): string[] {
  const lines = text
    .split('\n')
    .flatMap((line) => [
      ...[...line.matchAll(/`npx cygnet ([^`]+)`/g)].map((match) => match[1] ?? ''),
      ...[...line.matchAll(/^ *npx cygnet (.+?)(?:\s+#.*|\s+>.*)?$/g)].map((match) => match[1] ?? ''),
    ]);
  return [...new Set(lines)];
}

/** The words of a command line as a shell hands them on. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}

/** What the program would say against a command line; undefined when it is well. */
async function complaint(line: string): Promise<string | undefined> {
  const [name = '', ...rest] = words(line);
  const entry = COMMANDS[name];
  if (!entry) return `there is no command ${name}`;
  const program = new Command('cygnet').option('--json').exitOverride();
  program.configureOutput({ writeErr: () => {}, writeOut: () => {} });
  const command = program.command(name).exitOverride();
  (await entry.load())(command);
  const harmless = (each: Command): void => {
    each.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    if (each.commands.length === 0 || each === command) each.action(() => {});
    for (const sub of each.commands) {
      sub.action(() => {});
      harmless(sub);
    }
  };
  harmless(command);
  const before = process.exitCode;
  try {
    await program.parseAsync([name, ...rest], { from: 'user' });
    const [first] = rest;
    const subs = command.commands.map((each) => each.name());
    const isSub = first !== undefined && !first.startsWith('-') && subs.length > 0;
    return isSub && !subs.includes(first) && command.registeredArguments.length === 0
      ? `${name} has no ${first}`
      : undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    process.exitCode = before;
  }
}

describe.each(PAGES)('%s', (page) => {
  test('names only commands, arguments and options that the program has', async () => {
    const lines = commandLines(read(page));
    expect(lines.length).toBeGreaterThan(0);
    const found = [];
    for (const line of lines) {
      const wrong = await complaint(line);
      if (wrong !== undefined) found.push(`npx cygnet ${line}: ${wrong}`);
    }
    expect(found).toEqual([]);
  });
});

test('what is not there is noticed', async () => {
  expect(await complaint('incidents lst')).toBeDefined();
  expect(await complaint('incidents show')).toBeDefined();
  expect(await complaint('incidents list --weeks 3')).toBeDefined();
  expect(await complaint('nonsense')).toBeDefined();
});

describe('runbooks.md', () => {
  const cases = read('runbooks.md')
    .split(/^## /m)
    .slice(1)
    .filter((part) => part.includes('| step |'));

  test('has a case for each thing that is known to go wrong', () => {
    expect(cases.map((part) => part.split('\n')[0])).toEqual([
      'A provider is lost',
      'A slow pool',
      'A bad model version',
      'The database is away',
      "The chain's RPC is away",
      'Settlement is stuck',
      'The audit finds a difference',
      'The disk is full',
      'A key has leaked',
    ]);
  });

  test.each(cases.map((part) => [part.split('\n')[0], part] as const))(
    '%s: five steps, in order',
    (_name, part) => {
      const rows = [...part.matchAll(/^\| ([a-z ]+) \| (.*) \|$/gm)].filter((row) =>
        STEPS.includes(row[1] ?? ''),
      );
      expect(rows.map((row) => row[1])).toEqual(STEPS);
      for (const [, , text = ''] of rows) expect(text.length).toBeGreaterThan(20);
      const actions = rows.filter(([, , text = '']) => /`npx cygnet |\]\(|`\/|`cygnet_|`psql|`df/.test(text));
      expect(actions.map((row) => row[1])).toEqual(STEPS);
    },
  );
});
