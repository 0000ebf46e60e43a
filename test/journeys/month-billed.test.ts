import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { monthName, monthOf } from '#domain/window.ts';
import { Deposits } from '#funds/deposits.ts';
import { createConsumer } from '#identity/consumers.ts';
import { systemClock } from '#kit/clock.ts';
import { makeId, makeProvider } from '#support/parties.ts';
import { pdfText } from '#support/pdf-text.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { run } from '#support/program.ts';
import { Sales } from '#support/sales.ts';
import { VirtualClock } from '#support/virtual-clock.ts';

// A month that is over, as its operator deals with it on the command line: the real program, one command after the other.

const LAST_MONTH = new Date(systemClock.wallMs()).setUTCDate(0);
const month = monthName(monthOf(LAST_MONTH));
const from = new Date(LAST_MONTH).toISOString().slice(0, 10);
const consumerId = makeId('con');
let fresh: FreshDatabase;
let folder: string;
let providerId: string;

beforeAll(async () => {
  fresh = await freshDatabase();
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-papers-'));
  const { database } = fresh;
  await createConsumer(database, { id: consumerId, name: 'Acme', at: 0 });
  ({ id: providerId } = await makeProvider(database));
  const clock = new VirtualClock(LAST_MONTH);
  await new Deposits({ database, clock }).confirm({
    method: 'bank',
    consumerId,
    amount: parseUsd('100'),
    reference: 'wire 1',
  });
  await new Sales(database).sell({ consumerId, at: LAST_MONTH, charge: parseUsd('40.005'), providerId });
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await fresh.drop();
});

const file = (name: string): string => path.join(folder, name);
const cygnet = async (...words: string[]) =>
  await run(words, {
    DATABASE_URL: fresh.url,
    CYGNET_DATA_DIR: folder,
    CYGNET_ISSUER_NAME: 'Lake Market',
    CYGNET_ISSUER_ADDRESS: '1 Lake Road | Zürich',
  });
const json = async (...words: string[]) => {
  const ended = await cygnet(...words, '--json');
  expect(ended.err).toBe('');
  return JSON.parse(ended.out);
};

test('the month is closed and its documents issued, once', async () => {
  expect(await json('invoices', 'issue')).toMatchObject({
    months: expect.arrayContaining([month]),
    documents: 2,
  });
  expect((await cygnet('invoices', 'issue')).out).toBe('Nothing was due.\n');
  const all = await json('invoices', 'list', 'Acme');
  expect(all.map(({ number }: { number: string }) => number).toSorted()).toEqual([
    'INV-000001',
    'REC-000001',
  ]);
  const one = await json('invoices', 'list', '--month', month);
  expect(one).toMatchObject([{ number: 'INV-000001', total: parseUsd('40.005').toString() }]);
}, 120_000);

test('a document is shown, and written as PDF and CSV', async () => {
  const body = await json('invoices', 'show', 'INV-000001');
  expect(body).toMatchObject({
    issuer: { name: 'Lake Market', address: ['1 Lake Road', 'Zürich'] },
    total_usd: '40.005',
    total_rounded_usd: '40.01',
  });
  expect((await cygnet('invoices', 'show', 'INV-000001', '--pdf', file('i.pdf'))).out).toContain('i.pdf');
  expect(pdfText(readFileSync(file('i.pdf')))[0]).toContain('Acme');
  const csv = (await cygnet('invoices', 'show', 'INV-000001', '--csv', '-')).out;
  expect(csv).toContain('total,,,,,,,,40.005\r\n');
  const none = await cygnet('invoices', 'show', 'INV-000009');
  expect([none.code, none.err]).toEqual([1, 'There is no document "INV-000009".\n']);
  const nowhere = await cygnet('invoices', 'show', 'INV-000001', '--csv', path.join(folder, 'none', 'x.csv'));
  expect([nowhere.code, nowhere.err]).toEqual([1, expect.stringContaining('cannot be written: ENOENT')]);
}, 120_000);

