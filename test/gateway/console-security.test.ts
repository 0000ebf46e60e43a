import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { consoleRoutes } from '#gateway/console/console.ts';
import type { ConsoleRooms } from '#gateway/console/rooms.ts';
import { systemClock } from '#kit/clock.ts';
import { ask } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { type Answered, visit } from '#support/visitor.ts';

// Attacks on the management API, each staged once.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open({ config: { access: { trustedProxies: ['127.0.0.1'] } } });
});
afterAll(async () => {
  await market.close();
});

const at = (path: string): string => `${market.url}/api/v1${path}`;
const PASSWORD = 'correct horse';
let people = 0;

interface Person {
  email: string;
  token: string;
  cookie: string;
  id: string;
  apiKey: string;
  headers: { 'x-forwarded-for': string };
}

async function person(): Promise<Person> {
  const email = `visitor${++people}@example.org`;
  const headers = { 'x-forwarded-for': `192.0.2.${people}` };
  const made = await visit(at('/user/signup'), { body: { email, password: PASSWORD }, headers });
  expect(made.status).toBe(200);
  const { token, user, api_key: apiKey } = made.json;
  return { email, token, cookie: cookieOf(made), id: user.id, apiKey, headers };
}

function cookieOf(answered: Answered): string {
  return String(answered.headers['set-cookie']).split(';')[0] as string;
}

const logIn = (email: string, password: string, more: Parameters<typeof visit>[1] = {}) =>
  visit(at('/user/login'), { body: { email, password }, ...more });

// ----------------------------------------------------------------------------------------------------- other people

const ROUTES = consoleRoutes({ clock: systemClock } as unknown as ConsoleRooms);
/** Everything any route could want, and what none may take. */
const bodyFor = (stranger: Person, victim: { id: string; consumerId: string; providerId: string }) => ({
  email: `made-${Math.random()}@example.org`,
  password: PASSWORD,
  display_name: 'Mallory',
  present_password: PASSWORD,
  new_password: PASSWORD,
  name: 'Mallory',
  wallet_address: '',
  owner_address: `0x${stranger.id
    .replace(/\W/g, '')
    .padEnd(40, '0')
    .slice(0, 40)
    .replaceAll(/[^0-9a-fA-F]/g, '7')}`,
  provider_name: 'Mallory',
  hardware_summary: '',
  contact_email: 'mallory@example.org',
  overlap_hours: 1,
  since: '2099-01-01T00:00:00Z',
  state: 'suspended',
  reason: 'because',
  user_id: victim.id,
  userId: victim.id,
  owner_id: victim.consumerId,
  ownerId: victim.consumerId,
  consumer_id: victim.consumerId,
  provider_id: victim.providerId,
  id: victim.consumerId,
});

/** What a stranger may be answered: never a failure of ours, and no success where somebody else is meant. */
function allowed({ access, url }: (typeof ROUTES)[number], token: string | undefined): readonly number[] {
  if (token === undefined && access !== 'public') return [401];
  if (access === 'operator') return [401, 403];
  if (url.includes('/keys/:id') || url.startsWith('/api/v1/providers/:id')) return [401, 404];
  return [200, 201, 400, 401, 403, 404, 409, 429];
}

