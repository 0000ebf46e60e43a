import { Secret, TOTP } from 'otpauth';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';
import { factorAnswer, factorBeginAnswer, factorConfirmedAnswer, sessionsAnswer } from '#wire/dashboard.ts';

let market: TestMarket;
/** Another gateway of the same market. */
let twin: TestMarket;
const config = { access: { trustedProxies: ['127.0.0.1'] } };
beforeAll(async () => {
  market = await TestMarket.open({ config });
  twin = await TestMarket.open({ config, on: market });
});
afterAll(async () => {
  await twin.close();
  await market.close();
});

const at = (path: string): string => `${market.url}/api/v1${path}`;
const PASSWORD = 'correct horse';
let people = 0;
let email: string;
let token: string;
let headers: { 'x-forwarded-for': string };
beforeEach(async () => {
  email = `factor${++people}@example.org`;
  // A caller of its own, so that no test is slowed down by another's wrong codes.
  headers = { 'x-forwarded-for': `198.51.100.${people}` };
  const made = await visit(at('/user/signup'), { body: { email, password: PASSWORD }, headers });
  token = made.json.token;
});
const ask = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, as = token) =>
  visit(at(path), { method, token: as, headers, ...(body && { body }) });
const logIn = (code?: string, gateway = market, from = headers) =>
  visit(`${gateway.url}/api/v1/user/login`, {
    body: { email, password: PASSWORD, ...(code !== undefined && { code }) },
    headers: from,
  });
const codeOf = (secret: string, aheadMs = 0): string =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + aheadMs });

const begin = async () =>
  factorBeginAnswer.parse((await ask('POST', '/user/me/second-factor', { password: PASSWORD })).json);
const confirm = (code: string, password = PASSWORD, as = token) =>
  ask('POST', '/user/me/second-factor/confirm', { password, code }, as);

/** Turns it on. The code of the present time step is used up by it. */
async function enrol(): Promise<{ secret: string; codes: string[] }> {
  const begun = await begin();
  const { json } = await confirm(codeOf(begun.secret));
  return { secret: begun.secret, codes: factorConfirmedAnswer.parse(json).recovery_codes };
}
const standing = async () => factorAnswer.parse((await ask('GET', '/user/me/second-factor')).json);

