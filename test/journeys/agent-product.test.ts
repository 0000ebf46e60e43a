import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findHub } from '#agent/setup/find-hub.ts';
import { parseUsd } from '#domain/money.ts';
import { packageRoot } from '#kit/package-root.ts';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { answerWords, OpenAiBackend } from '#support/openai-backend.ts';
import { Program, run } from '#support/program.ts';

// A new provider's first hour, with the program as it ships and a market as it is: from nothing to serving and earning, by
// commands alone. The tests follow each other, as the hour does.

let market: TestMarket;
let backend: OpenAiBackend;
let folder: string;
let agent: Program;
const QWEN = 'Qwen/Qwen3-8B';
const LLAMA = 'meta-llama/Llama-3.1-8B-Instruct';

beforeAll(async () => {
  market = await TestMarket.open();
  backend = await OpenAiBackend.open();
  backend.names = ['qwen3:8b-q4_K_M', 'somebodys-secret-model', 'llama3.1:8b'];
  backend.answer = answerWords('Hello', ' from', ' a', ' GPU');
  folder = path.join(mkdtempSync(path.join(tmpdir(), 'cygnet-hour-')), 'agent');
});
afterAll(async () => {
  await agent?.stop('SIGKILL');
  await market.close();
  await backend.close();
  rmSync(path.dirname(folder), { recursive: true, force: true });
});

const cygnet = async (...words: string[]) => {
  // `cygnet agent` hands its words to this program; running it and the second machine go that way.
  const { code, out, err } = await run(
    [...words, '--folder', folder, '--json'],
    { CYGNET_AGENT_PASSWORD: 'correct horse battery' },
    { file: path.join(packageRoot(), 'bin', 'cygnet-agent.mjs') },
  );
  return { code, err, json: out === '' ? undefined : JSON.parse(out) };
};
const setup = (...words: string[]) =>
  // The hub's port is any free one: the market says it.
  cygnet('setup', '--market', market.url, '--backend', backend.url, ...words);
const request = async (model: string, key: string) =>
  (await ask({ url: market.url, key, body: { model, messages: HELLO } })).status;

test('a set-up that lacks something names the flag, and leaves nothing behind', async () => {
  const { code, err, json } = await setup();
  expect([code, json]).toEqual([2, undefined]);
  expect(err).toContain('--email <address>');
  expect(() => readdirSync(folder)).toThrow('ENOENT');
});

test('one command signs up, becomes a provider, finds the models and writes the files', async () => {
  const { code, err, json } = await setup(
    '--email',
    'new@example.org',
    '--sign-up',
    '--provider',
    'My GPU',
    '--yes',
  );
  expect([code, err.includes('sk-prov-')]).toEqual([0, false]);
  expect(json).toMatchObject({
    status: 'active',
    hub: market.hubUrl,
    models: [
      { id: QWEN, local_model: 'qwen3:8b-q4_K_M', endpoint: backend.url },
      { id: LLAMA, local_model: 'llama3.1:8b' },
    ],
    unmatched: [{ name: 'somebodys-secret-model' }],
  });
  for (const name of ['config.toml', 'models.json']) {
    expect(statSync(path.join(folder, name)).mode & 0o777).toBe(0o600);
  }
  expect(readFileSync(path.join(folder, 'config.toml'), 'utf8')).toMatch(/ApiKey = "sk-prov-[0-9a-f]+"/);
});

test('the same command on the same folder asks nothing, and the key stays', async () => {
  const before = readFileSync(path.join(folder, 'config.toml'), 'utf8');
  expect((await setup('--yes')).code).toBe(0);
  expect(readFileSync(path.join(folder, 'config.toml'), 'utf8')).toBe(before);
});

test('before it runs, the doctor says that it does not, and that all else holds', async () => {
  const { code, json } = await cygnet('doctor');
  expect(code).toBe(1);
  const bad = json.checks.filter(({ result }: { result: string }) => result === 'bad');
  expect(bad).toEqual([
    {
      check: 'agent',
      result: 'bad',
      said: expect.any(String),
      next: expect.stringContaining('cygnet agent run'),
    },
  ]);
});

test('it runs from the folder alone, serves, and earns', async () => {
  agent = await Program.start(['agent', 'run', '--folder', folder, '--api', 'off'], {});
  await agent.says(`Registered. Serving ${QWEN}, ${LLAMA}.`);
  const consumer = await market.consumer(parseUsd('5'));
  expect(await request(QWEN, consumer.key)).toBe(200);
  expect(backend.asked.at(-1)).toMatchObject({ model: 'qwen3:8b-q4_K_M' });
  await market.posted();
  // The market keeps such figures for ten seconds, and the doctor has just asked for them.
  await vi.waitFor(
    async () => {
      const { json } = await cygnet('earnings');
      expect(json.since_ever).toMatchObject({ total_inferences: 1, failed_inferences: 0 });
      expect(json.total_usd).toBeGreaterThan(0);
    },
    { timeout: 20_000, interval: 500 },
  );
}, 40_000);

test('status and models say what it does', async () => {
  expect(await cygnet('status', '--alive')).toMatchObject({ code: 0, json: { state: 'registered' } });
  const { json } = await cygnet('status');
  expect(json).toMatchObject({
    agent: {
      connected: true,
      total: 1,
      failed: 0,
      models: [{ id: QWEN, state: 'ready', tokens_out: 4 }, { id: LLAMA }],
    },
    market: { standing: { status: 'active', step: 5 } },
  });
  await vi.waitFor(
    async () => {
      const { json: list } = await cygnet('models');
      expect(list.models).toMatchObject([
        { id: QWEN, sold: true, accepted: true, requests_24h: 1 },
        { id: LLAMA },
      ]);
    },
    { timeout: 20_000, interval: 500 },
  );
  const { json: all } = await cygnet('models', '--all');
  expect(all.models.length).toBeGreaterThan(20);
}, 40_000);

