import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { makeProvider } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { EndpointBook } from './endpoint-book.ts';
import {
  addEndpoint,
  keptEndpoints,
  keyContext,
  listEndpoints,
  removeEndpoint,
  setAsk,
} from './endpoints.ts';
import { SecretBox } from './secret-box.ts';
import { secretOf } from './secret-file.ts';

const KEY = 'sk-upstream-canary-0123456789';
const secret = (letter: string) => new Sealed(letter.repeat(64));
const boxOf = (now: string, former: string[] = []) =>
  new SecretBox({ secret: secret(now), former: former.map(secret), random: systemRandomness });

describe('a sealed key', () => {
  const kept = boxOf('a').seal(new Sealed(KEY), 'ext_1 https://a.example/v1');

  test('opens with its secret, for what it is bound to, and for nothing else', () => {
    expect(boxOf('a').open(kept, 'ext_1 https://a.example/v1')?.open()).toBe(KEY);
    expect(boxOf('a').open(kept, 'ext_1 https://evil.example/v1')).toBeUndefined();
    expect(boxOf('a').open(kept, 'ext_2 https://a.example/v1')).toBeUndefined();
    expect(boxOf('b').open(kept, 'ext_1 https://a.example/v1')).toBeUndefined();
  });

  test('opens with the secret before, once there is a new one', () => {
    const now = boxOf('b', ['a']);
    expect(now.open(kept, 'ext_1 https://a.example/v1')?.open()).toBe(KEY);
    expect(now.seal(new Sealed(KEY), 'x').secretId).not.toBe(kept.secretId);
  });

  test('does not open when a bit of it was changed, or it was cut', () => {
    for (let at = 0; at < kept.sealed.length; at++) {
      const changed = Buffer.from(kept.sealed);
      changed[at] = (changed[at] as number) ^ 1;
      expect(boxOf('a').open({ ...kept, sealed: changed }, 'ext_1 https://a.example/v1')).toBeUndefined();
      const cut = kept.sealed.subarray(0, at);
      expect(boxOf('a').open({ ...kept, sealed: cut }, 'ext_1 https://a.example/v1')).toBeUndefined();
    }
  });

  test('is another each time, and holds nothing of the key', () => {
    const again = boxOf('a').seal(new Sealed(KEY), 'ext_1 https://a.example/v1');
    expect(again.sealed.equals(kept.sealed)).toBe(false);
    expect(kept.sealed.toString('latin1')).not.toContain('canary');
  });
});

describe("the market's own secret", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'cygnet-secret-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('is made once, for the eyes of its owner only', () => {
    const made = secretOf(path.join(folder, 'data'), systemRandomness);
    expect(secretOf(path.join(folder, 'data'), systemRandomness).open()).toBe(made.open());
    expect(statSync(path.join(folder, 'data', 'secret')).mode & 0o777).toBe(0o600);
    expect(readFileSync(path.join(folder, 'data', 'secret'), 'utf8').trim()).toBe(made.open());
  });

  test('that is damaged is told, and not replaced', () => {
    writeFileSync(path.join(folder, 'secret'), 'half');
    expect(() => secretOf(folder, systemRandomness)).toThrow('damaged');
    expect(readFileSync(path.join(folder, 'secret'), 'utf8')).toBe('half');
  });
});

