import { afterEach, expect, test } from 'vitest';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { CutLine } from '#support/cut-line.ts';
import { TestMarket } from '#support/market.ts';

// The database goes away under a market that is open. Who has money set aside is served on; who has none is told to come
// again; nothing is lost, and all of it is posted once when the database is back.

let market: TestMarket;
let line: CutLine;
afterEach(async () => {
  line.mend();
  await market.close();
  await line.close();
});

async function open(): Promise<void> {
  market = await TestMarket.open({
    through: async (url) => {
      const opened = await CutLine.to(url);
      line = opened.line;
      return opened.url;
    },
  });
}

test('answers go on and are charged when it is back; a stranger to this process is told 503 and when to come again', async () => {
  await open();
  const model = market.aModel();
  await market.rehearsal(model, 'rehearsal:tokens=5,prompt=4');
  const known = await market.consumer();
  const stranger = await market.consumer();
  const asked = (key: string) => ({
    url: market.url,
    key,
    body: { model: model.id, messages: HELLO, max_tokens: 5 },
  });
  expect((await ask(asked(known.key))).status).toBe(200);
  await market.posted();
  const { total } = await market.balance(known);

  line.cut();
  for (let i = 0; i < 10; i++) expect((await ask(asked(known.key))).status).toBe(200);
  const refused = await ask(asked(stranger.key));
  expect(refused.status).toBe(503);
  expect(refused.json.error).toMatchObject({ code: 'ledger_unavailable', type: 'server_error' });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(refused.text).not.toMatch(/ECONN|127\.0|database|postgres/i);
  expect((await ask({ url: market.url, method: 'GET', path: '/v1/models' })).status).toBe(200);

  line.mend();
  const charge = 4n * model.inputPico + 5n * model.outputPico;
  expect(await market.usage(known, 11)).toHaveLength(11);
  expect((await market.balance(known)).total).toBe(total - 10n * charge);
  await expect.poll(async () => (await ask(asked(stranger.key))).status, { timeout: 10_000 }).toBe(200);
});

test.each([
  { how: 'away', lose: () => line.cut() },
  // Each room waited for an answer by itself, and the ledger for two minutes: longer than anybody lets a process end.
  { how: 'silent', lose: () => line.hush() },
])(
  'bug: a stop while it is $how ends all the same, and the next start posts what was served',
  async ({ lose }) => {
    await open();
    const model = market.aModel();
    await market.rehearsal(model, 'rehearsal:tokens=5,prompt=4');
    const consumer = await market.consumer();
    const asked = {
      url: market.url,
      key: consumer.key,
      body: { model: model.id, messages: HELLO, max_tokens: 5 },
    };
    expect((await ask(asked)).status).toBe(200);
    await market.posted();
    lose();
    const stream = await askStream(asked);
    await stream.ended;
    expect(stream.done).toBe(true);
    await market.restart(() => line.mend());
    const rows = await market.usage(consumer, 2);
    expect(rows.every((row) => row.outcome === 'completed' && row.charge > 0n)).toBe(true);
  },
  90_000,
);
