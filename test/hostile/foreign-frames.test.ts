import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat, streamBody } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import { answerPlainly, type Served, type SwanAgent } from '#support/swan-agent.ts';

/** Reliability, failure 4: a provider cannot answer, end or kill a request that it does not serve. */

let house: HostileMarket;
let victim: SwanAgent;
let attacker: SwanAgent;
let begun: (served: Served) => void = () => {};

beforeAll(async () => {
  house = await openHostileMarket({ providers: 2 });
  victim = await house.swan(0, { script: (served) => begun(served) });
  // Connected, trusted, and not able to be chosen: it lists no model.
  attacker = await house.swan(1, { models: [] });
});
afterAll(() => house.close());

const ask = () =>
  chat({ baseUrl: house.baseUrl, key: house.consumers[0]?.key ?? '', body: streamBody(PLAIN_MODEL) });

/** Everything one link can say about an attempt. */
function interfere(from: SwanAgent, id: string): void {
  const chunk = { choices: [{ index: 0, delta: { content: 'STOLEN' }, finish_reason: 'stop' }] };
  from.send('stream_chunk', id, { request_id: id, chunk, done: false });
  from.send('stream_chunk', undefined, { request_id: id, chunk, done: true });
  from.send('stream_chunk', id, { request_id: id, chunk: null, done: true, error: 'killed' });
  from.send('stream_end', id, { request_id: id, tokens_input: 1, tokens_output: 1_000_000 });
  from.send('stream_end', id, { request_id: id, status_code: 400, error: 'killed' });
  from.send('ack', id, { request_id: id, response: { choices: [{ message: { content: 'STOLEN' } }] } });
  from.send('error', id, { request_id: id, code: 400, message: 'killed' });
}
const MESSAGES = 7;

describe('a link that speaks about another link’s attempt', () => {
  it.each([
    ['whose real id it knows', (served: Served) => served.id],
    ['whose id it guesses', (served: Served) => `${served.id.slice(0, -1)}0`],
    ['by a name of the prototype', () => '__proto__'],
    ['by an empty id', () => ''],
  ])('%s is counted and dropped, and the stream goes on unharmed', async (_, idOf) => {
    const { counters } = house.market.hub;
    const before = counters.foreignFrames + counters.malformed + counters.ignored;
    begun = (served) => {
      served.role();
      served.token('mine ');
      interfere(attacker, idOf(served));
      const inDoor = () => counters.foreignFrames + counters.malformed + counters.ignored - before;
      const goOn = (): void => {
        if (inDoor() < MESSAGES) {
          setImmediate(goOn);
          return;
        }
        served.token('alone');
        served.finish();
        served.done();
        served.end({ tokens_input: 3, tokens_output: 2 });
      };
      goOn();
    };
    const answer = await ask();
    expect(answer).toMatchObject({ ending: 'done', text: 'mine alone' });
    expect(counters.foreignFrames + counters.malformed + counters.ignored - before).toBe(MESSAGES);
    const row = (await house.usage()).at(-1);
    expect(row).toMatchObject({ outcome: 'completed', output_tokens: 2, claimed_output_tokens: 2 });
    expect(row?.provider_id).toBe(house.providers[0]?.id);
    expect(attacker.connected).toBe(true);
  });

  it('late frames of an attempt that is over change nothing, on its own link or on its next', async () => {
    let old: Served | undefined;
    begun = (served) => {
      old = served;
      answerPlainly(served);
    };
    await ask();
    const again = old as Served;
    again.token('late');
    again.end({ tokens_output: 9_999 });
    victim.reconnect();
    // The agent goes on with its old stream, before and after it registers anew.
    await victim.until(() => victim.connected);
    again.token('later');
    again.done();
    again.end();
    await victim.until(() => victim.registered);
    begun = (served) => {
      again.token('latest');
      answerPlainly(served);
    };
    expect(await ask()).toMatchObject({ ending: 'done', text: 'one two three' });
    const rows = await house.usage();
    expect(rows.filter((row) => row.claimed_output_tokens === 9_999)).toEqual([]);
    expect(house.market.hub.counters).toMatchObject({ floods: 0, internalErrors: 0 });
  });
});
