import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { why as agentWhy } from '#agent/commands/why.ts';
import { setProviderState } from '#identity/providers.ts';
import { systemClock } from '#kit/clock.ts';
import { ask } from '#support/chat-client.ts';
import { cygnetProviders as cygnet } from '#support/in-process-cli.ts';
import { TestMarket } from '#support/market.ts';
import type { TestParty } from '#support/parties.ts';
import { visit } from '#support/visitor.ts';
import { type WhyAnswer, whyAnswer } from '#wire/console.ts';

// "Why do I get no traffic?", asked of a market that serves.

let market: TestMarket;
let folder: string;
beforeAll(async () => {
  market = await TestMarket.open();
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-why-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await market.close();
});

async function why(provider: TestParty, model?: string): Promise<WhyAnswer> {
  const query = model === undefined ? '' : `?${new URLSearchParams({ model }).toString()}`;
  const answered = await visit(`${market.url}/api/v1/provider/why${query}`, { token: provider.key });
  expect(answered.status).toBe(200);
  return whyAnswer.parse(answered.json);
}

const shutIn = (gates: WhyAnswer['steps']) =>
  gates.filter(({ passes }) => passes === false).map(({ gate }) => gate);

test('a provider that was never here is told to connect, and nothing that lies behind that is guessed', async () => {
  const provider = await market.provider();
  const model = market.aModel();
  const { steps, models } = await why(provider, model.slug);
  expect(shutIn(steps)).toEqual(['connected']);
  expect(models).toMatchObject([
    { model_id: model.id, serving: false, rank: null, nodes: [], to_lead: null },
  ]);
  expect(models[0]?.summary).toContain('No requests: connected (0 agents or endpoints');
  expect(models[0]?.steps.at(-1)).toMatchObject({ gate: 'offered', passes: null });
});

test('a model that nobody sells, and one that the agent does not offer, are told apart', async () => {
  const offered = market.aModel();
  const other = market.aModel();
  const provider = await market.rehearsal(offered);
  const unsold = await why(provider, 'no-such-model');
  expect(shutIn(unsold.models[0]?.steps ?? [])).toContain('in-catalogue');
  const unoffered = await why(provider, other.id);
  expect(shutIn(unoffered.models[0]?.steps ?? [])).toEqual(['offered']);
});

test('a node whose model server does not answer is told so, by the page and by its status, also once it offers it no more', async () => {
  const model = market.aModel();
  const provider = await market.provider();
  const { agent } = await market.swan(model, () => {}, { token: provider.key });
  const status = async () =>
    (await visit(`${market.url}/api/v1/provider/status`, { token: provider.key })).json.warning ?? '';
  expect(await status()).not.toContain('does not answer');
  agent.health({ [model.id]: 'unhealthy' });
  await vi.waitFor(async () => {
    const [told] = (await why(provider)).models;
    expect(told?.nodes[0]?.gates.find(({ gate }) => gate === 'model-unhealthy')).toMatchObject({
      passes: false,
      found: expect.stringContaining('your model server does not answer'),
    });
  }, 10_000);
  expect(await status()).toContain(`${model.id} on node `);
  expect(await status()).toContain('your model server does not answer');
  // Our own agent offers it no more then: it stands on the page all the same.
  agent.register({ models: [] });
  await vi.waitFor(async () => {
    const [told] = (await why(provider)).models;
    expect(told).toMatchObject({ model_id: model.id, serving: false, nodes: [] });
    expect(told?.summary).toContain('your model server does not answer');
  }, 10_000);
  agent.health({ [model.id]: 'healthy' });
  await vi.waitFor(async () => expect(await status()).not.toContain('does not answer'), 10_000);
});