describe("another's data", () => {
  let victim: Person & { consumerId: string; providerId: string; keyIds: string[] };
  let marks: string[];
  beforeAll(async () => {
    const who = await person();
    const upgraded = await visit(at('/user/upgrade-to-provider'), {
      token: who.token,
      body: { name: 'Victim GPUs', wallet_address: `0x${'ab'.repeat(20)}` },
    });
    const { sql } = market.fresh.database;
    const [row] = await sql<{ consumer_id: string; provider_id: string }[]>`
      select consumer_id, provider_id from users where id = ${who.id}`;
    const { consumer_id: consumerId, provider_id: providerId } = row as NonNullable<typeof row>;
    const keys = await sql<{ id: string; prefix: string }[]>`
      select id, prefix from keys where owner_id in (${consumerId}, ${providerId})`;
    await market.deposit({ id: consumerId }, 7_777_000_000_000n);
    const model = market.aModel();
    const body = { model: model.id, messages: [{ role: 'user', content: 'Hi' }] };
    await market.rehearsal(model);
    await ask({ url: market.url, key: who.apiKey, body });
    const [usage] = await market.usage({ id: consumerId }, 1);
    victim = { ...who, consumerId, providerId, keyIds: keys.map(({ id }) => id) };
    marks = [
      who.email,
      who.id,
      who.token,
      who.apiKey,
      consumerId,
      upgraded.json.provider_api_key,
      'ab'.repeat(20),
      usage?.id as string,
      '7.77',
      ...keys.flatMap(({ id, prefix }) => [id, prefix]),
    ];
  });

  test.each(ROUTES.map((route) => [`${route.method} ${route.url}`, route] as const))(
    '%s shows nothing of it to anyone else',
    async (_line, route) => {
      const stranger = await person();
      await visit(at('/user/upgrade-to-provider'), {
        token: stranger.token,
        body: { name: 'Strange GPUs', wallet_address: '' },
      });
      const { json: own } = await visit(at('/user/me/provider-keys'), {
        token: stranger.token,
        body: { name: 'x' },
      });
      const ids = [victim.id, victim.consumerId, victim.providerId, ...victim.keyIds];
      const credentials = [stranger.token, stranger.apiKey, own.api_key as string, undefined];
      for (const token of credentials) {
        for (const id of route.url.includes(':id') ? ids : ['']) {
          const url = route.url.replace(':id', encodeURIComponent(id)).replace(/:\w+/g, 'x');
          const query = `?limit=1000&once=true&user_id=${victim.id}&consumer_id=${victim.consumerId}`;
          const answered = await visit(`${market.url}${url}${query}`, {
            method: route.method,
            headers: stranger.headers,
            ...(token !== undefined && { token }),
            ...(route.method !== 'GET' && { body: bodyFor(stranger, victim) }),
          });
          // A stranger may not echo what it sent itself; what it knows of the victim is only ids.
          for (const mark of marks) expect(answered.text).not.toContain(mark);
          expect(allowed(route, token), `${token?.slice(0, 8)} ${url}`).toContain(answered.status);
        }
      }
    },
  );

  test('and after all that, nothing of it has changed', async () => {
    const { sql } = market.fresh.database;
    const [state] = await sql`
      select u.email, u.is_operator, p.state, p.beneficiary_address, p.name,
        (select count(*)::integer from keys where owner_id in (u.consumer_id, u.provider_id)
          and revoked_at is null and superseded_by is null and models is null) as keys
      from users u join providers p on p.id = u.provider_id where u.id = ${victim.id}`;
    expect(state).toEqual({
      email: victim.email,
      is_operator: false,
      state: 'active',
      beneficiary_address: null,
      name: 'Victim GPUs',
      keys: 2,
    });
    expect((await visit(at('/user/me'), { token: victim.token })).json.id).toBe(victim.id);
    expect((await visit(at('/user/me/balance'), { token: victim.token })).json.total).toContain('7.77');
  });

  test('an operator, and nobody by saying so, sees and moves providers; what was decided is written down', async () => {
    const boss = await person();
    const list = () => visit(at('/operator/providers'), { token: boss.token });
    expect((await list()).status).toBe(403);
    await market.fresh.database.sql`update users set is_operator = true where id = ${boss.id}`;
    expect((await list()).json.providers.length).toBeGreaterThan(1);
    const move = (id: string, state: string) =>
      visit(at(`/operator/providers/${id}/status`), {
        token: boss.token,
        body: { state, reason: 'late answers' },
      });
    const someone = await market.provider();
    expect((await move(someone.id, 'suspended')).json).toMatchObject({ status: 'suspended', changed: true });
    expect((await move(someone.id, 'approved')).status).toBe(409);
    expect((await move('prov_none', 'active')).status).toBe(404);
    const [event] = await market.fresh.database.sql`
      select actor, what, detail from account_events where about = ${someone.id}`;
    expect(event).toEqual({
      actor: boss.id,
      what: 'provider-moved',
      detail: { to: 'suspended', reason: 'late answers' },
    });
    await expect(market.fresh.database.sql`delete from account_events`).rejects.toThrow('append-only');
  });
});

// --------------------------------------------------------------------------------------------------------- sessions

