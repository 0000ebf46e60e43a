import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import { answerPlainly } from '#support/swan-agent.ts';

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open({ config: { hub: { perModelInFlight: 1 } } });
});
afterAll(() => market.close());

test('bug: a place that becomes free is given to one request, not to all that wait for it', async () => {
  const model = market.aModel();
  let open = 0;
  let most = 0;
  const end: (() => void)[] = [];
  let heard = (): void => {};
  await market.swan(model, (served) => {
    open += 1;
    most = Math.max(most, open);
    end.push(() => {
      open -= 1;
      answerPlainly(served);
    });
    heard();
  });
  const consumer = await market.consumer();
  const body = { model: model.id, max_tokens: 3, messages: HELLO };
  const answers = Array.from({ length: 8 }, () => ask({ url: market.url, key: consumer.key, body }));
  for (let ended = 0; ended < 8; ended++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other.
    if (end.length <= ended) await new Promise<void>((resolve) => (heard = resolve));
    end[ended]?.();
  }
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(
    Array.from({ length: 8 }, () => 200),
  );
  expect(most).toBe(1);
});
