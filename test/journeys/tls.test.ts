import { connect } from 'node:net';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import type { TlsSettings } from '#agent/settings.ts';
import { openLog } from '#kit/log.ts';
import { Sealed } from '#kit/sealed.ts';
import { startAgent } from '#support/agent.ts';
import { TestAuthority } from '#support/certificates.ts';
import { HELLO } from '#support/chat-client.ts';
import { TestMarket } from '#support/market.ts';

// A market whose two ports speak TLS, and whose hub lets in only agents with a certificate of the house.

let house: TestAuthority;
let stranger: TestAuthority;
let market: TestMarket;
let here: { cert: string; key: string };
let trusting: Agent;

beforeAll(async () => {
  [house, stranger] = await Promise.all([TestAuthority.make('house'), TestAuthority.make('stranger')]);
  here = await house.sign('market');
  market = await TestMarket.open({ config: { tls: { ...here, hubClientCa: house.file } } });
  trusting = new Agent({ connect: { ca: house.pem } });
});
afterAll(async () => {
  await trusting.close();
  await market.close();
  house.forget();
  stranger.forget();
});

const url = (): string => `https://localhost:${market.ports.gateway}`;
const hub = (): string => `wss://localhost:${market.ports.hub}`;

/** An agent that tries once to get in: `registered`, or why its line was lost. */
async function tryOut(tls: Partial<TlsSettings>): Promise<string> {
  const provider = await market.provider();
  const model = market.aModel();
  let tell: (why: string) => void = () => {};
  const lost = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const log = openLog({ level: 'warn', destination: { write: (line) => tell(JSON.parse(line).why) } });
  const agent = await startAgent(hub(), [`${model.id}=rehearsal:`], {
    key: new Sealed(provider.key),
    tls: { ca: house.file, cert: undefined, key: undefined, ...tls },
    log,
  });
  try {
    return await Promise.race([agent.registered.then(() => 'registered'), lost]);
  } finally {
    await agent.close();
  }
}

describe('a market that speaks TLS', () => {
  test('streams an answer over https, from an agent that came by wss with its certificate', async () => {
    const model = market.aModel();
    const provider = await market.provider();
    const agent = await startAgent(hub(), [`${model.id}=rehearsal:tokens=40`], {
      key: new Sealed(provider.key),
      tls: { ca: house.file, ...(await house.sign('agent')) },
    });
    expect(await agent.registered).toMatchObject({ extension: true });
    const consumer = await market.consumer();
    const response = await request(`${url()}/v1/chat/completions`, {
      method: 'POST',
      dispatcher: trusting,
      headers: { authorization: `Bearer ${consumer.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: model.id, messages: HELLO, stream: true }),
    });
    expect(response.statusCode).toBe(200);
    const text = [...(await response.body.text()).matchAll(/"content":("(?:[^"\\]|\\.)*")/g)]
      .map(([, json]) => JSON.parse(json as string) as string)
      .join('');
    expect(text).toBe(rehearsedText(40));
    await agent.close();
  });

  test('a client that does not know the authority is not served', async () => {
    const asked = request(`${url()}/health`, { dispatcher: new Agent({ connect: { ca: stranger.pem } }) });
    await expect(asked).rejects.toThrow(/certificate|issuer/i);
  });

  test.each([
    ['none', async () => ({})],
    ['one that a stranger signed', () => stranger.sign('agent')],
    ['one that has expired', () => house.sign('late-agent', -1)],
  ])('an agent with no good certificate is turned away: %s', async (_which, files) => {
    expect(await tryOut(await files())).toMatch(/certificate|alert|ECONNRESET|socket hang up/i);
  });

  test('an agent that meets a hub under a strange authority does not give its key away', async () => {
    expect(await tryOut({ ca: stranger.file, ...(await house.sign('careful')) })).toMatch(
      /certificate|issuer/i,
    );
  });

  test('a socket that never begins its handshake does not hold up the stop', async () => {
    const second = await TestMarket.open({
      on: market,
      config: { tls: { ...here, hubClientCa: house.file } },
    });
    const mute = [second.ports.gateway, second.ports.hub].map((port) => connect(port, '127.0.0.1'));
    const cut = mute.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of mute) socket.on('error', () => {});
    await Promise.all(mute.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    await second.stop();
    expect(await Promise.all(cut)).toHaveLength(2);
    await second.close();
  });
});
