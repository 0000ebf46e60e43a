import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appeal } from '#agent/commands/appeal.ts';
import { parseUsd } from '#domain/money.ts';
import { Collateral } from '#funds/collateral.ts';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { audit } from '#ledger/audit.ts';
import { TestMarket } from '#support/market.ts';
import { makeId, type TestParty } from '#support/parties.ts';
import { visit } from '#support/visitor.ts';
import { appealAsked, appealsAnswer } from '#wire/console.ts';

// A provider appeals against what was found of it, and the operator decides.

let market: TestMarket;
let folder: string;
let boss: string;
beforeAll(async () => {
  market = await TestMarket.open();
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-appeal-'));
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    method: 'POST',
    body: { email: 'boss@example.org', password: 'correct horse battery' },
  });
  boss = made.json.token;
  await market.fresh.database.sql`update users set is_operator = true where email = 'boss@example.org'`;
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await market.close();
});

/** A provider that pledged 20 dollars and was slashed of a tenth by the operator. */
async function slashed(): Promise<{ provider: TestParty; finding: string; collateral: Collateral }> {
  const provider = await market.provider();
  const { database } = market.fresh;
  const collateral = new Collateral({
    database,
    chain: undefined,
    clock: systemClock,
    makeId,
    log: silentLog,
  });
  const { id } = await collateral.announceDollars(provider.id, parseUsd('20'));
  await collateral.confirmDollars(id, { reference: makeId('ref') });
  const finding = makeId('finding');
  await collateral.slash({
    id: finding,
    providerId: provider.id,
    failures: 2,
    reason: 'It answered wrongly.',
  });
  return { provider, finding, collateral };
}
const call = async (path_: string, token: string, body?: unknown) =>
  await visit(`${market.url}/api/v1${path_}`, {
    token,
    ...(body !== undefined && { method: 'POST' as const, body }),
  });
const pledged = async (collateral: Collateral, { id }: TestParty) =>
  (await collateral.pledgesOf(id))[0]?.locked;
const withheld = async ({ id }: TestParty) =>
  (
    await market.fresh.database.sql<{ until: Date | null }[]>`
      select withheld_until as until from providers where id = ${id}`
  )[0]?.until ?? null;
const options = (provider: TestParty) => ({ folder, market: market.url, key: provider.key });

