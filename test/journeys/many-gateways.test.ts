import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import type { RunningAgent } from '#agent/run.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { parseUsd } from '#domain/money.ts';
import { pause, systemClock } from '#kit/clock.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { startAgent } from '#support/agent.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { freePorts } from '#support/free-ports.ts';
import { chatModels, makeConsumer, makeProvider, type TestModel, type TestParty } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { Program } from '#support/program.ts';
import { hasRedis, TestRedis } from '#support/redis.ts';
import { dialSocket, SwanAgent } from '#support/swan-agent.ts';

// Two real programs over one PostgreSQL and one Redis: a request at either is served by whichever agent there is, and limits
// hold over both. What happens to the link between them, and to either of them, is the point.

const RATE = 40;
const SECRET = 'a secret between gateways of one market';

/** One gateway as a process, with a folder that outlives it. */
class Gateway {
  readonly url: string;
  readonly hubUrl: string;
  readonly #folder: string;
  readonly env: Record<string, string>;
  program: Program | undefined;

  constructor(env: Record<string, string>, [gateway, hub, link]: readonly number[]) {
    const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-many-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    this.#folder = folder;
    this.url = `http://127.0.0.1:${gateway}`;
    this.hubUrl = `ws://127.0.0.1:${hub}`;
    this.env = {
      ...env,
      CYGNET_DATA_DIR: folder,
      CYGNET_GATEWAY_PORT: String(gateway),
      CYGNET_HUB_PORT: String(hub),
      CYGNET_LINK_PORT: String(link),
    };
    closers.push(() => this.program?.stop('SIGKILL'));
  }

