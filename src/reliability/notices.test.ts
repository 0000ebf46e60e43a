import { createHmac } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { networkRules } from '#hub/external/fleet.ts';
import { silentLog } from '#kit/log.ts';
import { Sealed } from '#kit/sealed.ts';
import { makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { BURN_RULES } from './burn-alerts.ts';
import { BurnBook } from './burn-book.ts';
import { IncidentBook } from './incident-book.ts';
import { type NoticeSettings, Notices } from './notices.ts';

let fresh: FreshDatabase;
let server: Server;
let folder: string;
let status = 200;
let heard: { signature: string; body: string }[] = [];
beforeAll(async () => {
  fresh = await freshDatabase();
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      body += part;
    });
    request.on('end', () => {
      heard.push({ signature: String(request.headers['x-cygnet-signature']), body });
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await fresh.drop();
});
beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-mail-'));
  heard = [];
  status = 200;
  ids += 1;
  await fresh.database.sql`update incidents set resolved_at = opened_at where resolved_at is null`;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

let ids = 0;
const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;

/** An incident a day after those of the tests before, which are no news then. */
async function staged(allowed: string[], settings: Partial<NoticeSettings>) {
  const clock = new VirtualClock(Date.UTC(2026, 10, 20 + 2 * ids));
  const book = new IncidentBook(fresh.database);
  const id = `inc_${ids}`;
  const by = { actor: 'operator', atMs: clock.wallMs() };
  await book.begin({
    id,
    modelId: 'm',
    region: '',
    severity: 'major',
    triggers: [],
    because: 'It\r\nburns.',
    ...by,
  });
  const burns = new BurnBook({ database: fresh.database, makeId });
  const notices = new Notices({
    book,
    burns,
    clock,
    log: silentLog,
    settings: { webhook: undefined, mail: undefined, ...settings },
    rules: networkRules(allowed),
  });
  return { clock, book, burns, notices, id, by };
}
const hook = () => ({ webhook: { url: url(), secret: new Sealed('whsec') } });

test('a webhook hears of each step once, in order, signed with its time', async () => {
  const { book, notices, id, by, clock } = await staged(['127.0.0.1'], hook());
  await book.note(id, { ...by, words: 'Fans are on.' });
  await book.note(id, { ...by, words: 'Call Kim.', internal: true });
  await notices.tell();
  await notices.tell();
  expect(heard.map(({ body }) => JSON.parse(body) as { type: string; words: string })).toMatchObject([
    { type: 'incident.opened', words: 'It\r\nburns.', incident: { id, model: 'm', severity: 'major' } },
    { type: 'incident.note', words: 'Fans are on.' },
  ]);
  const [first] = heard;
  const unixS = Math.floor(clock.wallMs() / 1000);
  const mac = createHmac('sha256', 'whsec').update(`${unixS}.${first?.body}`).digest('hex');
  expect(first?.signature).toBe(`t=${unixS},v1=${mac}`);
  await notices.close();
});

test('a webhook that fails is told again later, and later and later', async () => {
  const { notices, clock } = await staged(['127.0.0.1'], hook());
  status = 500;
  await notices.tell();
  await notices.tell();
  expect(heard).toHaveLength(1);
  await clock.advance(21_000);
  await notices.tell();
  expect(heard).toHaveLength(2);
  status = 204;
  await clock.advance(21_000);
  await notices.tell();
  expect(heard).toHaveLength(2);
  await clock.advance(60_000);
  await notices.tell();
  await notices.tell();
  expect(heard).toHaveLength(3);
  await notices.close();
});

test('a webhook that leads into a private network is never called', async () => {
  const { notices } = await staged([], hook());
  await notices.tell();
  expect(heard).toEqual([]);
  await notices.close();
});

test('a silenced incident is not told of', async () => {
  const { notices, book, id, by, clock } = await staged(['127.0.0.1'], hook());
  await notices.tell();
  await book.silence(id, { ...by, untilMs: clock.wallMs() + 3_600_000, words: 'Known.' });
  await clock.advance(1_000);
  await book.note(id, { actor: 'operator', atMs: clock.wallMs(), words: 'Still hot.' });
  await notices.tell();
  expect(heard).toHaveLength(1);
  await notices.close();
});

test('mail is a file of its own with one header to a line', async () => {
  const mail = { folder, to: 'ops@example.com\r\nBcc: all@example.com' };
  const { notices } = await staged([], { mail });
  await notices.tell();
  await notices.tell();
  const files = readdirSync(folder);
  expect(files).toHaveLength(1);
  const [head = ''] = readFileSync(path.join(folder, files[0] ?? ''), 'utf8').split('\r\n\r\n');
  expect(head).toContain('Subject: [cygnet] major incident opened: m');
  expect(head).not.toMatch(/^Bcc:/m);
  await notices.close();
});

test('a budget that begins to burn and one that ceases are told once each, whoever sees it, by both channels', async () => {
  const mail = { folder, to: 'ops@example.org' };
  const { burns, notices, clock } = await staged(['127.0.0.1'], { ...hook(), mail });
  const other = new BurnBook({ database: fresh.another(), makeId });
  const [rule] = BURN_RULES;
  const alert = {
    tier: 'pro',
    modelId: '',
    region: '',
    consumerId: '',
    lastFailed: '',
    explainedBy: '',
    rule: rule as (typeof BURN_RULES)[0],
    longRate: 20,
    shortRate: 30,
  } as const;
  const told = () =>
    heard
      .map(({ body }) => JSON.parse(body) as { type: string })
      .filter(({ type }) => type.startsWith('budget'));
  await Promise.all([burns.note([alert], clock.wallMs()), other.note([alert], clock.wallMs())]);
  await notices.tell();
  await notices.tell();
  expect(told()).toMatchObject([
    {
      type: 'budget.began',
      budget: { tier: 'pro', rule: 'sharp', severity: 'page', rate: 20, ended_at: null },
    },
  ]);
  // One process sees it no more, the other still does.
  await clock.advance(50_000);
  await burns.note([], clock.wallMs());
  await other.note([alert], clock.wallMs());
  await clock.advance(50_000);
  await burns.note([], clock.wallMs());
  await notices.tell();
  expect(told()).toHaveLength(1);
  await clock.advance(60_000);
  await Promise.all([burns.note([], clock.wallMs()), other.note([], clock.wallMs())]);
  await notices.tell();
  await notices.tell();
  expect(told()).toMatchObject([{ type: 'budget.began' }, { type: 'budget.ended' }]);
  const mails = readdirSync(folder).filter((name) => name.startsWith('budget'));
  expect(mails).toHaveLength(2);
  expect(
    readFileSync(path.join(folder, mails.find((name) => name.includes('began')) ?? ''), 'utf8'),
  ).toContain('Subject: [cygnet] error budget of pro burns (page)');
  // Afterwards it is another one.
  await burns.note([alert], clock.wallMs());
  await notices.tell();
  expect(told()).toHaveLength(3);
  await notices.close();
});

test('a budget that something else explains is told to nobody, and when nothing does any more it is told once', async () => {
  const { burns, notices, clock } = await staged(['127.0.0.1'], hook());
  const alert = {
    tier: 'business',
    modelId: '',
    region: '',
    consumerId: 'cons_big',
    lastFailed: 'm',
    explainedBy: 'inc_1',
    rule: BURN_RULES[0] as (typeof BURN_RULES)[0],
    longRate: 20,
    shortRate: 30,
  } as const;
  const told = () =>
    heard
      .map(({ body }) => JSON.parse(body) as { type: string; words: string; budget?: { consumer: string } })
      .filter(({ budget }) => budget?.consumer === 'cons_big');
  await burns.note([alert], clock.wallMs());
  await notices.tell();
  expect(told()).toEqual([]);
  await burns.note([{ ...alert, explainedBy: '' }], clock.wallMs());
  await burns.note([alert], clock.wallMs());
  await notices.tell();
  await notices.tell();
  expect(told()).toMatchObject([{ type: 'budget.began', budget: { consumer: 'cons_big' } }]);
  expect(told()[0]?.words).toContain('of business for the consumer cons_big burns 20.0 times');
  await notices.close();
});
