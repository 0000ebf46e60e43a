import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProviderState } from '#domain/party.ts';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { systemRandomness } from '#kit/random.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { consumersNamed, createConsumer } from './consumers.ts';
import { KeyRing } from './key-ring.ts';
import { type KeyKind, keepKey, listKeys, makeKey, revokeKey } from './keys.ts';
import { bindNode, bindNodes, nodesOf } from './nodes.ts';
import { ProviderBook } from './provider-book.ts';
import {
  activeProviders,
  createProvider,
  endWithholding,
  listProviders,
  setProviderState,
  withhold,
} from './providers.ts';

const makeId = idMaker(systemClock, systemRandomness);
const at = Date.UTC(2026, 10, 20, 12);
const DAY_MS = 86_400_000;
let fresh: FreshDatabase;
const rings: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  await Promise.all(rings.map((opened) => opened.close()));
  await fresh.drop();
});

async function consumer(): Promise<string> {
  const id = makeId('cons');
  await createConsumer(fresh.database, { id, name: `consumer ${id}`, at });
  return id;
}
async function provider(state: ProviderState = 'active'): Promise<string> {
  const id = makeId('prov');
  await createProvider(fresh.database, { id, name: `provider ${id}`, state, at });
  return id;
}
async function key(kind: KeyKind, ownerId: string): Promise<{ id: string; secret: string }> {
  const made = makeKey(kind, systemRandomness);
  const id = makeId('key');
  const { prefix, hash } = made;
  expect(await keepKey(fresh.database, { id, kind, ownerId, name: 'test', prefix, hash, at })).toBe('kept');
  return { id, secret: made.secret.open() };
}
async function ring(clock = systemClock): Promise<KeyRing> {
  // Each ring has a pool of its own, as another process would.
  const opened = await KeyRing.open({ database: fresh.another(), clock, log: silentLog });
  rings.push(opened);
  return opened;
}
/** How long a loaded machine may take over it: nothing but the announcement would change the answer within this time. */
const soon = { timeout: 15_000, interval: 5 };

