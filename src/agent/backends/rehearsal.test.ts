import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VirtualClock } from '#support/virtual-clock.ts';
import type { BackendEnd, BackendSink } from './backend.ts';
import { RehearsalBackend } from './rehearsal.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a request is answered at once, and how that ends. */
function ask(backend: RehearsalBackend, body: Record<string, unknown>): { text: string; end?: BackendEnd } {
  let whole = '';
  let end: BackendEnd | undefined;
  const sink: BackendSink = {
    event: () => true,
    answer: (json) => {
      whole = json.toString();
    },
    end: (how) => {
      end = how;
    },
  };
  backend.serve(
    {
      operation: 'chat/completions',
      body,
      stream: false,
      identity: { completion: 'chatcmpl-1', createdS: 1, model: 'm' },
    },
    sink,
  );
  const text = whole === '' ? '' : JSON.parse(whole).choices[0].message.content;
  return { text, ...(end && { end }) };
}

const hello = { messages: [{ role: 'user', content: 'Say bafita again.' }] };

test('one that echoes begins with the last message, and goes on as ever', () => {
  const backend = new RehearsalBackend('echo,tokens=5', { clock: new VirtualClock() });
  expect(ask(backend, hello).text).toBe('Say bafita again. fox jumps');
  expect(ask(backend, { messages: [] }).text).toBe('the quick brown fox jumps');
});

test('a plan in a file is read again for each request: a node gets worse and well again while it runs', () => {
  const file = path.join(folder, 'plan');
  writeFileSync(file, 'echo,tokens=3\n');
  const backend = new RehearsalBackend(`@${file}`, { clock: new VirtualClock() });
  expect(ask(backend, hello).text).toContain('bafita');
  writeFileSync(file, 'tokens=3');
  expect(ask(backend, hello).text).toBe('the quick brown');
  writeFileSync(file, 'status=503');
  expect(ask(backend, hello).end).toMatchObject({ status: 503 });
});

test('a request names no file to be read', () => {
  const file = path.join(folder, 'secret');
  writeFileSync(file, 'tokens=1');
  const backend = new RehearsalBackend('tokens=2', { clock: new VirtualClock() });
  expect(ask(backend, { ...hello, rehearsal: `@${file}` }).end).toMatchObject({ status: 400 });
});
