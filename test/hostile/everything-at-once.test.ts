import { afterAll, beforeAll, expect, it } from 'vitest';
import { chat, streamBody } from '#support/hostile-client.ts';
import {
  COUNTED_MODEL,
  type HostileMarket,
  openHostileMarket,
  PLAIN_MODEL,
} from '#support/hostile-market.ts';
import { answerPlainly, HOSTILE, type Script, type Served, type SwanAgent } from '#support/swan-agent.ts';
import { Chance } from '../sim/chance.ts';

/**
 * A hostile agent that does everything it can think of, in an order from a seed, while other providers serve: it has a
 * provider's key, a model of its own with customers, and knows the others' nodes and the ids of their attempts.
 */

const SEED = Number(process.env['CYGNET_FUZZ_SEED'] ?? 1);
const ACTS = 120;
const CUSTOMERS = 6;

let house: HostileMarket;
let hostile: SwanAgent;
const good: SwanAgent[] = [];
/** The attempts that the good providers have in hand. */
const inHand: Served[] = [];
const chance = new Chance(SEED).stream('hostile agent');

/** Twenty pieces that only this prompt gets, with everything that could break a frame or a line. */
const wordsFor = (prompt: string): string[] =>
  Array.from({ length: 20 }, (_, i) => `${prompt}/${i} "\\\u2028\n\ndata: [DONE]\n\n 💥\t`);

/** Piece by piece, with other work in between. */
const honest: Script = (served) => {
  inHand.push(served);
  const [{ content: prompt }] = served.request['messages'] as [{ content: string }];
  const words = wordsFor(prompt);
  const next = (): void => {
    const word = words.shift();
    if (word !== undefined) {
      served.token(word);
      setImmediate(next);
      return;
    }
    inHand.splice(inHand.indexOf(served), 1);
    served.finish();
    served.usage(3, 20);
    served.done();
    served.end({ tokens_input: 3, tokens_output: 20 });
  };
  if (served.stream) return next();
  inHand.splice(inHand.indexOf(served), 1);
  served.result(served.completion(words.join('')));
};

const OWN_ANSWERS: Readonly<Record<string, Script>> = {
  ...HOSTILE,
  silence: () => {},
  aCut: (served) => (served.token('half'), served.agent.reconnect()),
  aFlood: (served) => {
    for (let i = 0; i < 2_000; i++) served.token('x'.repeat(50));
  },
  aGiant: (served) => served.token('x'.repeat(3_000_000)),
  lies: (served) => (answerPlainly(served), served.end({ tokens_input: -5, tokens_output: 1e308 })),
  aRefusal: (served) => served.end({ status_code: 400, error: 'no' }),
};

const idOf = (): string => inHand[0]?.id ?? 'att_none';
const chunk = { choices: [{ index: 0, delta: { content: 'STOLEN' }, finish_reason: 'stop' }] };
const ACTIONS: Readonly<Record<string, (agent: SwanAgent) => void>> = {
  chunkOfAnother: (agent) => agent.send('stream_chunk', idOf(), { request_id: idOf(), chunk, done: false }),
  endOfAnother: (agent) =>
    agent.send('stream_end', idOf(), { request_id: idOf(), status_code: 500, error: 'x' }),
  resultOfAnother: (agent) =>
    agent.send('ack', idOf(), {
      request_id: idOf(),
      response: { choices: [{ message: { content: 'STOLEN' } }] },
    }),
  errorOfAnother: (agent) => agent.send('error', idOf(), { request_id: idOf(), code: 400, message: 'x' }),
  illnessOfAnother: (agent) => agent.health({ [PLAIN_MODEL]: 'unhealthy', [COUNTED_MODEL]: 'unhealthy' }),
  heartbeatOfAnother: (agent) => agent.heartbeat({ node_id: good[0]?.options.nodeId, models: [] }),
  nodeOfAnother: (agent) => (agent.register({ node_id: good[0]?.options.nodeId }), agent.reconnect()),
  keyOfNobody: (agent) => (agent.register({ token: 'sk-prov-0' }), agent.reconnect()),
  thousandModels: (agent) =>
    agent.register({ models: [COUNTED_MODEL, ...Array.from({ length: 1_000 }, (_, i) => `m${i}`)] }),
  senselessModels: (agent) => agent.register({ models: Array.from({ length: 50_000 }, () => 1) }),
  noise: (agent) => agent.raw(chance.source.bytes(500)),
  noiseAsText: (agent) => agent.raw(chance.source.bytes(500).toString('latin1')),
  aMegabyteOfBrackets: (agent) => agent.raw('['.repeat(1_000_000)),
  thousandBeats: (agent) => {
    for (let i = 0; i < 1_000; i++) agent.heartbeat({ metrics: { a: 1e308, b: -1 } });
  },
  thousandUnknown: (agent) => {
    for (let i = 0; i < 1_000; i++) agent.send(`t${i}`, `r${i}`, { i });
  },
  leaving: (agent) => agent.reconnect(),
};

