import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatUsd } from '#domain/money.ts';
import { ask } from '#support/chat-client.ts';
import { cygnetProviders as cygnet } from '#support/in-process-cli.ts';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';
import { economicsAnswer } from '#wire/console.ts';

// What a provider's models bring: a market of its own, because what was asked for is kept for half a minute.

let market: TestMarket;
let folder: string;
beforeAll(async () => {
  market = await TestMarket.open();
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-economics-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await market.close();
});

const dollarsOf = (pico: bigint): number => Number(formatUsd(pico).replace('$', ''));

test('economics are what was earned and asked for in the last day, per hour of GPU, on the command line too', async () => {
  const model = market.aModel();
  const provider = await market.rehearsal(model);
  const consumer = await market.consumer();
  const body = { model: model.id, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 5 };
  expect((await ask({ url: market.url, key: consumer.key, body })).status).toBe(200);
  await market.posted();
  const answered = await visit(`${market.url}/api/v1/provider/economics?gpus_per_node=2`, {
    token: provider.key,
  });
  const told = economicsAnswer.parse(answered.json);
  const earned = dollarsOf(await market.account(`provider:${provider.id}`));
  expect(told.earned_usd).toBe(earned);
  expect(told.models.find(({ model_id }) => model_id === model.id)).toMatchObject({
    offered: true,
    requests_24h: 1,
    own_requests_24h: 1,
    own_earned_24h_usd: earned,
    expected_daily_usd: earned,
    expected_basis: 'own-share',
    online_providers: 1,
  });
  // What others would bring is estimated by an even share.
  expect(told.models.some(({ expected_basis }) => expected_basis === 'even-share')).toBe(true);
  const keyFile = path.join(folder, 'earner');
  writeFileSync(keyFile, provider.key);
  const page = await cygnet('economics', '--market', market.url, '--key-file', keyFile, '--gpus', '2');
  expect(page).toContain(`Last 24 hours: $${earned} earned in`);
  await expect(cygnet('economics', '--key-file', keyFile, '--gpus', 'many')).rejects.toThrow(/whole number/);
});
