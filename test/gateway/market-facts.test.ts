import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestMarket } from '#support/market.ts';
import { visit } from '#support/visitor.ts';
import { marketFacts } from '#wire/console.ts';

// What a program that knows only the market's address asks first.

let market: TestMarket;
beforeAll(async () => {
  market = await TestMarket.open();
});
afterAll(() => market.close());

const facts = async (url: string) => marketFacts.parse((await visit(`${url}/api/v1/market`)).json);

test('anybody is told the version and the port of the hub', async () => {
  expect(await facts(market.url)).toEqual({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    api_base: null,
    hub: { url: null, port: Number(new URL(market.hubUrl).port), tls: false },
    sign_up: 'open',
    trial: null,
  });
});

test('a market whose addresses its operator names says those', async () => {
  const named = await TestMarket.open({
    on: market,
    config: {
      advertised: { publicUrl: 'https://market.example.org', hubUrl: 'wss://hub.example.org' },
      access: { signUp: 'closed' },
    },
  });
  expect(await facts(named.url)).toMatchObject({
    api_base: 'https://market.example.org/api/v1',
    hub: { url: 'wss://hub.example.org' },
    sign_up: 'closed',
  });
  await named.close();
});