describe('a session', () => {
  test('is made at each login: one that a visitor brought is never taken over', async () => {
    const who = await person();
    const planted = `cygnet_session=sess-${'a'.repeat(64)}`;
    const first = await logIn(who.email, PASSWORD, {
      headers: { cookie: planted, 'x-cygnet-request': '1', ...who.headers },
    });
    expect(first.status).toBe(200);
    expect(cookieOf(first)).not.toContain('aaaa');
    expect(first.json.token).not.toBe(who.token);
    const me = await visit(at('/user/me'), { headers: { cookie: planted } });
    expect(me.status).toBe(401);
  });

  test('travels in a cookie that scripts and other sites do not get, over TLS only where there is TLS', async () => {
    const who = await person();
    const plain = String((await logIn(who.email, PASSWORD)).headers['set-cookie']);
    expect(plain).toMatch(
      /^cygnet_session=sess-[0-9a-f]{64}; Path=\/api\/; HttpOnly; SameSite=Strict; Max-Age=43\d{3}$/,
    );
    const tls = await logIn(who.email, PASSWORD, { headers: { 'x-forwarded-proto': 'https' } });
    expect(String(tls.headers['set-cookie'])).toMatch(/; Secure$/);
    expect((await visit(at('/user/me'), { headers: { cookie: who.cookie } })).json.id).toBe(who.id);
  });

  test('ends by logging out, by a changed password, and by time', async () => {
    const who = await person();
    const tokens = [who.token];
    for (let i = 0; i < 2; i++) tokens.push((await logIn(who.email, PASSWORD)).json.token);
    const [one, two, three] = tokens as [string, string, string];
    const status = async (token: string) => (await visit(at('/user/me'), { token })).status;
    expect((await visit(at('/user/logout'), { token: one, method: 'POST' })).status).toBe(200);
    expect([await status(one), await status(two), await status(three)]).toEqual([401, 200, 200]);
    const wrong = { present_password: 'wrong', new_password: 'better horse' };
    const change = (body: object) =>
      visit(at('/user/me/password'), { method: 'PUT', token: two, body, headers: who.headers });
    expect((await change(wrong)).status).toBe(401);
    expect((await change({ ...wrong, present_password: PASSWORD })).status).toBe(200);
    expect([await status(two), await status(three)]).toEqual([200, 401]);
    expect((await logIn(who.email, PASSWORD, { headers: who.headers })).status).toBe(401);
    expect((await logIn(who.email, 'better horse', { headers: who.headers })).status).toBe(200);
    await market.fresh.database.sql`
      update sessions set created_at = now() - interval '13 hours', expires_at = now() - interval '1 second'
      where user_id = ${who.id}`;
    expect(await status(two)).toBe(401);
  });

  describe('and the keys that were made in it', () => {
    const keysOf = async (token: string) =>
      (await visit(at('/user/me/keys'), { token })).json.keys as {
        id: string;
        name: string;
        status: string;
        made_in: { session: string; address: string; program: string } | null;
      }[];
    /** An owner with a key of each of two sessions, the other of which a thief has. */
    const robbed = async () => {
      const who = await person();
      const thief = (await logIn(who.email, PASSWORD)).json.token as string;
      const make = async (token: string, name: string) =>
        (
          await visit(at('/user/me/keys'), {
            token,
            body: { name },
            headers: { ...who.headers, 'user-agent': `${name}\tbrowser` },
          })
        ).json as { api_key: string; key: { id: string } };
      const own = await make(who.token, 'own');
      const stolen = await make(thief, 'stolen');
      const works = async (key: string) => (await visit(at('/key'), { token: key })).status === 200;
      return { who, thief, own, stolen, works, make };
    };

    test('say where they were made, and never otherwise', async () => {
      const { who, stolen } = await robbed();
      const sessions = (await visit(at('/user/me/sessions'), { token: who.token })).json.sessions;
      const other = sessions.find((each: { current: boolean }) => !each.current);
      const [first, , third] = await keysOf(who.token);
      expect(first?.made_in).toBeNull();
      expect(third).toMatchObject({
        id: stolen.key.id,
        made_in: { session: other.id, program: 'stolen browser' },
      });
      const { sql } = market.fresh.database;
      await expect(sql`update keys set session_id = null where id = ${stolen.key.id}`).rejects.toThrow(
        'a key never changes',
      );
    });

    test('go on when it ends, which is told, and are revoked where that is asked: everywhere at once', async () => {
      const one = await robbed();
      const ended = await visit(at('/user/me/sessions'), { method: 'DELETE', token: one.who.token });
      expect(ended.json).toMatchObject({ ended: 1, keys_made: 1, keys_revoked: 0 });
      expect(await one.works(one.stolen.api_key)).toBe(true);

      const two = await robbed();
      const others = at('/user/me/sessions?revoke_keys=true');
      expect((await visit(others, { method: 'DELETE', token: two.who.token })).json).toMatchObject({
        ended: 1,
        keys_made: 1,
        keys_revoked: 1,
      });
      expect([await two.works(two.stolen.api_key), await two.works(two.own.api_key)]).toEqual([false, true]);
      const noted = await market.fresh.database.sql`
        select what from account_events where about = ${two.stolen.key.id}`;
      expect(new Set(noted.map(({ what }) => what))).toEqual(new Set(['key-made', 'key-revoked']));
    });

    test('are revoked with one session, and with a changed password, where that is asked', async () => {
      const one = await robbed();
      const session = (await keysOf(one.who.token)).at(-1)?.made_in?.session;
      const single = at(`/user/me/sessions/${session}?revoke_keys=true`);
      expect((await visit(single, { method: 'DELETE', token: one.who.token })).json).toMatchObject({
        ended: true,
        keys_revoked: 1,
      });
      expect(await one.works(one.stolen.api_key)).toBe(false);

      const two = await robbed();
      const changed = await visit(at('/user/me/password'), {
        method: 'PUT',
        token: two.who.token,
        headers: two.who.headers,
        body: { present_password: PASSWORD, new_password: 'better horse', revoke_keys: true },
      });
      expect(changed.json).toMatchObject({ keys_made: 1, keys_revoked: 1 });
      expect([await two.works(two.stolen.api_key), await two.works(two.own.api_key)]).toEqual([false, true]);
    });

    test('made since a moment are revoked in one step, and those of before, and of others, are not', async () => {
      const { who, stolen, own, works, make } = await robbed();
      const neighbour = await robbed();
      await market.fresh.database.sql`
        alter table keys disable trigger keys_keep_their_word`;
      await market.fresh.database.sql`
        update keys set created_at = created_at - interval '1 hour' where id = ${own.key.id}`;
      await market.fresh.database.sql`
        alter table keys enable trigger keys_keep_their_word`;
      const late = await make(who.token, 'late');
      const since = new Date(Date.now() - 1_800_000).toISOString();
      const { json, status } = await visit(at('/user/me/keys/revocations'), {
        token: who.token,
        body: { since },
      });
      expect(status).toBe(200);
      // The first key of the account is as young as they are.
      expect(json.revoked).toEqual(expect.arrayContaining([stolen.key.id, late.key.id]));
      expect(json.revoked).toHaveLength(3);
      expect([await works(own.api_key), await works(stolen.api_key), await works(late.api_key)]).toEqual([
        true,
        false,
        false,
      ]);
      expect(await works(neighbour.stolen.api_key)).toBe(true);
      const bad = await visit(at('/user/me/keys/revocations'), {
        token: who.token,
        body: { since: 'today' },
      });
      expect(bad.status).toBe(400);
    });

    test('bug: a key that is made while its session ends is revoked with it, or never made', async () => {
      for (let i = 0; i < 5; i++) {
        const { who, thief } = await robbed();
        const make = visit(at('/user/me/keys'), {
          token: thief,
          body: { name: 'late' },
          headers: who.headers,
        });
        const end = visit(at('/user/me/sessions?revoke_keys=true'), { method: 'DELETE', token: who.token });
        const [made] = await Promise.all([make, end]);
        const key = (await keysOf(who.token)).find(({ name }) => name === 'late');
        const came =
          key === undefined ? `not made, ${made.status}` : `made and ${key.status}, ${made.status}`;
        expect(['not made, 401', 'made and revoked, 201']).toContain(came);
      }
    });
  });

  test('is kept as a hash only, and so is a password', async () => {
    const who = await person();
    const { sql } = market.fresh.database;
    const [row] = await sql<{ user: string; session: string; key: string }[]>`
      select u::text as user, s::text as session, k::text as key
      from users u join sessions s on s.user_id = u.id join keys k on k.owner_id = u.consumer_id
      where u.id = ${who.id}`;
    const all = JSON.stringify(row);
    expect(all).toContain('$argon2id$v=19$m=19456,t=2,p=1$');
    for (const secret of [PASSWORD, who.token.slice(5), who.apiKey.slice(16)])
      expect(all).not.toContain(secret);
  });
});

