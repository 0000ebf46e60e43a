import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { setStandIn } from '#catalogue/models.ts';
import { setPlan } from '#identity/consumers.ts';
import { systemClock } from '#kit/clock.ts';
import { seededRandomness } from '#kit/random.ts';
import { IncidentBook } from '#reliability/incident-book.ts';
import { judgeProbe, makeQuestion } from '#reliability/probe-check.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { TestModel } from '#support/parties.ts';
import { statusSchema } from '#wire/status.ts';

// Trouble from end to end: an outage becomes an incident, serving heeds it, everybody can read of it, and it ends.

let market: TestMarket;
let book: IncidentBook;
beforeAll(async () => {
  // The first probe comes half a minute after the market opens, when these tests are over.
  market = await TestMarket.open({ config: { watch: { probes: true } } });
  book = new IncidentBook(market.fresh.database);
});
afterAll(() => market.close());

const look = () => market.marketplace.watching.incidents.look();
const status = async () => {
  const answer = await ask({ url: market.url, method: 'GET', path: '/status.json' });
  return statusSchema.parse(answer.json);
};
const noNews = () => ({ atMs: Date.now(), actor: 'operator' });

/** Two models, the second no dearer than the first and named as its stand-in. */
async function pair(): Promise<[TestModel, TestModel]> {
  const [a, b] = [market.aModel(), market.aModel()].toSorted((x, y) =>
    Number(y.inputPico + y.outputPico - x.inputPico - x.outputPico),
  ) as [TestModel, TestModel];
  await market.fresh.database.sql`
    update prices set output_pico = least(output_pico, ${a.outputPico}), input_pico = least(input_pico, ${a.inputPico})
    where model_id = ${b.id}`.catch(() => undefined);
  await setStandIn(market.fresh.database, { name: a.id, by: b.slug });
  return [a, b];
}

describe('an outage', () => {
  test('is an incident, the smaller model answers and says so, and all of it is on the status page', async () => {
    const [large, small] = await pair();
    const provider = await market.rehearsal(large);
    await market.rehearsal(small);
    const consumer = await market.consumer();
    await look();
    await provider.agent.close();
    await vi.waitFor(async () => expect((await ask(chat(consumer.key, large))).status).toBe(503));
    await look();
    const [incident] = await book.open();
    expect(incident).toMatchObject({ modelId: large.id, severity: 'critical', triggers: ['no-provider'] });

    const answer = await ask(chat(consumer.key, large));
    expect([answer.status, answer.headers['x-cygnet-served-model'], answer.json.model]).toEqual([
      200,
      small.id,
      small.id,
    ]);
    const stream = await askStream({
      url: market.url,
      key: consumer.key,
      body: { model: large.id, messages: HELLO },
    });
    expect(await stream.ended).toBe('end');
    expect(stream.headers['x-cygnet-served-model']).toBe(small.id);
    // Who wants this model or none is told so, and Business agreed on a model.
    const pinned = { provider: { allow_fallbacks: false } };
    expect((await ask(chat(consumer.key, large, pinned))).status).toBe(503);

    await book.note(incident?.id ?? '', { ...noNews(), words: 'A <b>fan</b> broke.' });
    await book.note(incident?.id ?? '', { ...noNews(), words: 'Call Kim.', internal: true });
    const report = await status();
    expect(report).toMatchObject({ state: 'outage', changes_frozen: true });
    expect(report.components.find(({ model }) => model === large.id)).toMatchObject({
      state: 'outage',
      providers: 0,
    });
    expect(report.components.find(({ model }) => model === small.id)).toMatchObject({ state: 'operational' });
    expect(report.incidents[0]?.steps.map(({ words }) => words)).toEqual([
      '0 of 1 providers are left.',
      'A <b>fan</b> broke.',
    ]);

    await book.resolve(incident?.id ?? '', { ...noNews(), words: 'Moved.' });
  });

  test('that is silenced is shown, and serving goes on as ever', async () => {
    const [large, small] = await pair();
    await market.rehearsal(large, 'rehearsal:tokens=300');
    await market.rehearsal(small);
    const consumer = await market.consumer();
    await setPlan(market.fresh.database, { id: consumer.id, plan: 'pro', at: systemClock.wallMs() });
    await book.begin({
      id: 'inc_staged',
      modelId: large.id,
      region: '',
      severity: 'major',
      triggers: [],
      because: 'Staged.',
      ...noNews(),
    });
    await look();
    // It still answers, so paid tiers get it; a prompt of seventeen thousand tokens waits.
    const answer = await ask(chat(consumer.key, large));
    expect([answer.status, answer.json.model, answer.headers['x-cygnet-served-model']]).toEqual([
      200,
      large.id,
      undefined,
    ]);
    const long = { messages: [{ role: 'user', content: 'word '.repeat(17_000) }] };
    const shed = await ask(chat(consumer.key, large, { ...long, provider: { allow_fallbacks: false } }));
    expect([shed.status, shed.json.error.code, shed.headers['retry-after']]).toEqual([
      503,
      'prompt_shed',
      '60',
    ]);
    const silence = { untilMs: Date.now() + 3_600_000, words: 'Known.' };
    await book.silence('inc_staged', { ...noNews(), ...silence });
    await look();
    const calm = await ask(chat(consumer.key, large, { ...long, provider: { allow_fallbacks: false } }));
    expect(calm.status).toBe(200);
    await book.resolve('inc_staged', { ...noNews(), words: 'Over.' });
    await look();
  });
});

