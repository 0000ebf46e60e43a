import { afterAll, beforeAll, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { Balancer } from '#support/balancer.ts';
import { ask, askStream, HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';
import type { Served } from '#support/swan-agent.ts';

// Two markets on one PostgreSQL behind a balancer that tries nothing twice. One is restarted after the other, as an update
// does, while consumers keep asking: nobody may notice. `npm run rolling` asks more often.

const REQUESTS = Number(process.env['CYGNET_ROLLING_REQUESTS'] ?? '200');
const WORKERS = 6;
const NOTICE_MS = 500;
const TOKENS = 12;

const config = {
  limits: { requestsPerMinute: { llm: 1_000_000 } },
  // A market that came back is sent nothing before its agents came back, too.
  life: { readyAgents: 2 },
};
let first: TestMarket;
let second: TestMarket;
let balancer: Balancer;

beforeAll(async () => {
  first = await TestMarket.open({ config });
  second = await TestMarket.open({ config, on: first });
  balancer = await Balancer.open([first.ports.gateway, second.ports.gateway]);
});
afterAll(async () => {
  await balancer.close();
  await second.close();
  await first.close();
});

/** A backend that takes its time, as Swan's agent passes it on. */
function answer(served: Served): void {
  if (!served.stream) return served.result(served.completion(rehearsedText(TOKENS)));
  served.role();
  served.token(rehearsedText(TOKENS));
  served.finish();
  served.usage(5, TOKENS);
  served.done();
  served.end({ tokens_input: 5, tokens_output: TOKENS });
}

test(
  'two markets are restarted one after the other under load, and no request fails',
  async () => {
    const model = first.aModel();
    // Our agents hold a line to each market; Swan's have one, and dial again.
    const provider = await first.provider();
    const hubs = { hubUrls: [first.hubUrl, second.hubUrl] };
    const plan = `${model.id}=rehearsal:tokens=${TOKENS},paced=5`;
    const ours = await Promise.all([1, 2].map(() => first.agent(provider, [plan], hubs)));
    await first.swan(model, answer, { nodeId: 'a1'.repeat(65) });
    await second.swan(model, answer, { nodeId: 'b2'.repeat(65) });
    await expect.poll(() => ours.every((agent) => agent.connected), { timeout: 10_000 }).toBe(true);
    await Promise.all([first, second].map((market) => balancer.sends(market.ports.gateway, true)));

    const consumer = await first.consumer();
    const failures: string[] = [];
    let asked = 0;
    const roll = { over: false };
    const worker = async (streams: boolean): Promise<void> => {
      while (!roll.over || asked < REQUESTS) {
        asked += 1;
        const what = {
          url: balancer.url,
          key: consumer.key,
          body: { model: model.id, messages: HELLO, max_tokens: TOKENS },
        };
        if (streams) {
          const stream = await askStream(what);
          const how = await stream.ended;
          if (stream.status !== 200 || how !== 'end' || !stream.done || stream.text !== rehearsedText(TOKENS))
            failures.push(`${stream.status} ${how} ${JSON.stringify(stream.events.at(-1))}`);
        } else {
          const { status, text } = await ask(what);
          if (status !== 200) failures.push(`${status} ${text}`);
        }
      }
    };
    const load = Promise.all(Array.from({ length: WORKERS }, (_, i) => worker(i % 2 === 0)));

    for (const market of [first, second]) {
      const { gateway } = market.ports;
      const stopped = market.restart(undefined, NOTICE_MS);
      await balancer.sends(gateway, false);
      await stopped;
      await balancer.sends(gateway, true);
    }
    roll.over = true;
    await load;
    expect(failures).toEqual([]);
    expect(asked).toBeGreaterThanOrEqual(REQUESTS);
    // Both took their part.
    for (const served of balancer.served) expect(served).toBeGreaterThan(0);
    // Each request was charged once, whichever market served it.
    const rows = await first.usage(consumer, asked);
    await second.posted();
    expect(rows.filter((row) => row.outcome === 'completed')).toHaveLength(asked);
  },
  60_000 + REQUESTS * 200,
);