describe('a page of another site', () => {
  const evil = { origin: 'https://evil.example' };

  test("cannot change anything with its visitor's cookie", async () => {
    const who = await person();
    const key = () =>
      market.fresh.database
        .sql`select count(*)::integer as n from keys k join users u on u.consumer_id = k.owner_id
        where u.id = ${who.id}`;
    const before = (await key())[0];
    const host = new URL(market.url).host;
    const attempts: Record<string, string>[] = [
      { cookie: who.cookie },
      { cookie: who.cookie, ...evil },
      { cookie: who.cookie, ...evil, 'x-cygnet-request': '1' },
      { cookie: who.cookie, origin: 'null', 'x-cygnet-request': '1' },
      { cookie: who.cookie, origin: `http://${host}.evil.example`, 'x-cygnet-request': '1' },
      { cookie: who.cookie, origin: `http://${host}@evil.example`, 'x-cygnet-request': '1' },
      { cookie: who.cookie, 'sec-fetch-site': 'cross-site', 'x-cygnet-request': '1' },
      { cookie: who.cookie, 'sec-fetch-site': 'same-site', 'x-cygnet-request': '1' },
    ];
    for (const headers of attempts) {
      const refused = await visit(at('/user/me/keys'), { body: { name: 'csrf' }, headers });
      expect([refused.status, refused.json.code]).toEqual([403, 'cross_site_request']);
    }
    expect((await key())[0]).toEqual(before);
    const own = { cookie: who.cookie, origin: `http://${host}`, 'x-cygnet-request': '1' };
    expect((await visit(at('/user/me/keys'), { body: { name: 'mine' }, headers: own })).status).toBe(201);
  });

  test("cannot log its visitor in to somebody else's account", async () => {
    const who = await person();
    const refused = await logIn(who.email, PASSWORD, { headers: evil });
    expect(refused.status).toBe(403);
    expect(refused.headers['set-cookie']).toBeUndefined();
  });

  test('cannot send what a form can send', async () => {
    const who = await person();
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const refused = await logIn(who.email, PASSWORD, { headers: { 'content-type': type } });
      expect(refused.status).toBe(415);
    }
  });

  test('is given no leave to read', async () => {
    const who = await person();
    const answered = await visit(at('/user/me'), { token: who.token, headers: evil });
    expect(answered.headers['access-control-allow-origin']).toBeUndefined();
    expect(answered.headers['cache-control']).toBe('no-store');
  });
});