describe('a probe', () => {
  test('takes the ordinary road, is paid for by the platform, and counts for nothing that is measured', async () => {
    const model = market.aModel();
    const provider = await market.rehearsal(model, 'rehearsal:tokens=12');
    const { door } = market.marketplace.watching;
    const account = { id: 'con_probes' };
    await vi.waitFor(async () => expect((await market.balance(account)).total).toBeGreaterThan(0n));
    const question = makeQuestion(seededRandomness(1));
    const atDoor = await door.ask(model.id, question);
    expect(atDoor).toMatchObject({ status: 200, code: null });
    expect(atDoor.ttftMs).toBeGreaterThan(0);
    expect(atDoor.text).not.toBe('');
    const [candidate] = market.marketplace.hub.candidates(model.id);
    expect(await door.ask(model.id, question, candidate?.id)).toMatchObject({ status: 200, code: null });
    // Somebody else's candidate, or one that left, is nobody to ask.
    expect(await door.ask(model.id, question, 'nobody')).toMatchObject({ code: 'no_provider_available' });
    await vi.waitFor(async () => {
      const rows = await market.fresh.database.sql`
        select from usage where consumer_id = 'con_probes' and provider_id = ${provider.id} and charge > 0`;
      expect(rows).toHaveLength(2);
    });
    const metrics = await ask({ url: market.url, method: 'GET', path: '/metrics' });
    expect(metrics.text).not.toContain(`cygnet_requests_total{model="${model.id}"`);
    // The header names a candidate for the prober alone.
    const consumer = await market.consumer();
    const plain = await ask({ ...chat(consumer.key, model), headers: { 'x-cygnet-probe': 'nobody' } });
    expect(plain.status).toBe(200);
  });
});

describe('a probe of vectors', () => {
  const question = makeQuestion(seededRandomness(2));

  test('finds one text twice alike and another text unlike, at the door and of one candidate', async () => {
    const model = { id: 'BAAI/bge-m3' };
    await market.agent(await market.provider(), [`${model.id}=rehearsal:`]);
    const { door } = market.marketplace.watching;
    const [candidate] = market.marketplace.hub.candidates(model.id);
    for (const to of [undefined, candidate?.id]) {
      const answer = await door.askVectors(model.id, question, to);
      expect(answer).toMatchObject({ status: 200, code: null, text: question.word });
      expect(judgeProbe(question, answer, { one: true, rightIsUsual: true })).toEqual({ verdict: 'ok' });
    }
  });
});

describe('the status page', () => {
  test('loads nothing, runs nothing, and shows markup as text', async () => {
    await status();
    const page = await ask({ url: market.url, method: 'GET', path: '/status' });
    const policy = page.headers['content-security-policy'] ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(page.text).not.toMatch(/<script|<img|<iframe|src=|https?:\/\/|<b>fan/i);
    const feed = await ask({ url: market.url, method: 'GET', path: '/status.atom' });
    expect(feed.headers['content-type']).toContain('application/atom+xml');
    expect(feed.text.match(/<entry>/g)?.length).toBeGreaterThan(0);
    expect(feed.text).not.toContain('Kim');
    expect(page.text).not.toContain('Kim');
  });
});

function chat(key: string, model: TestModel, over: Record<string, unknown> = {}) {
  return { url: market.url, key, body: { model: model.id, messages: HELLO, max_tokens: 20, ...over } };
}