describe('in the database', () => {
  let fresh: FreshDatabase;
  let books: EndpointBook[] = [];
  let modelId: string;
  beforeAll(async () => {
    fresh = await freshDatabase();
    modelId = 'one/model';
    await fresh.database.sql`
      insert into models (id, slug, name, category, min_vram_gb, tier, license, created_at)
      values (${modelId}, 'one', 'One', 'llm', 8, 'standard', 'MIT', now())`;
  });
  afterEach(async () => {
    await Promise.all(books.splice(0).map((book) => book.close()));
  });
  afterAll(() => fresh.drop());

  async function add(providerId: string, id: string, key: string | undefined = KEY) {
    return await addEndpoint(fresh.database, {
      endpoint: {
        id,
        providerId,
        name: 'mine',
        url: 'https://a.example/v1',
        capacity: 3,
        models: [{ modelId, upstreamName: 'their-name', operations: ['chat/completions'] }],
      },
      key: key === undefined ? undefined : new Sealed(key),
      box: boxOf('a'),
      actor: 'test',
      at: systemClock.wallMs(),
    });
  }
  async function openBook(box = boxOf('a')): Promise<EndpointBook> {
    const opened = await EndpointBook.open({
      database: fresh.database,
      box,
      clock: systemClock,
      log: silentLog,
    });
    books.push(opened);
    return opened;
  }
  const inBook = (opened: EndpointBook, id: string) => [...opened.list()].find((each) => each.id === id);

  test('an endpoint is known everywhere as soon as it is added, and gone as soon as it is removed', async () => {
    const { id: providerId } = await makeProvider(fresh.database);
    const [one, other] = [await openBook(), await openBook()];
    expect(await add(providerId, 'ext_a')).toBe('added');
    for (const each of [one, other]) {
      // oxlint-disable-next-line no-await-in-loop -- each hears of it by itself
      await vi.waitFor(() => expect(inBook(each, 'ext_a')).toMatchObject({ providerId, capacity: 3 }));
      const { key } = inBook(each, 'ext_a') as { key: Sealed<string> };
      expect(key.open()).toBe(KEY);
    }
    const which = { id: 'ext_a', providerId, actor: 'test', at: systemClock.wallMs() };
    expect(await removeEndpoint(fresh.database, { ...which, providerId: 'prov_other' })).toBe(false);
    expect(await removeEndpoint(fresh.database, which)).toBe(true);
    expect(await removeEndpoint(fresh.database, which)).toBe(false);
    for (const each of [one, other]) {
      // oxlint-disable-next-line no-await-in-loop -- each hears of it by itself
      await vi.waitFor(() => expect(inBook(each, 'ext_a')).toBeUndefined());
    }
    expect((await keptEndpoints(fresh.database, ['ext_a']))[0]).toMatchObject({
      removed: true,
      kept: undefined,
    });
  });

  test('a key is in no column, no list and no printed text', async () => {
    const { id: providerId } = await makeProvider(fresh.database);
    await add(providerId, 'ext_b');
    const opened = await openBook();
    const rows = await fresh.database.sql`select row_to_json(e)::text as text from external_endpoints e`;
    const listed = await listEndpoints(fresh.database, { providerId, limit: 10 });
    const all =
      inspect([rows, listed, [...opened.list()], opened], { depth: 9 }) + JSON.stringify([...opened.list()]);
    expect(all).not.toContain('canary');
    expect(all).not.toContain(Buffer.from('canary').toString('hex'));
    expect(listed).toMatchObject([{ hasKey: true }]);
  });

  test('a key that this process cannot open is told as such', async () => {
    const { id: providerId } = await makeProvider(fresh.database);
    await add(providerId, 'ext_c');
    expect(inBook(await openBook(boxOf('b')), 'ext_c')?.key).toBe('unreadable');
  });

  test('a key that was moved to another endpoint does not open there', async () => {
    const { id: providerId } = await makeProvider(fresh.database);
    await add(providerId, 'ext_d');
    await add(providerId, 'ext_e', 'sk-another-key');
    await fresh.database.sql`
      update external_endpoints set key_sealed = (select key_sealed from external_endpoints where id = 'ext_d')
      where id = 'ext_e'`;
    const [moved] = await keptEndpoints(fresh.database, ['ext_e']);
    expect(moved?.kept && boxOf('a').open(moved.kept, keyContext(moved))).toBeUndefined();
  });

  describe('an ask', () => {
    const set = async (endpointId: string, more: Partial<Parameters<typeof setAsk>[1]> = {}) =>
      await setAsk(fresh.database, {
        id: `ask_${endpointId}_1`,
        endpointId,
        providerId: undefined,
        modelId,
        amounts: { unit: 'token', inputPico: 7n, outputPico: 9_007_199_254_740_993n },
        actor: 'test',
        at: systemClock.wallMs(),
        ...more,
      });
    const askOf = (opened: EndpointBook, id: string) => inBook(opened, id)?.models[0]?.ask;

    test('is known everywhere to the last digit, holds until the next, and ends with the listed price', async () => {
      const { id: providerId } = await makeProvider(fresh.database);
      await add(providerId, 'ext_ask');
      const opened = await openBook();
      expect(askOf(opened, 'ext_ask')).toBeUndefined();
      expect(await set('ext_ask')).toBe('set');
      await vi.waitFor(() =>
        expect(askOf(opened, 'ext_ask')).toEqual({
          id: 'ask_ext_ask_1',
          unit: 'token',
          inputPico: 7n,
          outputPico: 9_007_199_254_740_993n,
        }),
      );
      const pieces = { unit: 'request', requestPico: 3n, minutePico: 4n } as const;
      await set('ext_ask', { id: 'ask_ext_ask_2', amounts: pieces });
      await vi.waitFor(() => expect(askOf(opened, 'ext_ask')).toEqual({ id: 'ask_ext_ask_2', ...pieces }));
      await set('ext_ask', { id: 'ask_ext_ask_3', amounts: undefined });
      await vi.waitFor(() => expect(askOf(opened, 'ext_ask')).toBeUndefined());
    });

    test('of another provider, a model that is not served or an endpoint that is gone is not set', async () => {
      const { id: providerId } = await makeProvider(fresh.database);
      await add(providerId, 'ext_mine');
      expect(await set('ext_mine', { providerId: 'prov_other' })).toBe('unknown');
      expect(await set('ext_mine', { modelId: 'two/model' })).toBe('unknown');
      await removeEndpoint(fresh.database, { id: 'ext_mine', providerId, actor: 'test', at: 0 });
      expect(await set('ext_mine', { providerId })).toBe('unknown');
    });

    test('is history: it can be neither changed, removed nor emptied', async () => {
      const { id: providerId } = await makeProvider(fresh.database);
      await add(providerId, 'ext_history');
      await set('ext_history');
      const { sql } = fresh.database;
      await expect(sql`update asks set input_pico = 1`).rejects.toThrow('an ask is history');
      await expect(sql`delete from asks`).rejects.toThrow('an ask is history');
      await expect(sql`truncate asks`).rejects.toThrow('an ask is history');
    });
  });

  test('where an endpoint is cannot be changed', async () => {
    const { id: providerId } = await makeProvider(fresh.database);
    await add(providerId, 'ext_f');
    await expect(
      fresh.database.sql`update external_endpoints set url = 'https://evil.example' where id = 'ext_f'`,
    ).rejects.toThrow('never changes');
  });

  test('of thirty at once, a provider gets twenty', async () => {
    const { id: providerId } = await makeProvider(fresh.database);
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, i) => add(providerId, `ext_many_${i}`, undefined)),
    );
    expect(answers.filter((answer) => answer === 'added')).toHaveLength(20);
    expect(await listEndpoints(fresh.database, { providerId, limit: 100 })).toHaveLength(20);
  });
});