// ---------------------------------------------------------------------------------------------------------- guessing

describe('guessing', () => {
  test('a wrong password and an unknown address are answered alike', async () => {
    const who = await person();
    const [wrong, nobody] = await Promise.all([
      logIn(who.email, 'wrong', { headers: who.headers }),
      logIn('nobody@example.org', 'wrong', { headers: who.headers }),
    ]);
    expect([wrong.status, wrong.text]).toEqual([401, nobody.text]);
    const names = (answered: Answered) =>
      Object.keys(answered.headers).filter((name) => !['date', 'x-request-id'].includes(name));
    expect(names(wrong)).toEqual(names(nobody));
  });

  test('is slowed down for one account from one address after five failures, also when they come at once', async () => {
    const who = await person();
    const tries = await Promise.all(
      Array.from({ length: 12 }, () => logIn(who.email, 'wrong', { headers: who.headers })),
    );
    const counts = [401, 429].map((code) => tries.filter(({ status }) => status === code).length);
    expect(counts).toEqual([5, 7]);
    const late = await logIn(who.email, PASSWORD, { headers: who.headers });
    expect(late.status).toBe(429);
    expect(Number(late.headers['retry-after'])).toBeGreaterThan(0);
    // An unknown address is slowed down in the same way, or the difference would tell.
    const unknown = await Promise.all(
      Array.from({ length: 7 }, () =>
        logIn(`no${who.email}`, 'wrong', { headers: { 'x-forwarded-for': '192.0.2.250' } }),
      ),
    );
    expect(unknown.filter(({ status }) => status === 429)).toHaveLength(2);
    // Whoever owns the account gets in from elsewhere.
    const elsewhere = await logIn(who.email, PASSWORD, { headers: { 'x-forwarded-for': '192.0.2.251' } });
    expect(elsewhere.status).toBe(200);
  });

  test('is not made easier by writing other addresses into headers', async () => {
    const who = await person();
    // What stands left of the last hop is the attacker's own.
    const tries = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        logIn(who.email, 'wrong', { headers: { 'x-forwarded-for': `10.0.0.${i}, 192.0.2.252` } }),
      ),
    );
    expect(tries.filter(({ status }) => status === 429)).toHaveLength(3);
  });

  test('nobody is slowed down by logging in rightly', async () => {
    const who = await person();
    for (let i = 0; i < 8; i++)
      expect((await logIn(who.email, PASSWORD, { headers: who.headers })).status).toBe(200);
  });

  test('signing up is slowed down by address', async () => {
    const headers = { 'x-forwarded-for': '2001:db8:5::1' };
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) {
      const body = { email: `mass${i}@example.org`, password: PASSWORD };
      // Of IPv6 one household has as many as it likes.
      const from = { 'x-forwarded-for': `2001:db8:5::${i + 1}` };
      statuses.push((await visit(at('/user/signup'), { body, headers: { ...headers, ...from } })).status);
    }
    expect(statuses.filter((status) => status === 200)).toHaveLength(10);
    expect(statuses.slice(10)).toEqual([429, 429]);
  });
});