describe('a second factor', () => {
  test('changes nothing before a code of it was shown, and a wrong one confirms nothing', async () => {
    const begun = await begin();
    expect(begun.uri).toContain(encodeURIComponent(email));
    expect((await confirm('nonsense')).status).toBe(401);
    expect((await standing()).enabled).toBe(false);
    expect((await logIn()).status).toBe(200);
  });

  test('is begun and turned on by nobody who has a stolen session and not the password', async () => {
    const path = '/user/me/second-factor';
    expect((await ask('POST', path)).status).toBe(400);
    expect((await ask('POST', path, { password: 'wrong horse' })).status).toBe(401);
    // The owner has begun; the thief has seen a code.
    const { secret } = await begin();
    expect((await ask('POST', `${path}/confirm`, { code: codeOf(secret) })).status).toBe(400);
    expect((await confirm(codeOf(secret), 'wrong horse')).status).toBe(401);
    expect((await standing()).enabled).toBe(false);
    expect((await logIn()).status).toBe(200);
  });

  test('is begun with a password that is guessed as slowly as at the door', async () => {
    const statuses = [];
    for (let n = 0; n < 8; n++)
      statuses.push((await ask('POST', '/user/me/second-factor', { password: `wrong ${n}` })).status);
    expect(statuses.slice(0, 5)).toEqual([401, 401, 401, 401, 401]);
    expect(statuses).toContain(429);
  });

  test('ends every session but the one that turns it on', async () => {
    const stolen = (await logIn()).json.token;
    await enrol();
    expect((await ask('GET', '/user/me', undefined, stolen)).status).toBe(401);
    expect((await ask('GET', '/user/me')).status).toBe(200);
  });

  test('is turned on once by two who confirm at the same time', async () => {
    const { secret } = await begin();
    const both = await Promise.all([confirm(codeOf(secret)), confirm(codeOf(secret, 30_000))]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
  });

  test('is asked for at the door from then on, after the password', async () => {
    const { secret } = await enrol();
    const missing = await logIn();
    expect(missing.status).toBe(401);
    expect(missing.json.code).toBe('second_factor_required');
    expect(missing.headers['set-cookie']).toBeUndefined();
    expect((await logIn('000000')).status).toBe(401);
    expect((await logIn(codeOf(secret, 30_000))).status).toBe(200);
    const wrongPassword = await visit(at('/user/login'), {
      body: { email, password: 'wrong horse', code: '123456' },
      headers,
    });
    expect(wrongPassword.json.code).toBe('login_refused');
  });

  test('takes a code once, also of two at the same time', async () => {
    const { secret } = await enrol();
    expect((await logIn(codeOf(secret))).status).toBe(401);
    const code = codeOf(secret, 30_000);
    const both = await Promise.all([logIn(code), logIn(code)]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401]);
  });

  test('that is lost is stood in for by ten recovery codes, each once', async () => {
    const { codes } = await enrol();
    expect(new Set(codes).size).toBe(10);
    const code = (codes[0] as string).toUpperCase();
    expect((await logIn(code)).status).toBe(200);
    expect((await logIn(code)).status).toBe(401);
    expect((await standing()).recovery_codes_left).toBe(9);
  });

  test('is neither kept nor shown in the clear', async () => {
    const { secret, codes } = await enrol();
    const { sql } = market.fresh.database;
    const rows = await sql`select row_to_json(f), encode(sealed, 'escape') as text from second_factors f`;
    const kept = JSON.stringify([
      ...rows,
      ...(await sql`select encode(hash, 'escape') as text from recovery_codes`),
    ]);
    for (const each of [secret, Secret.fromBase32(secret).hex, ...codes]) expect(kept).not.toContain(each);
    expect((await ask('POST', '/user/me/second-factor', { password: PASSWORD })).status).toBe(409);
  });

  test('is taken away for the password and a code, and for nothing less', async () => {
    const { codes } = await enrol();
    const remove = (password: string, code: string) =>
      ask('DELETE', '/user/me/second-factor', { password, code });
    expect((await remove('wrong horse', codes[1] as string)).status).toBe(401);
    expect((await remove(PASSWORD, '000000')).status).toBe(401);
    expect((await standing()).enabled).toBe(true);
    expect((await remove(PASSWORD, codes[2] as string)).status).toBe(200);
    expect((await logIn()).status).toBe(200);
  });

  test('takes a code once, also of two gateways at the same time', async () => {
    const { secret } = await enrol();
    const code = codeOf(secret, 30_000);
    const both = await Promise.all([logIn(code), logIn(code, twin)]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401]);
  });

  test('is not looked at for a while after five wrong codes, whichever gateways were asked, and the owner sees it', async () => {
    const { secret, codes } = await enrol();
    const thief = { 'x-forwarded-for': '203.0.113.66' };
    const guesses = await Promise.all(
      [market, twin].flatMap((gateway) => [1, 2, 3, 4].map(() => logIn('000000', gateway, thief))),
    );
    const statuses = guesses.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
    const right = await logIn(codeOf(secret, 30_000), twin);
    expect(right.status).toBe(429);
    expect(Number(right.headers['retry-after'])).toBeGreaterThan(30);
    const { last_wrong_code_at, locked_until } = await standing();
    expect(Date.parse(last_wrong_code_at as string)).toBeLessThan(Date.parse(locked_until as string));
    // Not even by who guesses is an owner kept out.
    expect((await logIn(codes[0], twin)).status).toBe(200);
    expect((await standing()).locked_until).toBeNull();
  });

  test('is waited for longer after each further wrong code, and takes the next right one in time', async () => {
    const { secret } = await enrol();
    const { sql } = market.fresh.database;
    const [user] = await sql<{ id: string }[]>`select id from users where email = ${email}`;
    const id = user?.id as string;
    const waits: number[] = [];
    for (const before of [4, 5, 9, 10, 40]) {
      await sql`update second_factors set wrong_codes = ${before}, locked_until = now() where user_id = ${id}`;
      expect((await logIn('000000', before % 2 ? market : twin)).status).toBe(401);
      const [row] = await sql<{ s: number }[]>`
        select extract(epoch from locked_until - last_wrong_at)::float8 as s from second_factors
        where user_id = ${id}`;
      waits.push(row?.s as number);
    }
    expect(waits).toEqual([60, 120, 1_920, 3_600, 3_600]);
    await sql`update second_factors set locked_until = now() where user_id = ${id}`;
    expect((await logIn(codeOf(secret, 30_000))).status).toBe(200);
    const [{ wrong_codes } = {}] = await sql`select wrong_codes from second_factors where user_id = ${id}`;
    expect(wrong_codes).toBe(0);
  });

  test('is guessed as slowly as a password', async () => {
    await enrol();
    const tries = [];
    for (let n = 0; n < 8; n++) tries.push((await logIn('111111')).status);
    expect(tries).toContain(429);
  });
});

describe('sessions', () => {
  test('are not opened by a password that is changed while it is looked at', async () => {
    const { database } = market.fresh;
    let login: ReturnType<typeof logIn> | undefined;
    await database.transaction(async (sql) => {
      await sql`update users set password_hash = '$argon2id$another' where email = ${email}`;
      login = logIn();
      const waiting = async () => {
        const [row] = await database.sql<{ n: number }[]>`
          select count(*)::int as n from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock' and query like '%password_hash%'`;
        return row?.n;
      };
      // It waits for this change.
      await expect.poll(waiting).toBe(1);
    });
    expect((await login)?.status).toBe(401);
  });

  test('are listed with where they began, and the one that asks is marked', async () => {
    const other = await logIn();
    const { sessions } = sessionsAnswer.parse((await ask('GET', '/user/me/sessions')).json);
    expect(sessions.map(({ current }) => current)).toEqual([false, true]);
    expect(sessions[0]?.address).toBe(headers['x-forwarded-for']);
    expect(JSON.stringify(sessions)).not.toContain(other.json.token);
  });

  test('end one by one, or all but this one, and another cannot end them', async () => {
    const second = (await logIn()).json.token;
    const third = (await logIn()).json.token;
    const { sessions } = sessionsAnswer.parse((await ask('GET', '/user/me/sessions')).json);
    const newest = sessions[0]?.id as string;
    const stranger = await visit(at('/user/signup'), {
      body: { email: `other${people}@example.org`, password: PASSWORD },
      headers: { 'x-forwarded-for': '203.0.113.9' },
    });
    expect((await ask('DELETE', `/user/me/sessions/${newest}`, undefined, stranger.json.token)).status).toBe(
      404,
    );
    expect((await ask('GET', '/user/me', undefined, third)).status).toBe(200);
    expect((await ask('DELETE', `/user/me/sessions/${newest}`)).status).toBe(200);
    expect((await ask('GET', '/user/me', undefined, third)).status).toBe(401);
    expect((await ask('DELETE', '/user/me/sessions')).json.ended).toBe(1);
    expect((await ask('GET', '/user/me', undefined, second)).status).toBe(401);
    expect((await ask('GET', '/user/me')).status).toBe(200);
  });
});