test('while it runs the doctor finds every link good but the GPU and the wallet, which a test has not', async () => {
  const { code, json } = await cygnet('doctor');
  expect(code).toBe(0);
  const notGood = json.checks.filter(({ result }: { result: string }) => result !== 'good');
  expect(notGood.map(({ check }: { check: string }) => check)).toEqual(['gpu', 'wallet', 'payout']);
  const { code: set } = await cygnet('claim', '--set-wallet', `0x${'ab'.repeat(20)}`);
  expect(set).toBe(0);
  const { json: after } = await cygnet('doctor', '--quick');
  expect(after.checks).toContainEqual(expect.objectContaining({ check: 'wallet', result: 'good' }));
});

test('a second agent of one folder does not start, and the first one goes on', async () => {
  const second = await run(['agent', 'run', '--folder', folder], {});
  expect(second.code).toBe(2);
  expect(second.err).toContain('already');
  expect((await cygnet('status')).json.agent.connected).toBe(true);
});

test('an edit of models.json takes effect by itself, and a broken one changes nothing', async () => {
  const file = path.join(folder, 'models.json');
  const { key } = await market.consumer(parseUsd('5'));
  const entries = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, '{ broken');
  await agent.says('could not be loaded anew');
  expect(await request(LLAMA, key)).toBe(200);
  writeFileSync(file, JSON.stringify({ [QWEN]: { ...entries[QWEN], concurrency: 2 } }));
  await agent.says('the models were loaded anew');
  await vi.waitFor(async () => expect(await request(LLAMA, key)).toBe(503), { timeout: 10_000 });
  expect(await request(QWEN, key)).toBe(200);
  expect((await cygnet('status')).json.agent.models).toContainEqual(
    expect.objectContaining({ id: QWEN, concurrency: 2 }),
  );
}, 30_000);

test('limits change while it runs', async () => {
  const { json } = await cygnet('limit', QWEN, '--concurrency', '1', '--requests-per-minute', '10');
  expect(json.models[0]).toMatchObject({ id: QWEN, concurrency: 1, requests_per_minute: 10 });
  expect((await cygnet('limit', '--concurrency', '7')).json.limits).toEqual({
    concurrency: 7,
    requests_per_minute: null,
  });
  expect(await cygnet('limit', 'nobody/knows', '--concurrency', '1')).toMatchObject({ code: 2 });
  expect(await cygnet('limit', QWEN, '--concurrency', 'many')).toMatchObject({ code: 2 });
});

test('deposit says how collateral is pledged here, and tells the market of it', async () => {
  const { json } = await cygnet('deposit');
  expect(json).toMatchObject({ chains: [], status: 'active' });
  const { json: told } = await cygnet('deposit', '--usd', '20');
  expect(told).toMatchObject({ status: 'pending', amount: '20000000000000' });
  const bad = [
    ['--usd', 'much'],
    ['--tx', '0x1'],
    ['--owner', 'me'],
    ['--usd', '5', '--tx', `0x${'1'.repeat(64)}`],
  ];
  for (const words of bad) expect((await cygnet('deposit', ...words)).code).toBe(2);
  const { code, err } = await cygnet('earnings', '--days', '3');
  expect([code, err]).toEqual([2, '--days 3: 1, 7 or 30.\n']);
}, 30_000);

test('it leaves when it is told to, with what ran finished', async () => {
  const { key } = await market.consumer(parseUsd('5'));
  let finish: (() => void) | undefined;
  const began = new Promise<void>((resolve) => {
    backend.answer = (turn) => {
      finish = () => answerWords('late')(turn);
      resolve();
    };
  });
  const asked = request(QWEN, key);
  await began;
  const ended = agent.stop('SIGTERM');
  await vi.waitFor(async () => expect((await cygnet('status')).json.agent.draining).toBe(true), {
    timeout: 10_000,
  });
  finish?.();
  expect(await asked).toBe(200);
  expect(await ended).toEqual({ code: 0, signal: null });
  expect((await cygnet('status')).json.agent).toBeNull();
}, 30_000);

test('on another machine the account gets a second key by logging in', async () => {
  const other = path.join(path.dirname(folder), 'other');
  const words = [
    'agent',
    'setup',
    '--yes',
    '--market',
    market.url,
    '--hub',
    market.hubUrl,
    '--backend',
    backend.url,
  ];
  const env = { CYGNET_AGENT_PASSWORD: 'correct horse battery', CYGNET_AGENT_FOLDER: other };
  const { code } = await run([...words, '--email', 'new@example.org'], env);
  expect(code).toBe(0);
  const keyOf = (where: string) =>
    /ApiKey = "([^"]+)"/.exec(readFileSync(path.join(where, 'config.toml'), 'utf8'))?.[1];
  expect(keyOf(other)).not.toBe(keyOf(folder));
  const wrong = await run([...words, '--email', 'new@example.org'], {
    CYGNET_AGENT_PASSWORD: 'wrong password',
    CYGNET_AGENT_FOLDER: path.join(path.dirname(folder), 'third'),
  });
  expect([wrong.code, wrong.out]).toEqual([1, '']);
  expect(wrong.err).toContain('password');
});

test('the hub of a market is found where it listens, and nowhere else', async () => {
  expect(await findHub(['ws://127.0.0.1:1', market.url.replace('http', 'ws'), market.hubUrl])).toBe(
    market.hubUrl,
  );
  expect(await findHub(['ws://127.0.0.1:1', 'no address'])).toBeUndefined();
});
