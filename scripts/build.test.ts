import { expect, test } from 'vitest';
import { entryPoints, strangersInAgent } from './build.mjs';

test('programs that exist and every worker are built, the rest is passed over', () => {
  expect(entryPoints(['src/cli/main.ts', 'src/gateway/server.ts', 'src/ledger/audit.worker.ts'])).toEqual({
    cygnet: 'src/cli/main.ts',
    'audit.worker': 'src/ledger/audit.worker.ts',
  });
});

test('two workers of one name are refused, since one would overwrite the other', () => {
  expect(() => entryPoints(['src/a/x.worker.ts', 'src/b/x.worker.ts'])).toThrow(
    'src/a/x.worker.ts and src/b/x.worker.ts',
  );
});

test('a server file in the agent is named together with the file that brought it in', () => {
  const inputs = {
    'src/agent/main.ts': { imports: [{ path: 'src/kit/log.ts' }, { path: 'src/ledger/book.ts' }] },
    'src/kit/log.ts': { imports: [] },
    'src/ledger/book.ts': { imports: [] },
  };
  expect(strangersInAgent(inputs)).toEqual(['src/ledger/book.ts (imported by src/agent/main.ts)']);
});