describe('two providers of one model', () => {
  let [quick, full]: TestParty[] = [];
  let modelId: string;
  beforeAll(async () => {
    const model = market.aModel();
    modelId = model.id;
    quick = await market.rehearsal(model);
    full = await market.rehearsal(model, 'rehearsal:paced=5,tokens=5');
    const consumer = await market.consumer();
    const body = { model: model.id, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 5 };
    for (let i = 0; i < 6; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, so that each is measured
      await ask({ url: market.url, key: consumer.key, body });
    }
  });

  test('learn their places, and the second what the first is measured at, but not who it is', async () => {
    const [first, second] = (await Promise.all([why(quick as TestParty), why(full as TestParty)])).toSorted(
      (a, b) => (a.models[0]?.rank ?? 9) - (b.models[0]?.rank ?? 9),
    );
    expect(first?.models[0]).toMatchObject({
      serving: true,
      rank: 1,
      may_serve: 2,
      to_lead: { decides: 'nothing', leader: null },
    });
    const told = second?.models[0];
    expect(told).toMatchObject({ rank: 2, to_lead: { decides: 'score' } });
    expect(told?.nodes[0]?.gates.every(({ passes }) => passes)).toBe(true);
    expect(told?.to_lead?.leader?.success_rate).toBeGreaterThan(0.8);
    expect(JSON.stringify(second)).not.toContain(first?.provider_id);
    expect(first?.models[0]?.nodes[0]?.last_served_s_ago).not.toBeNull();
  });

  test('one that is suspended is told so, in words', async () => {
    const { database } = market.fresh;
    const { id } = full as TestParty;
    await setProviderState(database, { id, to: 'suspended', reason: 'a test', at: systemClock.wallMs() });
    await vi.waitFor(async () => {
      const { steps, models } = await why(full as TestParty, modelId);
      expect(shutIn(steps)).toEqual(['provider-active']);
      expect(models[0]?.nodes[0]).toMatchObject({ verdict: 'not-eligible', rank: null });
      expect(models[0]?.nodes[0]?.gates[0]?.found).toBe('the provider is suspended');
    }, 10_000);
  });

  test('the last benchmark of a node stands on the page, and says when there was none; so does the last probe', async () => {
    const provider = quick as TestParty;
    const node = (await why(provider)).models[0]?.nodes[0];
    expect(node).toMatchObject({ last_benchmark: null, last_probe: null });
    const run = async (id: string, ended: string, passed: boolean) =>
      await market.fresh.database.sql`
        insert into benchmark_runs (
          id, node_id, model_id, provider_id, began_at, ended_at, passed, counted, failures, step, shortcomings, math_right,
          math_asked, code_right, code_asked, ttft_ms, tokens_per_second, tier, papers, acted_at
        ) values (
          ${id}, ${node?.node_id ?? ''}, ${modelId}, ${provider.id}, ${ended}, ${ended}, ${passed}, false, 0, 'none',
          ${passed ? [] : ['Math: 3 of 8 answers were right, 4 are needed.']}, 3, 8, 4, 4, 81.4, 12.5, 'A', '[]', ${ended}
        )`;
    await run('bench_why_old', '2026-01-01T00:00:00Z', true);
    await run('bench_why_new', '2026-01-02T00:00:00Z', false);
    await vi.waitFor(async () => {
      const [model] = (await why(provider)).models;
      const expected = {
        run: 'bench_why_new',
        passed: false,
        shortcomings: ['Math: 3 of 8 answers were right, 4 are needed.'],
        math: '3/8',
        code: '4/4',
        ttft_ms: 81,
      };
      expect(model?.nodes[0]?.last_benchmark).toMatchObject(expected);
      expect(model?.last_benchmark).toMatchObject(expected);
    }, 10_000);
    // Another provider's runs are not its.
    expect((await why(full as TestParty)).models[0]?.last_benchmark).toBeNull();
  });

  test("the agent's own command shows gates in order, the place, what would win, the last probe and benchmark", async () => {
    const { key, id } = quick as TestParty;
    const { value, lines } = await agentWhy(modelId, { folder, market: market.url, key }, {});
    const page = lines.join('\n');
    expect(whyAnswer.parse(value).provider_id).toBe(id);
    const gates = ['provider-active', 'connected', 'in-catalogue', 'offered', 'not-eligible', 'circuit-open'];
    const places = gates.map((gate) => page.indexOf(`\n${gate} `));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(Math.min(...places)).toBeGreaterThan(0);
    expect(page).toMatch(/not-eligible +ok +may earn/);
    expect(page).toContain('place 1 of ');
    expect(page).toContain('Last probe: none yet.');
    expect(page).toContain(
      'Last benchmark: 2026-01-02 00:00:00 UTC, failed: Math: 3 of 8 answers were right, 4 are needed. (math 3/8, code 4/4; run bench_why_new).',
    );
  });

  test('on the command line it is a page for people, and the same as JSON for programs', async () => {
    const { key, id } = quick as TestParty;
    const keyFile = path.join(folder, 'key');
    writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
    const page = await cygnet('why', modelId, '--market', market.url, '--key-file', keyFile);
    expect(page).toContain(`${modelId}: It may serve, as number 1 of 1.`);
    expect(page).toMatch(/model-full +ok +0 under way of this model +fewer than \d+/);
    const json = await cygnet('--json', 'why', '--market', market.url, '--key-file', keyFile);
    expect(whyAnswer.parse(JSON.parse(json)).provider_id).toBe(id);
    await expect(
      cygnet('why', '--market', market.url, '--key-file', keyFile, '--provider', id),
    ).rejects.toThrow(/login/i);
  });
});