describe('keys', () => {
  test('a key made before or after the start is found, with its owner and without its secret', async () => {
    const ownerId = await consumer();
    const before = await key('consumer', ownerId);
    const keys = await ring();
    const after = await key('consumer', ownerId);
    expect(keys.find(before.secret)).toMatchObject({
      id: before.id,
      kind: 'consumer',
      ownerId,
      revoked: false,
    });
    await expect.poll(() => keys.find(after.secret), soon).toMatchObject({ id: after.id });
    expect(JSON.stringify(await listKeys(fresh.database, { limit: 1000 }))).not.toContain(
      after.secret.slice(16),
    );
  });

  test('a revoked key is refused by every process, as announced', async () => {
    const { id, secret } = await key('consumer', await consumer());
    const [here, there] = [await ring(), await ring()];
    expect(here.find(secret)).toMatchObject({ id });
    expect(await revokeKey(fresh.database, { id, at })).toBe('revoked');
    await expect.poll(() => [here.find(secret), there.find(secret)], soon).toEqual(['revoked', 'revoked']);
  });

  test('a revocation is final, also for whoever writes SQL', async () => {
    const { id, secret } = await key('consumer', await consumer());
    await revokeKey(fresh.database, { id, at });
    await revokeKey(fresh.database, { id, at: at + 5_000 });
    const [listed] = (await listKeys(fresh.database, { limit: 1000 })).filter((each) => each.id === id);
    expect(listed?.revokedAt).toBe(at);
    await expect(fresh.database.sql`update keys set revoked_at = null where id = ${id}`).rejects.toThrow(
      'final',
    );
    await expect(fresh.database.sql`delete from keys where id = ${id}`).rejects.toThrow('never deleted');
    await fresh.database.sql`update keys set revoked_at = revoked_at where id = ${id}`;
    expect((await ring()).find(secret)).toMatch(/revoked|unknown/);
  });

  test('a key revoked while its reader was cut off is refused after the reader comes back', async () => {
    const { id, secret } = await key('provider', await provider());
    const keys = await ring();
    await fresh.database.transaction(async (sql) => {
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query ilike 'listen%' and pid <> pg_backend_pid()`;
      await sql`update keys set revoked_at = now() where id = ${id}`;
    });
    await expect.poll(() => keys.find(secret), { timeout: 5_000, interval: 10 }).toBe('revoked');
  });

  test('a flood of made-up keys asks the database nothing', async () => {
    const database = fresh.another();
    let statements = 0;
    const counted = new Proxy(database, {
      get: (target, name) => {
        if (name === 'sql' || name === 'transaction') statements++;
        return Reflect.get(target, name);
      },
    });
    const keys = await KeyRing.open({ database: counted, clock: new VirtualClock(), log: silentLog });
    rings.push(keys);
    statements = 0;
    for (let i = 0; i < 2_000; i++) {
      expect(keys.find(makeKey('consumer', systemRandomness).secret.open())).toBe('unknown');
    }
    expect(keys.find('sk-swan-nonsense')).toBe('malformed');
    expect(keys.find('')).toBe('malformed');
    expect(statements).toBe(0);
  });

  test('a key whose news has not come yet is found by looking, at one statement a second for all who look', async () => {
    const ownerId = await provider();
    const database = fresh.another();
    let statements = 0;
    const counted = new Proxy(database, {
      get: (target, name) => {
        if (name === 'sql') statements++;
        // Deaf: what others announce does not arrive.
        if (name === 'listen') return () => Promise.resolve({ stop: () => Promise.resolve() });
        return Reflect.get(target, name);
      },
    });
    const clock = new VirtualClock(at);
    const keys = await KeyRing.open({ database: counted, clock, log: silentLog });
    rings.push(keys);
    const made = await key('provider', ownerId);
    expect(keys.find(made.secret)).toBe('unknown');
    await keys.seek(made.secret);
    expect(keys.find(made.secret)).toMatchObject({ id: made.id });

    statements = 0;
    const later = await key('provider', ownerId);
    const strangers = Array.from({ length: 200 }, () => makeKey('provider', systemRandomness).secret.open());
    const sought = Promise.all([...strangers, later.secret, 'nonsense'].map((secret) => keys.seek(secret)));
    await clock.advance(999);
    expect(statements).toBe(0);
    await clock.advance(1);
    await sought;
    expect(keys.find(later.secret)).toMatchObject({ id: later.id });
    expect(keys.find(strangers[0] as string)).toBe('unknown');
    // One to look, and what loading the one that was found takes.
    expect(statements).toBeLessThanOrEqual(4);
  });

  test('the day of use is written down once, and by its mark nobody is woken', async () => {
    const { id, secret } = await key('consumer', await consumer());
    const clock = new VirtualClock(at);
    const keys = await ring(clock);
    let announced = 0;
    const listening = await fresh.database.listen('keys_changed', () => announced++);
    keys.find(secret);
    keys.find(secret);
    await keys.close();
    const [listed] = (await listKeys(fresh.database, { limit: 1000 })).filter((each) => each.id === id);
    expect(listed?.lastUsedOn).toBe('2026-11-20');
    await fresh.database.sql`select pg_notify('keys_changed', 'marker')`;
    await expect.poll(() => announced, soon).toBe(1);
    await listening.stop();
  });

  test('an expired key is refused from that moment on, and whoever is connected with it is told', async () => {
    const ownerId = await provider();
    const { prefix, hash, secret } = makeKey('provider', systemRandomness);
    const id = makeId('key');
    await keepKey(fresh.database, {
      id,
      kind: 'provider',
      ownerId,
      name: 'n',
      prefix,
      hash,
      at,
      expiresAt: at + 60_000,
    });
    const clock = new VirtualClock(at);
    const keys = await ring(clock);
    expect(keys.find(secret.open())).toMatchObject({ id, expiresAt: at + 60_000 });
    expect(keys.isRevoked(id)).toBe(false);
    await clock.advance(60_000);
    expect(keys.find(secret.open())).toBe('expired');
    expect(keys.isRevoked(id)).toBe(true);
  });

  test('a key that was just made is known to whoever looks, without waiting for the announcement', async () => {
    const keys = await ring(new VirtualClock(at));
    const { id, secret } = await key('consumer', await consumer());
    await keys.look([id]);
    expect(keys.find(secret)).toMatchObject({ id });
  });

  test('what a key is and whose it is cannot be changed, its family included', async () => {
    const { id } = await key('consumer', await consumer());
    const other = await key('consumer', await consumer());
    await expect(
      fresh.database.sql`update keys set family_id = ${other.id} where id = ${id}`,
    ).rejects.toThrow('never changes');
  });

  test('an owner who does not exist gets no key, and the same key sent twice is one key', async () => {
    const { prefix, hash } = makeKey('consumer', systemRandomness);
    const unsent = { id: makeId('key'), kind: 'consumer' as const, name: 'n', prefix, hash, at };
    expect(await keepKey(fresh.database, { ...unsent, ownerId: 'cons_nobody' })).toBe('no-owner');
    const ownerId = await consumer();
    await keepKey(fresh.database, { ...unsent, ownerId });
    await keepKey(fresh.database, { ...unsent, ownerId });
    expect(await listKeys(fresh.database, { ownerId, limit: 10 })).toHaveLength(1);
    // A consumer is not a provider, whatever its id.
    expect(await keepKey(fresh.database, { ...unsent, id: makeId('key'), kind: 'provider', ownerId })).toBe(
      'no-owner',
    );
  });

  test('a ring keeps answering while the database is away, and closes all the same', async () => {
    const { id, secret } = await key('consumer', await consumer());
    const database = fresh.another({ deadlineMs: 300 });
    const keys = await KeyRing.open({ database, clock: systemClock, log: silentLog });
    await database.close();
    expect(keys.find(secret)).toMatchObject({ id });
    await keys.close().catch(() => {});
  });
});

describe('providers', () => {
  test('a suspended provider is known as suspended everywhere, as announced', async () => {
    const id = await provider();
    const open = async (): Promise<ProviderBook> => {
      const book = await ProviderBook.open({ database: fresh.another(), clock: systemClock, log: silentLog });
      rings.push(book);
      return book;
    };
    const [here, there] = [await open(), await open()];
    const told: string[] = [];
    there.watch((changed) => told.push(`${changed.id} ${changed.state}`));
    expect(here.stateOf(id)).toBe('active');
    const move = { id, to: 'suspended' as const, reason: 'late', at };
    expect(await setProviderState(fresh.database, move)).toBe('moved');
    await expect.poll(() => [here.stateOf(id), there.stateOf(id)], soon).toEqual(['suspended', 'suspended']);
    expect(told).toEqual([`${id} suspended`]);
    expect(await setProviderState(fresh.database, move)).toBe('unchanged');
  });

  test('a first week is counted from the first day as active: no suspension begins it anew', async () => {
    const id = await provider();
    for (const to of ['suspended', 'active'] as const)
      expect(await setProviderState(fresh.database, { id, to, reason: '', at: at + 86_400_000 })).toBe(
        'moved',
      );
    expect((await activeProviders(fresh.database)).find((each) => each.id === id)?.since).toBe(at);
  });

  test('what is withheld from a provider ends at its moment, and a restart does not end it', async () => {
    const id = await provider();
    const clock = new VirtualClock(at);
    const open = async (): Promise<ProviderBook> => {
      const book = await ProviderBook.open({ database: fresh.another(), clock, log: silentLog });
      rings.push(book);
      return book;
    };
    const book = await open();
    const told: (number | undefined)[] = [];
    book.watch((changed) => changed.id === id && told.push(changed.withheldUntil));
    const until = at + DAY_MS;
    await withhold(fresh.database.sql, { id, until, because: 'a wrong answer' });
    // A shorter one that is found later takes nothing back.
    await withhold(fresh.database.sql, { id, until: until - 1_000, because: 'a slow answer' });
    await book.look(id);
    expect(book.find(id)?.withheldUntil).toBe(until);
    await clock.advance(DAY_MS - 1);
    expect((await open()).find(id)?.withheldUntil).toBe(until);
    expect(book.find(id)?.withheldUntil).toBe(until);
    await clock.advance(1);
    expect(book.find(id)).toMatchObject({ state: 'active' });
    expect(book.find(id)?.withheldUntil).toBeUndefined();
    expect((await open()).find(id)?.withheldUntil).toBeUndefined();
    expect(told).toEqual([until, undefined]);
  });

  test("an operator ends what is withheld, and what is over is nobody's to end", async () => {
    const id = await provider();
    await withhold(fresh.database.sql, { id, until: at + DAY_MS, because: 'a wrong answer' });
    expect(await endWithholding(fresh.database, { id, at: at + DAY_MS })).toBe(false);
    expect(await endWithholding(fresh.database, { id, at })).toBe(true);
    expect(await endWithholding(fresh.database, { id, at })).toBe(false);
  });

  test('a removed provider never comes back', async () => {
    const id = await provider('pending');
    const to = (state: ProviderState) => setProviderState(fresh.database, { id, to: state, reason: '', at });
    expect(await to('suspended')).toEqual({ refused: 'pending' });
    expect(await to('active')).toBe('moved');
    expect(await to('removed')).toBe('moved');
    expect(await to('active')).toEqual({ refused: 'removed' });
    expect(await setProviderState(fresh.database, { id: 'prov_x', to: 'active', reason: '', at })).toBe(
      'unknown',
    );
  });

  test('of many moves at once, exactly one is made', async () => {
    const id = await provider('pending');
    const moves = await Promise.all(
      Array.from({ length: 8 }, () => setProviderState(fresh.database, { id, to: 'active', reason: '', at })),
    );
    expect(moves.filter((move) => move === 'moved')).toHaveLength(1);
  });
});

describe('nodes', () => {
  const nodeId = (): string => `04${systemRandomness.bytes(64).toString('hex')}`;
  const binding = async (providerId: string) => ({
    providerId,
    keyId: (await key('provider', providerId)).id,
    name: 'gpu-1' as string | null,
    hardware: { gpu_type: 'RTX 3090', vram_gb: 23 } as Record<string, unknown> | null,
    at,
  });

  test('an impostor who repeats a node id is foreign, and changes nothing', async () => {
    const [owner, impostor] = [await binding(await provider()), await binding(await provider())];
    const id = nodeId();
    expect(await bindNode(fresh.database, { ...owner, nodeId: id })).toBe('bound');
    expect(await bindNode(fresh.database, { ...impostor, nodeId: id, name: 'mine now' })).toBe('foreign');
    expect(await bindNode(fresh.database, { ...owner, nodeId: id, at: at + 1_000 })).toBe('bound');
    const nodes = await nodesOf(fresh.database, { providerId: owner.providerId, limit: 10 });
    expect(nodes).toMatchObject([{ nodeId: id, name: 'gpu-1', firstSeen: at, lastSeen: at + 1_000 }]);
    await expect(
      fresh.database.sql`update nodes set provider_id = ${impostor.providerId} where node_id = ${id}`,
    ).rejects.toThrow('for ever');
  });

  test('of two providers who bring the same new node at once, exactly one gets it', async () => {
    const claims = [await binding(await provider()), await binding(await provider())];
    const id = nodeId();
    const answers = await Promise.all(
      [...claims, ...claims, ...claims].map((claim) => bindNode(fresh.database, { ...claim, nodeId: id })),
    );
    expect(answers.filter((answer) => answer === 'bound')).toHaveLength(3);
    expect(answers.filter((answer) => answer === 'foreign')).toHaveLength(3);
  });

  test('whatever an agent says of itself can be kept or is refused, and never throws', async () => {
    const claim = await binding(await provider());
    const odd = '\u0000\ud800\u001b[31m'.padEnd(5_000, 'x');
    const hardware = {
      gpu_type: odd,
      vram_gb: Number.NaN,
      nested: { deep: [] },
      'Bad Name': 1,
      __proto__: { a: 1 },
    };
    expect(await bindNode(fresh.database, { ...claim, nodeId: nodeId(), name: odd, hardware })).toBe('bound');
    for (const id of ['', 'x'.repeat(201), 'a b', 'a\u0000']) {
      expect(await bindNode(fresh.database, { ...claim, nodeId: id })).toBe('malformed');
    }
  });

  test('of many that come at once, each is answered as if it had come alone', async () => {
    const [one, other] = [await binding(await provider()), await binding(await provider())];
    const [known, theirs, fresh1, fresh2, fought] = [nodeId(), nodeId(), nodeId(), nodeId(), nodeId()];
    await bindNode(fresh.database, { ...one, nodeId: known });
    await bindNode(fresh.database, { ...other, nodeId: theirs });
    const together = [
      { ...one, nodeId: known, name: 'a new name', at: at + 5 },
      { ...one, nodeId: theirs },
      { ...one, nodeId: fresh1 },
      { ...one, nodeId: 'a b' },
      { ...one, nodeId: fought },
      { ...other, nodeId: fought },
      { ...other, nodeId: fresh2 },
      { ...one, nodeId: fresh1 },
    ];
    const answers = await bindNodes(fresh.database, together);
    expect(answers.toSpliced(4, 2)).toEqual(['bound', 'foreign', 'bound', 'malformed', 'bound', 'bound']);
    expect(answers.slice(4, 6).toSorted()).toEqual(['bound', 'foreign']);
    const nodes = await nodesOf(fresh.database, { providerId: one.providerId, limit: 10 });
    expect(nodes.find((node) => node.nodeId === known)).toMatchObject({
      name: 'a new name',
      firstSeen: at,
      lastSeen: at + 5,
    });
    // Nothing is left to bind, and nobody is asked about.
    expect(await bindNodes(fresh.database, [])).toEqual([]);
  });

  test('of many that come at once, a provider gets no more than it may have', async () => {
    const claim = await binding(await provider());
    const together = Array.from({ length: 4 }, () => ({ ...claim, nodeId: nodeId() }));
    const answers = await bindNodes(fresh.database, together, 3);
    expect(answers.toSorted()).toEqual(['bound', 'bound', 'bound', 'too-many']);
  });

  test('one who makes up node ids without end is stopped', async () => {
    const claim = { ...(await binding(await provider())), nodesMax: 2 };
    const answers: string[] = [];
    for (let i = 0; i < 4; i++) answers.push(await bindNode(fresh.database, { ...claim, nodeId: nodeId() }));
    expect(answers).toEqual(['bound', 'bound', 'too-many', 'too-many']);
    const { providerId } = claim;
    expect((await listProviders(fresh.database, 1000)).find((each) => each.id === providerId)?.nodes).toBe(2);
  });
});

test('a consumer is found by id and by name', async () => {
  const id = await consumer();
  expect(await consumersNamed(fresh.database, id)).toEqual([{ id, name: `consumer ${id}` }]);
  expect(await consumersNamed(fresh.database, `consumer ${id}`)).toHaveLength(1);
  expect(await createConsumer(fresh.database, { id, name: 'other', at })).toBe('known');
});
