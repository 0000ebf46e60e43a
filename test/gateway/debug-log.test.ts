import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseUsd } from '#domain/money.ts';
import { DebugBook } from '#identity/debug-book.ts';
import { SecretBox } from '#identity/secret-box.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { ask as askModel, askStream } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { answerPlainly, type Script } from '#support/swan-agent.ts';
import { visit } from '#support/visitor.ts';
import { debugEntriesAnswer, debugEntryAnswer, debugLogAnswer } from '#wire/dashboard.ts';

// A debug log from the click that turns it on to the round that forgets it, through the real market.

const HOUR = 3_600_000;
let market: TestMarket;
let model: { id: string };
let script: Script;
beforeAll(async () => {
  market = await TestMarket.open({ config: { access: { trustedProxies: ['127.0.0.1'] } } });
  model = market.aModel();
  await market.swan(model, (served) => script(served));
});
afterAll(() => market.close());

interface Person {
  token: string;
  key: string;
  consumerId: string;
}
let people = 0;
async function person(): Promise<Person> {
  const name = `debug${++people}`;
  const made = await visit(`${market.url}/api/v1/user/signup`, {
    body: { email: `${name}@example.org`, password: 'correct horse' },
    headers: { 'x-forwarded-for': `198.51.100.${people}` },
  });
  const { sql } = market.fresh.database;
  const [row] = await sql<{ consumer_id: string }[]>`
    select consumer_id from users where id = ${made.json.user.id}`;
  const consumerId = row?.consumer_id ?? '';
  await market.deposit({ id: consumerId }, parseUsd('5'));
  return { token: made.json.token, key: made.json.api_key, consumerId };
}

let me: Person;
beforeEach(async () => {
  script = answerPlainly;
  me = await person();
});

const LOG = '/api/v1/user/me/debug-log';
const call = (method: 'GET' | 'PUT' | 'DELETE', path = '', body?: object, as = me.token) =>
  visit(`${market.url}${LOG}${path}`, { method, token: as, ...(body && { body }) });
const ahead = (ms: number): { until: string } => ({ until: new Date(Date.now() + ms).toISOString() });
const turnOn = async (): Promise<void> => {
  expect((await call('PUT', '', ahead(HOUR))).status).toBe(200);
};
const say = (text: string, key = me.key) =>
  askModel({ url: market.url, key, body: { model: model.id, messages: [{ role: 'user', content: text }] } });
const entries = async (as = me.token) =>
  debugEntriesAnswer.parse((await call('GET', '/entries', undefined, as)).json).entries;
const entry = async (id: string, as = me.token) =>
  debugEntryAnswer.parse((await call('GET', `/entries/${id}`, undefined, as)).json);
/** Resolves when that many entries are there, newest first. */
async function until(count: number, as = me.token) {
  return await vi.waitFor(
    async () => {
      const found = await entries(as);
      expect(found.length).toBe(count);
      return found;
    },
    { timeout: 10_000, interval: 20 },
  );
}

