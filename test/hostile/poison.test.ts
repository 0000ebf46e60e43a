import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat, streamBody } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import { answerPlainly, type SwanAgent } from '#support/swan-agent.ts';

/** Reliability, failure 10: a request that kills its provider does not walk through the fleet. */

const FLEET = 9;
let house: HostileMarket;
const agents: SwanAgent[] = [];
let lost = 0;

beforeAll(async () => {
  house = await openHostileMarket({ providers: FLEET, consumers: 2 });
  for (let provider = 0; provider < FLEET; provider++) {
    agents.push(
      await house.swan(provider, {
        script: (served) => {
          if (!JSON.stringify(served.request).includes('POISON')) return answerPlainly(served);
          lost += 1;
          served.agent.reconnect();
        },
      }),
    );
  }
});
afterAll(() => house.close());

const ask = (consumer: number, content: string) =>
  chat({
    baseUrl: house.baseUrl,
    key: house.consumers[consumer]?.key ?? '',
    body: streamBody(PLAIN_MODEL, { messages: [{ role: 'user', content }] }),
  });

describe('a poison request, sent twenty times to a fleet of nine', () => {
  it('costs at most three links, is quarantined, and disturbs nobody else', async () => {
    const others: Promise<Awaited<ReturnType<typeof ask>>>[] = [];
    const codes: (string | undefined)[] = [];
    for (let i = 0; i < 20; i++) {
      for (let k = 0; k < 5; k++) others.push(ask(1, `honest ${i} ${k}`));
      codes.push((await ask(0, 'POISON')).error?.code);
    }
    expect(lost).toBeLessThanOrEqual(3);
    expect(codes.every((code) => code === 'request_quarantined')).toBe(true);
    const answers = await Promise.all(others);
    expect(answers.filter((each) => each.text !== 'one two three' || each.ending !== 'done')).toEqual([]);
    // Nobody is shut out for it.
    for (const agent of agents) await agent.until(() => agent.registered);
    const candidates = house.market.hub.candidates(PLAIN_MODEL);
    expect(candidates.map((each) => each.breaker.state)).toEqual(
      Array.from({ length: FLEET }, () => 'closed'),
    );
    expect(await ask(0, 'an honest question of the same consumer')).toMatchObject({ ending: 'done' });
  });

  it('sent twenty times at once costs each link at most once', async () => {
    lost = 0;
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(0, 'POISON in parallel')));
    expect(lost).toBeLessThanOrEqual(FLEET + 3);
    expect(answers.every((each) => each.status === 400 || each.status === 502 || each.status === 503)).toBe(
      true,
    );
    await house.idle();
  });

  it('and the same words of another consumer are that consumer’s own affair', async () => {
    lost = 0;
    for (const agent of agents) await agent.until(() => agent.registered);
    await ask(1, 'POISON');
    expect(lost, 'not refused for what consumer 0 sent').toBeGreaterThan(0);
  });
});