test('earnings and revenue are shown and written as tables', async () => {
  const earned = await json('earnings', providerId, '--by', 'month', '--from', from);
  // 66.5 % of what was charged.
  expect(earned).toMatchObject({
    earned: parseUsd('26.603325').toString(),
    rows: [{ period: month, requests: 1 }],
  });
  expect((await cygnet('earnings', providerId, '--by', 'week', '--from', from)).out).toContain(
    '$26.603325 from ',
  );
  expect(await json('revenue', '--from', from)).toMatchObject([
    { paid: parseUsd('40.005').toString(), given: '0' },
  ]);
  expect(await json('revenue', '--by', 'node', '--from', from)).toMatchObject([{ nodeId: 'node_1' }]);
  const csv = await cygnet('revenue', '--by', 'gpu', '--from', from, '--csv', '-');
  expect(csv.out).toBe(
    'gpu,nodes,gpus,requests,revenue_usd,earned_usd,revenue_per_gpu_usd\r\n,1,0,1,40.005,26.603325,\r\n',
  );
  const wrong = [
    ['earnings', providerId, '--by', 'year'],
    ['revenue', '--by', 'model'],
    ['revenue', '--from', '2026-02-31'],
    ['revenue', '--from', '2026-02-02', '--to', '2026-02-01'],
  ];
  const codes = await Promise.all(wrong.map(async (words) => (await cygnet(...words)).code));
  expect(codes).toEqual([2, 2, 2, 2]);
}, 120_000);

test('the journal is written to a file or to stdout, and balances', async () => {
  expect((await cygnet('export', '--from', from, '--out', file('j.csv'))).out).toContain('j.csv');
  const text = readFileSync(file('j.csv'), 'utf8');
  expect((await cygnet('export', '--from', from)).out).toBe(text);
  const lines = text.trimEnd().split('\r\n');
  expect(lines).toHaveLength(1 + 2 + 5 + 3 + 1);
  expect(lines.at(-1)).toBe('total,,,,all,,140.005,140.005,,');
  expect(lines).toContain('total,,,,receipt,,100.00,100.00,,');
  const nowhere = await cygnet('export', '--out', path.join(folder, 'none', 'j.csv'));
  expect([nowhere.code, nowhere.err]).toEqual([1, expect.stringContaining('cannot be written: ENOENT')]);
}, 120_000);

test('what is due to be burned is shown, and a burn lowers it', async () => {
  const due = parseUsd('3.8004750');
  expect(await json('treasury', 'show')).toMatchObject({ burnDue: due.toString(), burned: '0' });
  const tx = `0x${'AB'.repeat(32)}`;
  const burn = ['treasury', 'burn', '--tx', tx, '--swan', '100.5', '--usd', '3', '--unverified', '254'];
  expect((await cygnet(...burn)).out).toBe('100.5 SWAN for $3.00, not verified: noted.\n');
  expect((await cygnet(...burn)).out).toContain('noted before, nothing changed');
  expect(await json('treasury', 'show')).toMatchObject({
    burnDue: (due - parseUsd('3')).toString(),
    burned: parseUsd('3').toString(),
  });
  expect(await json('treasury', 'burns')).toMatchObject([{ transaction: tx.toLowerCase(), verified: false }]);
  expect(await json('treasury', 'history', '--from', from)).toContainEqual(
    expect.objectContaining({ account: 'platform:burn', kind: 'burn', amount: (-parseUsd('3')).toString() }),
  );
  const more = await cygnet(
    'treasury',
    'burn',
    '--tx',
    `0x${'cd'.repeat(32)}`,
    '--swan',
    '1',
    '--usd',
    '3',
    '--unverified',
    '254',
  );
  expect([more.code, more.err]).toEqual([1, '$0.800475 is set aside for burning, and this cost $3.00.\n']);
  const chainless = await cygnet('treasury', 'burn', '--tx', `0x${'cd'.repeat(32)}`, '--usd', '0.5');
  expect([chainless.code, chainless.err]).toEqual([1, 'There is no chain to ask.\n']);
  const wrong = [
    ['--tx', 'x'],
    ['--tx', tx, '--swan', '0'],
    ['--tx', tx, '--unverified', 'swan'],
  ];
  const codes = await Promise.all(
    wrong.map(async (words) => (await cygnet('treasury', 'burn', ...words)).code),
  );
  expect(codes).toEqual([2, 2, 2]);
  expect((await json('audit')).balanced).toBe(true);
  expect(await json('invoices', 'check')).toEqual({ differences: [] });
}, 120_000);

test('a font of the operator is used, and what is none is refused in a sentence', async () => {
  const show = async (font: string) =>
    await run(['invoices', 'show', 'INV-000001', '--pdf', file('own.pdf')], {
      DATABASE_URL: fresh.url,
      CYGNET_INVOICE_FONT: font,
    });
  const serif = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSerif.ttf');
  expect((await show(serif)).code).toBe(0);
  expect(readFileSync(file('own.pdf')).toString('latin1')).toContain('+DejaVuSerif');
  writeFileSync(file('none.ttf'), 'this is no font');
  const none = await show(file('none.ttf'));
  expect([none.code, none.err]).toEqual([1, expect.stringContaining('no font that documents')]);
  const missing = await show(file('missing.ttf'));
  expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('CYGNET_INVOICE_FONT')]);
}, 120_000);