describe('an appeal against a slash', () => {
  test('is asked for once by its provider, on the command line too, and waits for the operator', async () => {
    const { provider, finding } = await slashed();
    const open = appealsAnswer.parse((await call('/provider/appeals', provider.key)).json);
    expect(open).toMatchObject({
      appeals: [],
      may_appeal: [{ about: finding, kind: 'slash', found: ['It answered wrongly.'] }],
    });
    const listed = await appeal(undefined, options(provider), {});
    expect(listed.lines.join('\n')).toContain(finding);
    const asked = await appeal(finding, { ...options(provider), reason: 'The market was down.' }, {});
    expect(asked.value).toMatchObject({ about: finding, state: 'asked', known: false });
    const again = await call('/provider/appeals', provider.key, { about: finding, reason: 'Other words.' });
    expect(again.status).toBe(200);
    expect(appealAsked.parse(again.json)).toMatchObject({ known: true, reason: 'The market was down.' });
    const { appeals } = (await call('/operator/appeals', boss)).json;
    expect(appeals).toContainEqual(
      expect.objectContaining({ provider_id: provider.id, about: finding, reason: 'The market was down.' }),
    );
  });

  test('that is granted gives the dollars back once, ends the withholding, and is told; two at once as well', async () => {
    const { provider, finding, collateral } = await slashed();
    await call('/provider/appeals', provider.key, { about: finding, reason: 'Not mine.' });
    expect(await pledged(collateral, provider)).toBe(parseUsd('18'));
    expect(await withheld(provider)).not.toBeNull();
    const grant = { decision: 'granted', reason: 'Our outage.' };
    const decided = await Promise.all([1, 2].map(() => call(`/operator/appeals/${finding}`, boss, grant)));
    expect(decided.map(({ status }) => status)).toEqual([200, 200]);
    for (const { json } of decided) expect(json.returned_pico_usd).toBe(`${parseUsd('2')}`);
    expect(new Set(decided.map(({ json }) => json.known))).toEqual(new Set([false, true]));
    expect(await pledged(collateral, provider)).toBe(parseUsd('20'));
    expect(await withheld(provider)).toBeNull();
    const kinds = await market.fresh.database.sql<{ kind: string }[]>`
      select kind from entries where id like ${`%${finding}%`} order by kind`;
    expect(kinds.map(({ kind }) => kind)).toEqual(['slash', 'slash-returned']);
    const { appeals, may_appeal: open } = appealsAnswer.parse(
      (await call('/provider/appeals', provider.key)).json,
    );
    expect(appeals).toMatchObject([{ about: finding, state: 'granted', decided_because: 'Our outage.' }]);
    expect(open).toEqual([]);
    const otherwise = await call(`/operator/appeals/${finding}`, boss, {
      decision: 'rejected',
      reason: 'No.',
    });
    expect(otherwise.status).toBe(409);
    await market.posted();
    expect((await audit(market.fresh.database)).differences).toEqual([]);
  });

  test('that is rejected changes nothing, and cannot be asked for again', async () => {
    const { provider, finding, collateral } = await slashed();
    await call(`/operator/appeals/${finding}`, boss, { decision: 'rejected', reason: 'Measured twice.' });
    expect(await pledged(collateral, provider)).toBe(parseUsd('18'));
    const late = await call('/provider/appeals', provider.key, { about: finding, reason: 'Please.' });
    expect(late.status).toBe(409);
    expect(late.json.error.message).toContain('an appeal was rejected');
  });

  test('of another provider is as unknown as one that never was, and needs a reason', async () => {
    const { finding } = await slashed();
    const stranger = await market.provider();
    const wishes = [finding, 'finding_never'].map((about) =>
      call('/provider/appeals', stranger.key, { about, reason: 'Mine?' }),
    );
    const [others, never] = await Promise.all(wishes);
    expect([others?.status, never?.status]).toEqual([404, 404]);
    expect(others?.json.error.message).toBe(never?.json.error.message);
    expect((await call('/provider/appeals', stranger.key, { about: finding, reason: ' ' })).status).toBe(400);
    await expect(appeal(finding, options(stranger), {})).rejects.toThrow('--reason');
  });
});

test('a failed benchmark is appealed against by its run, and a passed one is not', async () => {
  const provider = await market.provider();
  const run = async (passed: boolean): Promise<string> => {
    const id = makeId('bench');
    await market.fresh.database.sql`
      insert into benchmark_runs (
        id, node_id, model_id, provider_id, began_at, ended_at, passed, counted, failures, step, shortcomings, math_right,
        math_asked, code_right, code_asked, tokens_per_second, tier, papers, acted_at
      ) values (
        ${id}, 'n', 'm', ${provider.id}, now(), now(), ${passed}, false, 0, 'none', '{"Math: 0 of 8."}', 0, 8, 0, 4, 0, 'A', '[]',
        now()
      )`;
    return id;
  };
  const [failed, passed] = [await run(false), await run(true)];
  const wish = (about: string) => call('/provider/appeals', provider.key, { about, reason: 'A power cut.' });
  expect(appealAsked.parse((await wish(failed)).json)).toMatchObject({ kind: 'benchmark', state: 'asked' });
  expect((await wish(passed)).status).toBe(409);
  const { runs } = (await call('/provider/benchmarks', provider.key)).json.data;
  expect(runs).toContainEqual(expect.objectContaining({ id: failed, appeal_asked: true, appeal: null }));
  await call(`/operator/benchmarks/${failed}/appeal`, boss, { decision: 'granted', reason: 'So it was.' });
  const { appeals } = appealsAnswer.parse((await call('/provider/appeals', provider.key)).json);
  expect(appeals).toMatchObject([{ about: failed, state: 'granted', decided_because: 'So it was.' }]);
});