  /** The name that it has among gateways. */
  get instance(): string {
    return readFileSync(path.join(this.#folder, 'instance'), 'utf8').trim();
  }

  async start(): Promise<void> {
    const program = await Program.start(['serve'], this.env);
    this.program = program;
    for (;;) {
      if (!program.running) throw new Error(`The market did not start: ${program.out}${program.err}`);
      const health = await fetch(`${this.url}/health`).catch(() => undefined);
      if (health?.ok) return;
      await pause(systemClock, 20);
    }
  }

  async knows({ key }: TestParty): Promise<void> {
    while ((await ask({ url: this.url, key, path: '/api/v1/key', method: 'GET' })).status !== 200)
      await pause(systemClock, 20);
  }

  /** Waits until the model has so many providers here, of both gateways; false: none. */
  async offers(model: TestModel, wanted: number | false = 1): Promise<void> {
    for (;;) {
      const { json } = await ask({ url: this.url, path: '/v1/models', method: 'GET' });
      const found = json.data.find((each: { id: string }) => each.id === model.id);
      const providers = found?.providers ?? found?.online_providers ?? 0;
      if (wanted === false ? providers === 0 : providers >= wanted) return;
      await pause(systemClock, 20);
    }
  }
}

const closers: (() => Promise<unknown> | void)[] = [];
const there = hasRedis();
let fresh: FreshDatabase;
let redis: TestRedis;
let a: Gateway;
let b: Gateway;
let models: TestModel[];
let consumer: TestParty;
let provider: TestParty;
/** Served by an agent at the second gateway. A request says itself how it is to be answered. */
let far: TestModel;
let farAgent: RunningAgent;

beforeAll(async () => {
  if (!there) return;
  fresh = await freshDatabase();
  closers.push(() => fresh.drop());
  await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
  models = (await chatModels(fresh.database)).filter(({ category }) => category === 'llm');
  redis = await TestRedis.open();
  closers.push(() => redis.close());
  const env = {
    DATABASE_URL: fresh.url,
    CYGNET_REDIS_URL: redis.url,
    CYGNET_LINK_SECRET: SECRET,
    CYGNET_LLM_REQUESTS_PER_MINUTE: String(RATE),
    CYGNET_LOG_LEVEL: 'info',
  };
  const ports = await freePorts(6);
  a = new Gateway(env, ports.slice(0, 3));
  b = new Gateway(env, ports.slice(3));
  await Promise.all([a.start(), b.start()]);
  far = aModel();
  provider = await makeProvider(fresh.database);
  farAgent = await agentAt([b], far, 'tokens=12');
  await Promise.all([a.offers(far), b.offers(far)]);
}, 120_000);
afterAll(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});
beforeEach(async () => {
  if (!there) return;
  consumer = await makeConsumer(fresh.database, parseUsd('5'));
  // Both have heard of it from PostgreSQL.
  await Promise.all([a, b].map((gateway) => gateway.knows(consumer)));
});

function aModel(): TestModel {
  const model = models.shift();
  if (!model) throw new Error('This file has more tests than the catalogue has models.');
  return model;
}

/** An agent at these gateways, which leaves when the test is over. */
async function agentAt(
  gateways: readonly Gateway[],
  model: TestModel,
  plan: string,
  at: TestParty = provider,
): Promise<RunningAgent> {
  const agent = await startAgent(
    gateways.map(({ hubUrl }) => hubUrl),
    [`${model.id}=rehearsal:${plan}`],
    { key: new Sealed(at.key) },
  );
  await agent.registered;
  closers.push(() => agent.close());
  return agent;
}

const asked = (gateway: Gateway, model: TestModel, more: object = {}) => ({
  url: gateway.url,
  key: consumer.key,
  body: { model: model.id, messages: HELLO, max_tokens: 64, ...more },
});

interface UsageRow {
  outcome: string;
  charge: bigint;
  instance: string;
}

async function usageRows(count: number): Promise<UsageRow[]> {
  for (;;) {
    const rows = await fresh.database.sql<UsageRow[]>`
      select outcome, charge, instance from usage where consumer_id = ${consumer.id} order by at`;
    if (rows.length >= count) return [...rows];
    await pause(systemClock, 20);
  }
}

describe.skipIf(!there)('two gateways', () => {
  test('serve by each other’s agents, streamed or not, and charge each request once', async () => {
    const model = far;
    for (const gateway of [a, b]) {
      const stream = await askStream(asked(gateway, model));
      expect([stream.status, await stream.ended, stream.done]).toEqual([200, 'end', true]);
      expect(stream.text).toBe(rehearsedText(12));
      const whole = await ask(asked(gateway, model));
      expect([whole.status, whole.json.choices?.[0].message.content]).toEqual([200, rehearsedText(12)]);
    }
    const rows = await usageRows(4);
    expect(rows.map(({ outcome }) => outcome)).toEqual(Array(4).fill('completed'));
    expect(new Set(rows.map(({ charge }) => charge)).size).toBe(1);
    expect(new Set(rows.map(({ instance }) => instance)).size).toBe(2);
    expect((await audit(fresh.database)).balanced).toBe(true);
  }, 60_000);

  test('tell an agent at once that a consumer at the other has left, and charge what was passed on', async () => {
    const stream = await askStream(asked(a, far, { max_tokens: 2_000, rehearsal: 'paced=5,tokens=2000' }));
    await stream.tokens(5);
    expect(farAgent.state().active).toBe(1);
    stream.leave();
    await expect.poll(() => farAgent.state().active, { timeout: 5_000 }).toBe(0);
    const [row] = await usageRows(1);
    expect(row?.outcome).toBe('cancelled');
    expect(row?.charge).toBeGreaterThan(0n);
  }, 60_000);

  test('fail over from an agent of the one to an agent of the other before anything was said', async () => {
    const model = aModel();
    const others = await Promise.all([1, 2].map(() => makeProvider(fresh.database)));
    await agentAt([b], model, 'status=503', others[0]);
    await agentAt([a], model, 'tokens=12', others[1]);
    await Promise.all([a.offers(model, 2), b.offers(model, 2)]);
    for (let i = 0; i < 6; i++) {
      const stream = await askStream(asked(i % 2 ? a : b, model));
      await stream.ended;
      expect([stream.status, stream.text]).toEqual([200, rehearsedText(12)]);
    }
  }, 60_000);

  test('let a reader that takes nothing at the one hold up no other stream from the other', async () => {
    const target = new URL(a.url);
    const slow = request({
      host: target.hostname,
      port: target.port,
      path: '/v1/chat/completions',
      method: 'POST',
      headers: { authorization: `Bearer ${consumer.key}`, 'content-type': 'application/json' },
    });
    const head = new Promise<IncomingMessage>((resolve) => slow.once('response', resolve));
    slow.end(JSON.stringify(asked(a, far, { max_tokens: 4_000, rehearsal: 'endless', stream: true }).body));
    const response = await head;
    response.pause();
    for (let i = 0; i < 5; i++) {
      const stream = await askStream(asked(a, far));
      await stream.ended;
      expect([stream.status, stream.text]).toEqual([200, rehearsedText(12)]);
    }
    response.destroy();
    slow.destroy();
    await expect.poll(() => farAgent.state().active, { timeout: 5_000 }).toBe(0);
  }, 60_000);

  test('let in together what a limit allows, and no more', async () => {
    const model = aModel();
    await agentAt([a], model, 'tokens=1');
    await Promise.all([a.offers(model), b.offers(model)]);
    const statuses: number[] = [];
    const begun = systemClock.nowMs();
    while (statuses.length < RATE + 20 || !statuses.includes(429)) {
      const four = [a, b, b, a].map(async (gateway) => (await ask(asked(gateway, model))).status);
      statuses.push(...(await Promise.all(four)));
    }
    const passed = statuses.filter((status) => status === 200).length;
    // While they ran, time gave back one request each second and a half.
    const givenBack = Math.ceil(((systemClock.nowMs() - begun) * RATE) / 60_000);
    expect(passed).toBeGreaterThanOrEqual(RATE);
    expect(passed).toBeLessThanOrEqual(RATE + givenBack);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
  }, 60_000);

  test('take an agent of one link for where it was last, and one of several for where it is near', async () => {
    const model = aModel();
    const served: string[] = [];
    // Whoever has moved does not come back to where it was.
    const once = (dial: ReturnType<typeof dialSocket>): ReturnType<typeof dialSocket> => {
      let dialled = false;
      return (on) => {
        if (dialled) return Promise.reject(new Error('moved'));
        dialled = true;
        return dial(on);
      };
    };
    const at = (gateway: Gateway) =>
      new SwanAgent({
        generation: 'C',
        token: provider.key,
        nodeId: 'c3'.repeat(65),
        models: [model.id],
        clock: systemClock,
        dial: once(dialSocket(`${gateway.hubUrl}/ws`)),
        script: (job) => {
          served.push(gateway.url);
          job.result(job.completion('hello'));
        },
      });
    const first = at(a);
    await first.start();
    await first.until(() => first.registered);
    await b.offers(model);
    const second = at(b);
    await second.start();
    await second.until(() => second.registered);
    await expect
      .poll(async () => {
        await ask(asked(a, model));
        return served.at(-1);
      })
      .toBe(b.url);
    first.stop();
    second.stop();
    const both = aModel();
    const ours = await agentAt([a, b], both, 'tokens=12');
    await Promise.all([a.offers(both), b.offers(both)]);
    await expect.poll(() => ours.state().hubs.every(({ registered }) => registered)).toBe(true);
    for (const gateway of [a, b]) expect((await ask(asked(gateway, both))).status).toBe(200);
  }, 60_000);

  test('break a stream honestly and for free when the gateway of its agent is killed, and go on without it', async () => {
    const model = far;
    const stream = await askStream(asked(a, far, { max_tokens: 3_000, rehearsal: 'paced=5,tokens=3000' }));
    await stream.tokens(5);
    await b.program?.stop('SIGKILL');
    await stream.ended;
    expect(stream.done).toBe(false);
    expect(stream.error).toBeDefined();
    const [row] = await usageRows(1);
    expect(row).toMatchObject({ outcome: 'broken', charge: 0n });
    await a.offers(model, false);
    // It comes back, and everything with it: its agent, and the link.
    await b.start();
    await expect.poll(() => farAgent.connected, { timeout: 20_000 }).toBe(true);
    await a.offers(model);
    const again = await askStream(asked(a, model, { max_tokens: 5 }));
    await again.ended;
    expect([again.status, again.done]).toEqual([200, true]);
    expect((await audit(fresh.database)).balanced).toBe(true);
  }, 60_000);

  test('go on with what they have when Redis dies, and with everything when it is back', async () => {
    const model = far;
    expect((await ask(asked(a, model))).status).toBe(200);
    await redis.kill();
    await a.program?.says('Redis does not answer');
    // Its part of the pace, which begins with nothing, and the link that stands.
    await expect.poll(async () => (await ask(asked(a, model))).status, { timeout: 15_000 }).toBe(200);
    await redis.start();
    await expect.poll(async () => (await ask(asked(a, model))).status, { timeout: 15_000 }).toBe(200);
  }, 60_000);

  test('make rounds at one of them: when that one stands still the other goes on, and it does no harm when it wakes up', async () => {
    const holder = async () => {
      const [row] = await fresh.database.sql<{ holder: string; term: bigint }[]>`
        select holder, term from round_terms where name = 'chain'`;
      return row;
    };
    await expect.poll(holder, { timeout: 20_000 }).toBeDefined();
    const before = await holder();
    const [stopped, other] = before?.holder === a.instance ? [a, b] : [b, a];
    expect(before?.holder).toBe(stopped.instance);
    stopped.program?.child.kill('SIGSTOP');
    await expect.poll(async () => (await holder())?.holder, { timeout: 40_000 }).toBe(other.instance);
    stopped.program?.child.kill('SIGCONT');
    expect((await ask({ url: stopped.url, path: '/health', method: 'GET' })).status).toBe(200);
    // It takes its next rounds for another's, and is a gateway like any: linked, and serving.
    await stopped.offers(far);
    await expect.poll(async () => (await ask(asked(stopped, far))).status, { timeout: 15_000 }).toBe(200);
    expect(await holder()).toEqual({ holder: other.instance, term: (before?.term ?? 0n) + 1n });
    expect((await audit(fresh.database)).balanced).toBe(true);
  }, 90_000);
});