beforeAll(async () => {
  house = await openHostileMarket({
    providers: 4,
    consumers: 2,
    credit: '100000',
    config: {
      hub: { firstTokenDeadlineMs: 400, gapDeadlineMs: 60_000 },
      limits: { requestTimeoutMs: 120_000 },
    },
  });
  for (let provider = 1; provider < 4; provider++)
    good.push(await house.swan(provider, { generation: 'C', script: honest }));
  hostile = await house.swan(0, {
    generation: 'C',
    models: [COUNTED_MODEL],
    script: (served) => (OWN_ANSWERS[chance.one(Object.keys(OWN_ANSWERS))] as Script)(served),
  });
});
afterAll(() => house.close());

it('a hostile agent that does everything at once changes no byte of what other providers answer', {
  timeout: 300_000,
}, async () => {
  const show = { over: false };
  const wrong: string[] = [];
  const customers = Array.from({ length: CUSTOMERS }, async (_, customer) => {
    let answers = 0;
    for (; !show.over; answers++) {
      const prompt = `c${customer}-${answers}`;
      const body = streamBody(PLAIN_MODEL, {
        stream: answers % 4 !== 3,
        messages: [{ role: 'user', content: prompt }],
      });
      const answer = await chat({ baseUrl: house.baseUrl, key: house.consumers[0]?.key ?? '', body });
      const whole = answer.status === 200 && ['done', 'plain'].includes(answer.ending);
      if (!whole || answer.text !== wordsFor(prompt).join(''))
        wrong.push(`${prompt}: ${answer.status} ${answer.body}`);
    }
    return answers;
  });
  const victimsOfTheirOwn = Array.from({ length: 3 }, async () => {
    while (!show.over)
      await chat({
        baseUrl: house.baseUrl,
        key: house.consumers[1]?.key ?? '',
        body: streamBody(COUNTED_MODEL),
      });
  });
  const done = new Map<string, number>();
  for (let act = 0; act < ACTS && wrong.length === 0; act++) {
    const name = chance.one(Object.keys(ACTIONS));
    done.set(name, (done.get(name) ?? 0) + 1);
    ACTIONS[name]?.(hostile);
    for (let turn = chance.whole(1, 30); turn > 0; turn--)
      await new Promise((resolve) => setImmediate(resolve));
    if (!hostile.connected) await hostile.until(() => hostile.connected);
  }
  show.over = true;
  const answers = (await Promise.all(customers)).reduce((sum, each) => sum + each, 0);
  await Promise.all(victimsOfTheirOwn);
  expect(wrong, `seed ${SEED}`).toEqual([]);
  expect(done.size).toBe(Object.keys(ACTIONS).length);
  expect(answers).toBeGreaterThan(CUSTOMERS);
  // What was answered was charged, once, to whom it was answered, and paid to who answered it.
  const rows = (await house.usage()).filter((row) => row.consumer_id === house.consumers[0]?.id);
  expect(rows).toHaveLength(answers);
  const honestOnes = house.providers.slice(1).map((provider) => provider.id);
  expect(rows.every((row) => row.outcome === 'completed' && honestOnes.includes(row.provider_id ?? ''))).toBe(
    true,
  );
  expect(good.every((agent) => agent.connected && agent.dials === 1)).toBe(true);
  expect(house.market.hub.counters.internalErrors).toBe(0);
  expect(house.log.filter((line) => line.includes('met a bug'))).toEqual([]);
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  await house.idle();
});