// ------------------------------------------------------------------------------------------------------ what is sent

describe('a body', () => {
  test('sets nothing but what is named: no role, no owner, no balance, no state', async () => {
    const email = `mass-assignment${++people}@example.org`;
    const headers = { 'x-forwarded-for': `192.0.2.${people}` };
    const extra = {
      is_operator: true,
      isOperator: true,
      roles: ['operator'],
      provider_id: 'prov_1',
      consumer_id: 'cons_1',
      balance: '1000000',
      id: 'user_1',
    };
    const made = await visit(at('/user/signup'), { body: { email, password: PASSWORD, ...extra }, headers });
    expect(made.json.user).toMatchObject({ account_type: 'consumer', roles: ['consumer'] });
    const { token } = made.json;
    const upgraded = await visit(at('/user/upgrade-to-provider'), {
      token,
      body: { name: 'p', wallet_address: '', state: 'active', provider_id: 'prov_1', id: 'prov_1' },
    });
    expect(upgraded.json.provider_id).not.toBe('prov_1');
    const key = await visit(at('/user/me/keys'), {
      token,
      body: { name: 'k', kind: 'provider', owner_id: upgraded.json.provider_id, id: 'key_1', hash: 'x' },
    });
    expect(key.json.api_key).toMatch(/^sk-swan-/);
    expect(key.json.key.id).not.toBe('key_1');
  });

  test('that would change the prototype of objects is refused', async () => {
    const who = await person();
    for (const body of [
      '{"name":"k","__proto__":{"is_operator":true}}',
      '{"name":"k","constructor":{"prototype":{"is_operator":true}}}',
    ]) {
      const refused = await visit(at('/user/me/keys'), { token: who.token, method: 'POST', body });
      expect(refused.status).toBe(400);
    }
    expect(({} as { is_operator?: boolean }).is_operator).toBeUndefined();
  });

  test('that is too large, no JSON, not an object, or empty is refused with a text', async () => {
    const who = await person();
    const send = (body: string) => visit(at('/user/me/keys'), { token: who.token, method: 'POST', body });
    expect((await send(JSON.stringify({ name: 'x'.repeat(70_000) }))).status).toBe(413);
    for (const body of ['{', '[]', '"x"', '1', 'null', '', '{"name":1}', '{"name":"a\\u0000b"}']) {
      const refused = await send(body);
      if (body === 'null') continue;
      expect([body, refused.status]).toEqual([body, 400]);
      expect(typeof refused.json.error).toBe('string');
    }
    // The key is asked for before the body is read: a stranger's megabytes are not taken in.
    const stranger = await visit(at('/user/me/keys'), {
      method: 'POST',
      token: 'sess-x',
      body: 'x'.repeat(60_000),
    });
    expect(stranger.status).toBe(401);
  });

  test.each(["' or '1'='1", "'; drop table users; --", '%', '\\', '$1', '{"$ne":null}', '\u{1f600}'])(
    'that would be SQL is a text like any other: %j',
    async (text) => {
      const who = await person();
      expect((await logIn(text, text, { headers: who.headers })).status).toBe(401);
      expect((await logIn(who.email, text, { headers: who.headers })).status).toBe(401);
      const named = await visit(at('/user/me/keys'), { token: who.token, body: { name: text } });
      expect(named.json.key.name).toBe(text.trim());
      const path = encodeURIComponent(text);
      for (const url of [
        `/user/me/keys/${path}`,
        `/models/${path}/files`,
        `/providers/${path}/models/details`,
      ])
        expect([403, 404]).toContain((await visit(at(url), { token: who.token })).status);
      for (const query of [`category=${path}`, `page=${path}`, `limit=${path}`])
        expect([200, 400]).toContain((await visit(at(`/models?${query}`))).status);
      expect(
        (await visit(at('/user/me'), { token: text.replaceAll(/[^\x21-\x7e]/g, '') || 'x' })).status,
      ).toBe(401);
    },
  );
});

