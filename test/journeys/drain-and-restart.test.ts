import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { freePorts } from '#support/free-ports.ts';
import { TestMarket } from '#support/market.ts';
import { Program } from '#support/program.ts';

// Stopping in order: what is under way ends, nothing new begins, and the next start finds everything.

let market: TestMarket;
afterEach(() => market.close());

test('a stop lets the stream under way end, refuses what comes new, and loses nothing', async () => {
  market = await TestMarket.open();
  const model = market.aModel();
  await market.rehearsal(model, 'rehearsal:tokens=60,paced=5');
  const consumer = await market.consumer();
  const { url } = market;
  const asked = { url, key: consumer.key, body: { model: model.id, messages: HELLO } };
  const stream = await askStream(asked);
  await stream.tokens(3);
  const stopping = market.stop();
  const refused = await ask(asked);
  expect(refused.status).toBe(503);
  expect(refused.json.error.code).toBe('shutting_down');
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(await stream.ended).toBe('end');
  expect(stream.text).toBe(rehearsedText(60));
  expect(stream.done).toBe(true);
  await stopping;
  await expect(ask(asked)).rejects.toThrow('ECONNREFUSED');
});

test('a stop says for a while that it leaves, and serves on meanwhile', async () => {
  market = await TestMarket.open();
  const model = market.aModel();
  const { agent } = await market.swan(model);
  const consumer = await market.consumer();
  const asked = { url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } };
  expect((await ask(asked)).headers['connection']).toBe('keep-alive');
  const hubUrl = `http://127.0.0.1:${market.ports.hub}`;
  const { hub } = market.ports;
  const stopping = market.stop(10_000, 1_000);
  // A balancer sees that it must move on, at either door; whoever still comes is served, and his connection not kept.
  const health = await ask({ url: asked.url, path: '/health', method: 'GET' });
  expect([health.status, health.json.status]).toEqual([503, 'draining']);
  expect((await ask({ url: hubUrl, path: '/health', method: 'GET' })).status).toBe(503);
  const answer = await ask(asked);
  expect([answer.status, answer.headers['connection']]).toEqual([200, 'close']);
  // Agents are told; new ones are sent away, to dial again later.
  expect(agent.unknownTypes).toEqual(['notice']);
  const newcomer = await upgradeStatus(hub);
  expect(newcomer).toBe(503);
  await stopping;
});

test('a second signal ends the program at once', async () => {
  market = await TestMarket.open();
  const folder = mkdtempSync(path.join(tmpdir(), 'cygnet-signals-'));
  const [gateway, hub] = (await freePorts(2)) as [number, number];
  const program = await Program.start(['serve'], {
    DATABASE_URL: market.fresh.url,
    CYGNET_DATA_DIR: folder,
    CYGNET_GATEWAY_PORT: String(gateway),
    CYGNET_HUB_PORT: String(hub),
    CYGNET_DRAIN_NOTICE_MS: '600000',
  });
  await program.says('The market is open.');
  program.child.kill('SIGTERM');
  await program.says('The market is closing.');
  const { status } = await ask({ url: `http://127.0.0.1:${gateway}`, path: '/health', method: 'GET' });
  expect(status).toBe(503);
  expect(await program.stop()).toEqual({ code: 130, signal: null });
  rmSync(folder, { recursive: true, force: true });
});

test('a stop waits only its grace for a stream without end, which is broken off openly and free', async () => {
  market = await TestMarket.open();
  const model = market.aModel();
  await market.rehearsal(model, 'rehearsal:endless,paced=5');
  const consumer = await market.consumer();
  const stream = await askStream({
    url: market.url,
    key: consumer.key,
    body: { model: model.id, messages: HELLO },
  });
  await stream.tokens(3);
  await market.stop(50);
  expect(await stream.ended).toBe('end');
  expect(stream.done).toBe(false);
  expect(stream.error.error.type).toBe('server_error');
  const [row] = await market.fresh.database.sql<{ outcome: string; charge: bigint }[]>`
    select outcome, charge from usage where consumer_id = ${consumer.id}`;
  expect(row).toEqual({ outcome: 'broken', charge: 0n });
});

test('bug: a client that keeps its connection does not hold up the stop', async () => {
  market = await TestMarket.open();
  const model = market.aModel();
  await market.rehearsal(model, 'rehearsal:endless,paced=5');
  const { key } = await market.consumer();
  // Busy when the gateway closes the idle connections, idle right afterwards.
  const busy = ask({ url: market.url, key, body: { model: model.id, messages: HELLO } });
  // Connected, and never says anything.
  const silent = connect(market.ports.gateway, '127.0.0.1');
  // In the middle of its request.
  const halfway = request({ port: market.ports.gateway, method: 'POST', path: '/v1/chat/completions' });
  halfway.on('error', () => {});
  halfway.write('{');
  await expect.poll(() => market.health()).toMatchObject({ in_flight: 1 });
  const closed = new Promise((resolve) => silent.once('close', resolve));
  await market.stop(50);
  expect((await busy).status).toBe(503);
  await closed;
});

test('the next start knows every balance, key and request, and agents come back by themselves', async () => {
  market = await TestMarket.open();
  const model = market.aModel();
  const { agent } = await market.rehearsal(model, 'rehearsal:tokens=12,prompt=3');
  const consumer = await market.consumer();
  const asked = { url: market.url, key: consumer.key, body: { model: model.id, messages: HELLO } };
  expect((await ask(asked)).status).toBe(200);
  const before = { balance: await market.balance(consumer), usage: await market.usage(consumer, 1) };
  await market.restart();
  expect((await market.balance(consumer)).total).toBe(before.balance.total);
  expect(await market.usage(consumer, 1)).toEqual(before.usage);
  await expect.poll(() => agent.connected, { timeout: 20_000, interval: 20 }).toBe(true);
  expect((await ask(asked)).status).toBe(200);
  const charge = before.usage[0]?.charge ?? 0n;
  expect((await market.balance(consumer)).total).toBe(before.balance.total - charge);
});

/** What an upgrade at the hub is answered with. */
function upgradeStatus(port: number): Promise<number | undefined> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  return new Promise((resolve, reject) => {
    request({ port, path: '/ws', headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on('upgrade', () => resolve(101))
      .on('error', reject)
      .end();
  });
}
