import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROBER } from '#domain/prober.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageRecord } from '#support/records.ts';
import { errorRow } from '#wire/errors.ts';
import { impactOf } from './impact.ts';
import { type Incident, IncidentBook } from './incident-book.ts';
import { MinuteBook } from './minute-book.ts';
import { MinuteTable } from './minute-table.ts';
import { draftPostMortem, postMortemDue } from './post-mortem.ts';

const NOON = Date.UTC(2026, 10, 20, 12);
const MINUTE = 60_000;

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
  await fresh.database.sql`
    insert into consumers (id, name, created_at, plan) values
      ('con_pro', 'Pro', now(), 'pro'), ('con_free', 'Free', now(), 'free'),
      (${PROBER.ownerId}, 'Probes', now(), 'pay-as-you-go')`;
});
afterAll(() => fresh.drop());

/** One request of a consumer in a minute after noon, as posting and the minute's book leave it. */
async function asked(minutes: MinuteBook, about: { minute: number; consumerId: string; failed: boolean }) {
  const at = NOON + about.minute * MINUTE;
  const errorCode = about.failed ? 'provider-failed' : null;
  const outcome = about.failed ? 'failed' : 'completed';
  const charge = about.failed ? 0n : 1_000_000n;
  const id = `req_${about.minute}_${about.consumerId}`;
  await fresh.database.sql`
    insert into usage (
      id, at, consumer_id, key_id, model_id, provider_id, mode, streamed, outcome, error_code, input_tokens, output_tokens,
      events, bytes, attempts, ttft_ms, total_ms, price_id, policy, charge
    ) values (
      ${id}, ${new Date(at)}, ${about.consumerId}, 'key', 'm', 'prov', 'websocket', true, ${outcome}, ${errorCode}, 10, 20,
      21, 2048, 1, 100, 500, 'price', 'standard-1', ${charge}
    )`;
  if (about.consumerId === PROBER.ownerId) return;
  minutes.served(usageRecord({ at, modelId: 'm', outcome, errorCode }), { tier: 'pro', region: 'eu' });
}

test('a post-mortem has the impact, the budget, who was affected and what they are owed', async () => {
  const minutes = new MinuteBook(errorRow);
  for (let minute = 0; minute < 100; minute++) {
    const failed = minute >= 50 && minute < 95;
    // oxlint-disable-next-line no-await-in-loop -- the book wants its minutes in order.
    for (const consumerId of ['con_pro', 'con_free', PROBER.ownerId])
      await asked(minutes, { minute, consumerId, failed });
  }
  await new MinuteTable({ database: fresh.database, instance: 'a' }).keep(minutes.takeAll());
  const book = new IncidentBook(fresh.database);
  const openedMs = NOON + 50 * MINUTE;
  const by = { actor: 'rule', words: 'It burns.' };
  const begun = {
    id: 'inc_1',
    modelId: 'm',
    region: '',
    severity: 'critical',
    because: 'It burns.',
  } as const;
  await book.begin({ ...begun, triggers: ['errors-rise'], actor: 'rule', atMs: openedMs });
  await book.resolve('inc_1', { ...by, words: 'Quiet.', atMs: NOON + 100 * MINUTE });
  const incident = (await book.find('inc_1')) as Incident;
  const steps = await book.steps(['inc_1']);

  const impact = await impactOf(fresh.database, incident, NOON + 200 * MINUTE);
  expect(impact).toMatchObject({ requests: 100, failures: 90, unavailableMinutes: 45 });
  // November: 43,200 minutes, of which 43.2 may be lost.
  expect(impact.budget).toMatchObject({ minutes: 43_200, spent: 45 });
  // 45 of the 28,281 minutes of the month so far are 0.16 %: one step below 99.9 % is begun, which is 5 %, here of 55
  // answers at a millionth of a dollar each.
  expect(impact.consumers).toEqual([
    { id: 'con_free', tier: 'hobby', requests: 50, failures: 45, credit: undefined },
    { id: 'con_pro', tier: 'pro', requests: 50, failures: 45, credit: 2_750_000n },
  ]);
  const draft = draftPostMortem({ incident, steps, impact });
  for (const words of ['| Duration | 50 min |', '**opened** (rule) It burns.', '| con_pro | pro | 50 | 45 |'])
    expect(draft).toContain(words);
  expect(draft).toContain('due by 2026-11-22 13:40');
  expect(draft).not.toContain(PROBER.ownerId);

  expect(postMortemDue(incident, steps)).toBe(NOON + 100 * MINUTE + 48 * 3_600_000);
  expect(await book.publish('inc_1', { ...by, words: 'Learnt.', atMs: NOON })).toBe(true);
  expect(postMortemDue(incident, await book.steps(['inc_1']))).toBeUndefined();
});

test('only probes saw it: a minute is unavailable when every one of them failed', async () => {
  await fresh.database.sql`
    insert into probe_minutes (at, model_id, region, probes, failures) values
      (${new Date(NOON)}, 'quiet', '', 2, 2), (${new Date(NOON + MINUTE)}, 'quiet', '', 2, 1)`;
  const book = new IncidentBook(fresh.database);
  const begun = { id: 'inc_2', modelId: 'quiet', region: '', severity: 'major', because: 'x' } as const;
  await book.begin({ ...begun, triggers: ['probes-fail'], actor: 'rule', atMs: NOON });
  const incident = (await book.find('inc_2')) as Incident;
  const impact = await impactOf(fresh.database, incident, NOON + 10 * MINUTE);
  expect(impact).toMatchObject({ requests: 0, unavailableMinutes: 1, consumers: [] });
});

test('whose requests found nobody to ask is affected as well, and owed for it', async () => {
  await fresh.database.sql`
    insert into consumer_refusals (at, instance, consumer_id, model_id, code, requests)
    select ${new Date(NOON + 5 * 86_400_000)}::timestamptz + m * interval '1 minute', 'a', 'con_pro', 'gone',
      'model-without-provider', 2 from generate_series(0, 9) as m`;
  const book = new IncidentBook(fresh.database);
  const begun = { id: 'inc_3', modelId: 'gone', region: '', severity: 'critical', because: 'x' } as const;
  const openedMs = NOON + 5 * 86_400_000;
  await book.begin({ ...begun, triggers: ['no-provider'], actor: 'rule', atMs: openedMs + 7_000 });
  const incident = (await book.find('inc_3')) as Incident;
  const impact = await impactOf(fresh.database, incident, openedMs + 10 * MINUTE);
  // With the 45 minutes of the first test they are 55 of the 35,471 so far: 0.155 %, one step.
  expect(impact.consumers).toEqual([
    { id: 'con_pro', tier: 'pro', requests: 20, failures: 20, credit: 2_750_000n },
  ]);
});