describe('a debug log', () => {
  test('is off until it is turned on, for at most 72 hours', async () => {
    expect(debugLogAnswer.parse((await call('GET')).json)).toMatchObject({
      enabled: false,
      until: null,
      entries: 0,
    });
    for (const bad of [ahead(-1_000), ahead(72 * HOUR + 60_000), { until: 'tomorrow' }, {}])
      expect((await call('PUT', '', bad)).status).toBe(400);
    const on = ahead(72 * HOUR - 1_000);
    expect(debugLogAnswer.parse((await call('PUT', '', on)).json)).toMatchObject({ enabled: true, ...on });
    expect(debugLogAnswer.parse((await call('GET')).json)).toMatchObject({ enabled: true, ...on });
    expect(debugLogAnswer.parse((await call('DELETE')).json)).toMatchObject({ enabled: false, until: null });
  });

  test('keeps what is asked from the very next request, answered whole or in a stream, and nothing before it', async () => {
    await say('before');
    await turnOn();
    const whole = await say('my key is sk-swan-0123456789abcdef');
    const stream = await askStream({
      url: market.url,
      key: me.key,
      body: { model: model.id, messages: [{ role: 'user', content: 'write to me@example.org' }] },
    });
    await stream.ended;
    const [second, first] = await until(2);
    expect(first).toMatchObject({ id: whole.headers['x-request-id'], status: 200, streamed: false });
    expect(second).toMatchObject({ endpoint: 'chat completions', status: 200, streamed: true });
    const unstreamed = await entry(first?.id ?? '');
    expect(unstreamed).toMatchObject({ model: model.id, left: false, request_cut: false });
    expect(JSON.parse(unstreamed.request).messages[0].content).toBe('my key is [secret]');
    expect(JSON.parse(unstreamed.answer)).toMatchObject(
      JSON.parse(
        JSON.stringify({ choices: [{ message: { content: whole.json.choices[0].message.content } }] }),
      ),
    );
    const streamed = await entry(second?.id ?? '');
    expect(streamed.request).toContain('[e-mail address]');
    expect(JSON.parse(streamed.answer).choices[0].content).toBe(stream.text);
  });

  test('keeps requests that were refused, with the refusal', async () => {
    await turnOn();
    await askModel({ url: market.url, key: me.key, body: { model: 'no/such', messages: [] } });
    const [refused] = await until(1);
    expect(refused).toMatchObject({ streamed: false });
    expect(refused?.status).toBeGreaterThanOrEqual(400);
    expect(await entry(refused?.id ?? '')).toMatchObject({ model: null });
  });

  test('keeps what was passed on before the client left', async () => {
    await turnOn();
    script = (served) => {
      served.role();
      for (const word of ['one ', 'two ', 'three']) served.token(word);
    };
    const stream = await askStream({
      url: market.url,
      key: me.key,
      body: { model: model.id, messages: [{ role: 'user', content: 'count' }] },
    });
    await stream.tokens(3);
    stream.leave();
    const [kept] = await until(1);
    const found = await entry(kept?.id ?? '');
    expect(found.left).toBe(true);
    expect(found.answer).toContain('one two three');
  });

  test('of one consumer has nothing of another, and is read by nobody but its own user, operators included', async () => {
    const other = await person();
    await turnOn();
    await say('theirs', other.key);
    await say('mine');
    const [mine] = await until(1);
    const id = mine?.id ?? '';
    expect((await entry(id)).request).toContain('mine');
    await market.fresh.database
      .sql`update users set is_operator = true where consumer_id = ${other.consumerId}`;
    for (const as of [other.token, other.key, me.key]) {
      expect((await call('GET', `/entries/${id}`, undefined, as)).status).toBeGreaterThanOrEqual(401);
      expect((await call('DELETE', `/entries/${id}`, undefined, as)).status).toBeGreaterThanOrEqual(401);
    }
    expect(await entries(other.token)).toEqual([]);
    expect((await entry(id)).request).toContain('mine');
  });

  test('tells its user of every reading', async () => {
    await turnOn();
    await say('hello');
    const [kept] = await until(1);
    await entry(kept?.id ?? '');
    const { readings } = debugLogAnswer.parse((await call('GET')).json);
    expect(readings).toMatchObject([{ entry: kept?.id }]);
  });

  test('that was turned off keeps nothing, also of a request that was under way', async () => {
    await turnOn();
    let go: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      script = (served) => {
        go = () => answerPlainly(served);
        resolve();
      };
    });
    const answer = say('under way');
    await begun;
    await call('DELETE');
    go();
    expect((await answer).status).toBe(200);
    script = answerPlainly;
    await say('after');
    // A third, of another, shows that what waited was looked at.
    const other = await person();
    await call('PUT', '', ahead(HOUR), other.token);
    await say('theirs', other.key);
    await until(1, other.token);
    expect(await entries()).toEqual([]);
  });

  test('is emptied at once on demand, one entry or all', async () => {
    await turnOn();
    for (const text of ['one', 'two', 'three']) await say(text);
    const [newest] = await until(3);
    expect((await call('DELETE', `/entries/${newest?.id}`)).json).toEqual({ deleted: 1 });
    expect((await call('DELETE', `/entries/${newest?.id}`)).status).toBe(404);
    expect((await call('DELETE', '/entries')).json).toEqual({ deleted: 2 });
    expect(await entries()).toEqual([]);
    await say('four');
    await until(1);
  });

  test('goes on page by page', async () => {
    await turnOn();
    for (const text of ['one', 'two', 'three']) await say(text);
    const all = await until(3);
    const first = debugEntriesAnswer.parse((await call('GET', '/entries?limit=2')).json);
    expect(first.entries).toEqual(all.slice(0, 2));
    const rest = debugEntriesAnswer.parse((await call('GET', `/entries?limit=2&before=${first.next}`)).json);
    expect(rest).toEqual({ entries: all.slice(2), next: null });
  });
});

