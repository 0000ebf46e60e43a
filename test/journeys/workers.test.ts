import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { readCatalogueFile, seedCatalogue } from '#catalogue/seed.ts';
import { pause, systemClock } from '#kit/clock.ts';
import { Sealed } from '#kit/sealed.ts';
import { audit } from '#ledger/audit.ts';
import { startAgent } from '#support/agent.ts';
import { ask, askStream, type ChatStream, HELLO } from '#support/chat-client.ts';
import { freePorts } from '#support/free-ports.ts';
import { chatModels, makeConsumer, makeProvider } from '#support/parties.ts';
import { freshDatabase } from '#support/postgres.ts';
import { Program, run } from '#support/program.ts';
import { hasRedis, TestRedis } from '#support/redis.ts';

// `cygnet serve --workers`: several gateways on the same ports of one machine, and a process that watches them.

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const folderOf = (): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-workers-'));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

/** An answer that streams, from whichever worker takes the request, as soon as one that takes it has an agent for it. */
const streamed = async (what: Parameters<typeof askStream>[0]): Promise<ChatStream> => {
  for (;;) {
    const stream = await askStream(what).catch(() => undefined);
    if (stream?.status === 200) return stream;
    await stream?.ended;
    await pause(systemClock, 50);
  }
};

test('several workers need a PostgreSQL and a Redis, and say so', async () => {
  const { code, err } = await run(['serve', '--workers', '2'], { CYGNET_DATA_DIR: folderOf() });
  expect([code, err]).toEqual([1, expect.stringContaining('set DATABASE_URL and CYGNET_REDIS_URL')]);
  const wrong = await run(['serve', '--workers', 'many'], { CYGNET_DATA_DIR: folderOf() });
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('a whole number')]);
}, 120_000);

test.skipIf(!hasRedis())(
  'workers are one market on one port: one that is killed comes back, and a stop drains them all',
  async () => {
    const fresh = await freshDatabase();
    closers.push(() => fresh.drop());
    const redis = await TestRedis.open();
    closers.push(() => redis.close());
    await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: systemClock.wallMs() });
    const [model] = (await chatModels(fresh.database)).filter(({ category }) => category === 'llm');
    if (!model) throw new Error('The catalogue is empty.');
    const [consumer, provider] = await Promise.all([
      makeConsumer(fresh.database),
      makeProvider(fresh.database),
    ]);
    // The links of two workers have ports that follow each other.
    const [gateway, hub, link] = (await freePorts(3)) as [number, number, number];
    const program = await Program.start(['serve', '--workers', '2'], {
      DATABASE_URL: fresh.url,
      CYGNET_REDIS_URL: redis.url,
      CYGNET_LINK_SECRET: 'a secret between gateways of one market',
      CYGNET_DATA_DIR: folderOf(),
      CYGNET_GATEWAY_PORT: String(gateway),
      CYGNET_HUB_PORT: String(hub),
      CYGNET_LINK_PORT: String(link > 65_000 ? link - 10 : link),
      CYGNET_LOG_LEVEL: 'info',
    });
    closers.push(() => program.stop('SIGKILL'));
    const opened = () =>
      [...program.out.matchAll(/\{[^\n]*"msg":"A worker is open\."[^\n]*\}/g)].map(
        ([line]) => JSON.parse(line) as { worker: number; pid: number },
      );
    const open = async (count: number): Promise<void> => {
      while (opened().length < count) {
        if (!program.running) throw new Error(`The market did not start: ${program.out}${program.err}`);
        await pause(systemClock, 20);
      }
    };
    await open(2);
    const agent = await startAgent(`ws://127.0.0.1:${hub}`, [`${model.id}=rehearsal:tokens=12`], {
      key: new Sealed(provider.key),
    });
    closers.push(() => agent.close());
    await agent.registered;

    const url = `http://127.0.0.1:${gateway}`;
    const asked = (more: object = {}) => ({
      url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO, max_tokens: 64, ...more },
      headers: { connection: 'close' },
    });
    // The one agent is at one of them; whoever is asked serves by it.
    let served = 0;
    const instances = async () =>
      (
        await fresh.database.sql<{ instance: string }[]>`
          select distinct instance from usage where consumer_id = ${consumer.id} and outcome = 'completed'`
      ).length;
    while (served < 4 || (await instances()) < 2) {
      const { status, json } = await ask(asked());
      if (status !== 200) {
        await pause(systemClock, 50);
        continue;
      }
      expect(json.choices[0].message.content).toBe(rehearsedText(12));
      served += 1;
    }

    const [first] = opened();
    process.kill((first as { pid: number }).pid, 'SIGKILL');
    await program.says('A worker died; it is started again.');
    await open(3);
    expect(opened()[2]?.worker).toBe(first?.worker);
    // The agent may be at either, and the other hears of it a moment after they are linked again.
    const stream = await streamed(asked({ max_tokens: 300, rehearsal: 'paced=5,tokens=100' }));
    await stream.tokens(3);
    const ended = program.stop('SIGTERM');
    expect([await stream.ended, stream.done], `${stream.bytes}\n${program.out}`).toEqual(['end', true]);
    expect(await ended).toEqual({ code: 0, signal: null });
    expect((await audit(fresh.database)).balanced).toBe(true);
  },
  300_000,
);