describe('the character that PostgreSQL cannot keep', () => {
  test('is refused wherever a text goes to the database, and is no failure of ours', async () => {
    const who = await person();
    const { token, headers } = who;
    const nul = 'a\0b';
    const wallet = `0x${'8'.repeat(40)}`;
    const upgrade = { name: 'Nul', wallet_address: wallet, worker_address: '', beneficiary_address: '' };
    const tries: [string, Parameters<typeof visit>[1]][] = [
      ['/user/login', { body: { email: `${nul}@example.org`, password: PASSWORD } }],
      ['/user/signup', { body: { email: `x@example.org`, password: PASSWORD, display_name: nul } }],
      ['/user/upgrade-to-provider', { token, body: { ...upgrade, description: nul } }],
      ['/user/me/keys', { token, body: { name: nul } }],
      ['/user/me/keys/a%00b', { token }],
      ['/user/me/keys/a%00b', { token, method: 'PATCH', body: { name: 'x' } }],
      ['/user/me/usage?limit=%00', { token }],
      ['/model-demand?category=a%00b', {}],
      ['/models?category=a%00b', {}],
      ['/models/a%00b/files', {}],
    ];
    for (const [path, about] of tries) {
      const { status } = await visit(at(path), { ...about, headers });
      expect([path, [200, 400, 401, 404].includes(status), status]).toEqual([path, true, status]);
    }
    // Nothing else is in the way: without the character the same call goes through.
    expect((await visit(at('/user/upgrade-to-provider'), { token, body: upgrade, headers })).status).toBe(
      200,
    );
    const approval = { provider_name: 'x', hardware_summary: nul, contact_email: who.email };
    const asked = await visit(at('/provider/request-approval'), { token, body: approval, headers });
    expect(asked.status).toBe(400);
  });
});

test('an address that answers no such method says so, and which it does', async () => {
  const refused = await visit(at('/user/login'));
  expect([refused.status, refused.headers['allow'], refused.json.code]).toEqual([
    405,
    'POST',
    'method_not_allowed',
  ]);
  const key = await visit(at('/user/me/keys/key_1'), { method: 'POST' });
  expect([key.status, key.headers['allow']]).toEqual([405, 'GET, HEAD, PATCH, DELETE']);
});

test('too many calls from one address are turned away, and nobody else is', async () => {
  const headers = { 'x-forwarded-for': '192.0.2.254' };
  let refused: Answered | undefined;
  for (let i = 0; i < 2_000 && !refused; i++) {
    const answered = await visit(at('/plans'), { headers });
    if (answered.status === 429) refused = answered;
  }
  expect(refused?.headers['retry-after']).toBe('1');
  expect((await visit(at('/plans'), { headers: { 'x-forwarded-for': '192.0.2.253' } })).status).toBe(200);
});

test('where signing up is closed, only the operator makes accounts', async () => {
  const closed = await TestMarket.open({ on: market, config: { access: { signUp: 'closed' } } });
  try {
    const body = { email: 'x@example.org', password: PASSWORD };
    expect((await visit(`${closed.url}/api/v1/user/signup`, { body })).status).toBe(403);
    const provider = { name: 'x', owner_address: `0x${'9'.repeat(40)}` };
    expect((await visit(`${closed.url}/api/v1/provider/signup`, { body: provider })).status).toBe(403);
  } finally {
    await closed.close();
  }
});
