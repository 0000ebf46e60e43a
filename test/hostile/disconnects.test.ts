import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chat, streamBody } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import type { Served, SwanAgent } from '#support/swan-agent.ts';

/** Reliability, failure 14: a client that leaves pays for what was passed on, and nothing goes on without it. */

const TOKENS = 20;
let house: HostileMarket;
let agent: SwanAgent;
let script: (served: Served) => void = () => {};

beforeAll(async () => {
  house = await openHostileMarket({ providers: 1 });
  // Generation C can be told to stop.
  agent = await house.swan(0, { generation: 'C', script: (served) => script(served) });
});
afterAll(() => house.close());

const ask = (over: Record<string, unknown>, onEvent?: Parameters<typeof chat>[0]['onEvent']) =>
  chat({
    baseUrl: house.baseUrl,
    key: house.consumers[0]?.key ?? '',
    body: streamBody(PLAIN_MODEL, over),
    ...(onEvent && { onEvent }),
  });

/** Writes `upTo` tokens and then nothing more, until it is told to stop. */
const writes = (upTo: number) => (served: Served) => {
  served.role();
  for (let i = 0; i < upTo; i++) served.token(`t${i} `);
};

describe('a client that hangs up', () => {
  it.each(Array.from({ length: TOKENS }, (_, i) => i + 1))(
    'after event %i: the agent is told, the place is free, the money is settled for what was passed on',
    async (at) => {
      script = writes(at);
      const answer = await ask({}, (count, connection) => {
        // The role and the first token arrive together.
        if (count === at + 1) connection.hangUp();
      });
      expect(answer.ending).toBe('cut');
      const served = agent.inferences.at(-1) as Served;
      await agent.until(() => served.cancelled);
      await house.idle();
      const row = (await house.usage()).at(-1);
      expect(row).toMatchObject({
        outcome: 'cancelled',
        error_code: 'client-left',
        output_tokens: at,
        attempts: 1,
      });
      expect(row?.charge).toBeGreaterThan(0n);
    },
  );

  it('before the first token pays nothing', async () => {
    let hangUp: () => void = () => {};
    script = () => hangUp();
    const http = await import('node:http');
    const body = JSON.stringify(streamBody(PLAIN_MODEL));
    const request = http.request(`${house.baseUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${house.consumers[0]?.key}` },
    });
    hangUp = () => request.destroy();
    const gone = new Promise((resolve) => request.on('close', resolve));
    request.on('error', () => {});
    request.end(body);
    await gone;
    const served = agent.inferences.at(-1) as Served;
    await agent.until(() => served.cancelled);
    await house.idle();
    expect((await house.usage()).at(-1)).toMatchObject({ outcome: 'cancelled', charge: 0n, input_tokens: 0 });
  });

  it('in the middle of an unstreamed answer pays nothing, since nothing was passed on', async () => {
    let hangUp: () => void = () => {};
    script = () => hangUp();
    const http = await import('node:http');
    const request = http.request(`${house.baseUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${house.consumers[0]?.key}` },
    });
    hangUp = () => request.destroy();
    request.on('error', () => {});
    request.end(JSON.stringify(streamBody(PLAIN_MODEL, { stream: false })));
    await new Promise((resolve) => request.on('close', resolve));
    await house.idle();
    expect((await house.usage()).at(-1)).toMatchObject({ outcome: 'cancelled', charge: 0n });
  });

  it('in the middle of its own body leaves nothing behind', async () => {
    const before = (await house.usage()).length;
    const net = await import('node:net');
    for (let i = 0; i < 20; i++) {
      await new Promise<void>((resolve) => {
        const socket = net.connect(house.market.gatewayPort, '127.0.0.1', () => {
          const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${house.consumers[0]?.key}\r\ncontent-length: 500\r\n\r\n{"model":`;
          socket.write(head, () => socket.destroy());
        });
        socket.on('close', () => resolve());
      });
    }
    await house.idle();
    expect((await house.usage()).length).toBe(before);
  });

  it('four hundred of them at once, at every event: no place, no money and no stream is left over', async () => {
    script = writes(TOKENS);
    const asked = Array.from({ length: 400 }, (_, i) =>
      ask({}, (count, connection) => {
        if (count === 1 + (i % TOKENS)) connection.hangUp();
      }),
    );
    const answers = await Promise.all(asked);
    expect(answers.filter((each) => each.status === 200).length).toBeGreaterThan(0);
    expect(answers.filter((each) => each.status !== 200 && each.status !== 503)).toEqual([]);
    await house.idle();
    const candidates = house.market.hub.candidates(PLAIN_MODEL);
    expect(candidates.map((each) => [each.inFlight, each.linkInFlight])).toEqual([[0, 0]]);
    expect(house.market.hub.registry.bufferedBytes).toBe(0);
    const rows = (await house.usage()).slice(-300);
    expect(rows.every((row) => row.outcome !== 'completed' && row.output_tokens <= TOKENS)).toBe(true);
    expect(await house.audit()).toMatchObject({ balanced: true, rejectedRecords: 0 });
  });
});