describe('the book of debug logs', () => {
  const box = (secret: string) => new SecretBox({ secret: new Sealed(secret), random: systemRandomness });
  const at = Date.UTC(2026, 10, 20);
  const DAY = 86_400_000;
  const book = () => new DebugBook({ database: market.fresh.database, box: box('one') });
  const one = (id: string, more: object = {}) => ({
    id,
    consumerId: me.consumerId,
    at: at + 1,
    endpoint: 'embeddings',
    status: 200,
    streamed: false,
    text: new Sealed('{}'),
    ...more,
  });
  const listed = (now = at + 2, debugBook = book()) =>
    debugBook.list({ consumerId: me.consumerId, limit: 2_000, now });
  const on = (hours: number) =>
    book().set({ consumerId: me.consumerId, until: at + hours * HOUR, actor: 'me', at });

  test('forgets an entry a week after the log was to end, or a week after it was turned off', async () => {
    await on(24);
    await book().keep(one(`${me.consumerId}-a`));
    expect(await listed(at + 8 * DAY - 1)).toHaveLength(1);
    expect(await listed(at + 8 * DAY)).toEqual([]);
    await book().set({ consumerId: me.consumerId, until: undefined, actor: 'me', at });
    expect(await listed(at + 7 * DAY)).toEqual([]);
    await book().forget(at + 7 * DAY - 1);
    expect(await listed()).toHaveLength(1);
    await book().forget(at + 7 * DAY);
    expect(await listed()).toEqual([]);
  });

  test('takes nothing from before it was emptied or after it ended, and nothing twice', async () => {
    await on(1);
    await book().remove({ consumerId: me.consumerId, actor: 'me', at: at + 1 });
    await book().keep(one(`${me.consumerId}-a`));
    await book().keep(one(`${me.consumerId}-b`, { at: at + HOUR }));
    await book().keep(one(`${me.consumerId}-c`, { at: at + 2 }));
    await book().keep(one(`${me.consumerId}-c`, { at: at + 2 }));
    expect((await listed()).map(({ id }) => id)).toEqual([`${me.consumerId}-c`]);
  });

  test('lets the oldest go where there are too many or they take too much', async () => {
    await on(1);
    const big = new Sealed('x'.repeat(900_000));
    for (let i = 0; i < 20; i++)
      await book().keep(one(`${me.consumerId}-${i}`, { at: at + 1 + i, text: big }));
    const found = await listed();
    expect(found).toHaveLength(18);
    expect(found[0]?.id).toBe(`${me.consumerId}-19`);
  });

  test('opens nothing with another secret, or for another consumer', async () => {
    await on(1);
    const id = `${me.consumerId}-a`;
    await book().keep(one(id, { text: new Sealed('{"request":"kanarienvogel"}') }));
    const read = { consumerId: me.consumerId, id, actor: 'me', address: '', at: at + 2 };
    const wrong = new DebugBook({ database: market.fresh.database, box: box('two') });
    expect(await wrong.read(read)).toBe('sealed');
    const other = await person();
    expect(await book().read({ ...read, consumerId: other.consumerId })).toBe('unknown');
    await market.fresh.database
      .sql`update debug_entries set consumer_id = ${other.consumerId} where id = ${id}`;
    expect(await book().read({ ...read, consumerId: other.consumerId })).toBe('sealed');
    const [row] = await market.fresh.database.sql`select sealed from debug_entries where id = ${id}`;
    expect(Buffer.from(row?.['sealed']).toString('latin1')).not.toContain('kanarienvogel');
  });
});
