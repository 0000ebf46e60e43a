import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { setProviderTerms } from '#identity/providers.ts';
import { ask, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel, TestParty } from '#support/parties.ts';

// OpenRouter's fields of routing, from the body of a request to whoever was paid for it.

let market: TestMarket;
let consumer: TestParty;
beforeAll(async () => {
  market = await TestMarket.open();
  consumer = await market.consumer();
});
afterAll(() => market.close());

async function chat(body: object) {
  const { status, json: answer } = await ask({
    url: market.url,
    key: consumer.key,
    body: { messages: HELLO, ...body },
  });
  return {
    status,
    answer: answer as { model?: string; error?: { code: string; param: string; message: string } },
  };
}

/** Who was paid for the latest request. */
async function served(): Promise<string | null | undefined> {
  await market.posted();
  const [row] = await market.fresh.database.sql<{ provider: string | null }[]>`
    select provider_id as provider from usage where consumer_id = ${consumer.id} order by at desc, id desc limit 1`;
  return row?.provider;
}

describe('a provider object', () => {
  let model: TestModel;
  let first: TestParty;
  let second: TestParty;
  beforeAll(async () => {
    model = market.aModel();
    first = await market.rehearsal(model);
    second = await market.rehearsal(model);
    await setProviderTerms(market.fresh.database, {
      id: second.id,
      region: 'eu',
      dataPolicy: 'zero-retention',
    });
  });

  test('names who may serve, who may not, and who goes first', async () => {
    for (const [wish, provider] of [
      [{ only: [first.id] }, first],
      [{ only: [second.id.toUpperCase()] }, second],
      [{ ignore: [second.id] }, first],
      [{ order: [second.id] }, second],
      [{ order: [first.id], allow_fallbacks: false }, first],
    ] as const) {
      expect((await chat({ model: model.id, provider: wish })).status).toBe(200);
      expect(await served()).toBe(provider.id);
    }
  });

  test('is heeded about what providers promised to do with prompts', async () => {
    await expect
      .poll(async () => {
        const { status } = await chat({ model: model.id, provider: { zdr: true } });
        return status === 200 ? await served() : status;
      })
      .toBe(second.id);
  });

  test('that leaves nobody is answered with the filter that left nobody', async () => {
    const { status, answer } = await chat({ model: model.id, provider: { quantizations: ['fp4'] } });
    expect(status).toBe(404);
    expect(answer.error).toMatchObject({ code: 'no_matching_provider', param: 'provider.quantizations' });
    expect(answer.error?.message).toContain('provider.quantizations');
  });

  test('that is wrong is refused by the name of its field', async () => {
    const { status, answer } = await chat({ model: model.id, provider: { fastest: true } });
    expect([status, answer.error?.param]).toEqual([400, 'provider.fastest']);
  });

  test('may stand behind the name of the model', async () => {
    for (const name of [`${model.slug}:floor`, `${model.id}:nitro`]) {
      expect(await chat({ model: name })).toMatchObject({ status: 200, answer: { model: model.id } });
    }
    expect((await chat({ model: `${model.slug}:cheap` })).status).toBe(404);
  });
});

describe('further models', () => {
  test('answer, at their own price and under their own name, when nobody serves the first', async () => {
    const [absent, present] = [market.aModel(), market.aModel()];
    const provider = await market.rehearsal(present, 'rehearsal:tokens=7,prompt=3');
    const before = await market.balance(consumer);
    const { status, answer } = await chat({ model: absent.id, models: [absent.id, present.slug] });
    expect([status, answer.model]).toEqual([200, present.id]);
    expect(await served()).toBe(provider.id);
    const after = await market.balance(consumer);
    expect(before.total - after.total).toBe(3n * present.inputPico + 7n * present.outputPico);
  });

  test('answer when every provider of the first failed before its first content', async () => {
    const [failing, present] = [market.aModel(), market.aModel()];
    await market.rehearsal(failing, 'rehearsal:status=500');
    await market.rehearsal(present);
    expect(await chat({ models: [failing.id, present.id] })).toMatchObject({
      status: 200,
      answer: { model: present.id },
    });
  });

  test('are all looked up before anything is tried', async () => {
    const present = market.aModel();
    await market.rehearsal(present);
    const { status, answer } = await chat({ model: present.id, models: ['no-such-model'] });
    expect([status, answer.error?.param]).toEqual([404, 'models']);
  });

  test('that nobody serves either are answered as the last one would be', async () => {
    const [absent, other] = [market.aModel(), market.aModel()];
    const { status, answer } = await chat({ models: [absent.id, other.id] });
    expect([status, answer.error?.code]).toEqual([503, 'no_provider_available']);
  });
});
