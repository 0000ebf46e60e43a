import { connect, type Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chat, streamBody } from '#support/hostile-client.ts';
import { type HostileMarket, openHostileMarket, PLAIN_MODEL } from '#support/hostile-market.ts';
import { Chance } from '../sim/chance.ts';
import { type Attack, carryOut, nextAttack, statusesIn } from './sockets.ts';

// Attacks on the doors of a whole market, by the bytes. `npm run fuzz:sockets` makes a million of them.

const ATTACKS = Number(process.env['CYGNET_FUZZ_REQUESTS'] ?? 2_000);
const SEED = Number(process.env['CYGNET_FUZZ_SEED'] ?? 1);
const AT_ONCE = 24;
const SLOW_CLIENTS = 100;
const LOOK_EVERY = 1_000;

let house: HostileMarket;
beforeAll(async () => {
  house = await openHostileMarket({
    consumers: 2,
    credit: '100000',
    config: { limits: { headTimeoutMs: 600_000, bodyTimeoutMs: 600_000 } },
  });
  await house.swan(0, { generation: 'C' });
});
afterAll(() => house.close());

/** What an attack must not get. */
function verdict({ kind, ambiguous, port }: Attack, heard: string): string | undefined {
  const statuses = statusesIn(heard).filter((status) => status >= 200);
  // 502: a request that no agent could serve. 503: one that none serves.
  const failed = statuses.find((status) => status >= 500 && status !== 502 && status !== 503);
  if (failed !== undefined) return `${kind} at the ${port}: ${failed}`;
  if (/^x-injected/im.test(heard)) return `${kind}: a header was injected`;
  if (ambiguous && statuses.length > 1) return 'a second request was found in an ambiguous one';
  if (ambiguous && statuses.some((status) => status < 400)) return 'an ambiguous request was served';
  return undefined;
}

test('attacks on the sockets of a market fail, and its customers notice nothing', {
  timeout: 3_600_000,
}, async () => {
  const ports = { gateway: house.market.gatewayPort, hub: house.market.hubPort };
  const chance = new Chance(SEED).stream('sockets');
  const doors = { key: house.consumers[1]?.key ?? '', model: PLAIN_MODEL };
  const broke: string[] = [];
  const kinds = new Map<string, number>();
  let begun = 0;
  const stage = { over: false };
  const bugs: string[] = [];
  const residentMb: number[] = [];
  /** Looks through what was logged since the last time and lets it go, so that the memory is the market's and not the test's. */
  const look = (): void => {
    bugs.push(...house.log.splice(0).filter((line) => line.includes('met a bug')));
    residentMb.push(Math.round(process.memoryUsage().rss / 1_048_576));
  };

  // Clients that say the half of a request and then nothing, for as long as it takes.
  const slow: Socket[] = Array.from({ length: SLOW_CLIENTS }, (_, i) => {
    const socket = connect(ports.gateway, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${i % 2 === 0 ? 'x' : doors.key}\r\nContent-Length: 1000\r\n${i % 3 === 0 ? '' : '\r\n{'}`,
    );
    return socket;
  });
  const stall = monitorEventLoopDelay({ resolution: 5 });
  stall.enable();
  const customers = Array.from({ length: 4 }, async () => {
    let answers = 0;
    while (!stage.over) {
      const answer = await chat({
        baseUrl: house.baseUrl,
        key: house.consumers[0]?.key ?? '',
        body: streamBody(PLAIN_MODEL),
      });
      if (answer.ending !== 'done' || answer.text !== 'one two three')
        broke.push(`a customer got ${answer.body}`);
      answers += 1;
    }
    return answers;
  });
  const attackers = Array.from({ length: AT_ONCE }, async () => {
    while (begun < ATTACKS && broke.length === 0) {
      begun += 1;
      if (begun % LOOK_EVERY === 0) look();
      const each = nextAttack(chance, doors);
      kinds.set(each.kind, (kinds.get(each.kind) ?? 0) + 1);
      const heard = await carryOut(each, ports);
      const found = verdict(each, heard);
      if (found !== undefined)
        broke.push(
          `seed ${SEED}: ${found}\n${Buffer.concat(each.pieces).toString('latin1').slice(0, 1_500)}\n→ ${heard.slice(0, 1_500)}`,
        );
    }
  });
  await Promise.all(attackers);
  stage.over = true;
  const answers = (await Promise.all(customers)).reduce((sum, each) => sum + each, 0);
  stall.disable();
  for (const socket of slow) socket.destroy();

  expect(broke).toEqual([]);
  expect(kinds.size).toBe(10);
  expect(answers).toBeGreaterThan(4);
  await house.idle();
  look();
  expect(bugs).toEqual([]);
  expect(house.market.hub.counters.internalErrors).toBe(0);
  expect(house.market.hub.registry.inFlight).toBe(0);
  process.stdout.write(
    `${ATTACKS} attacks (seed ${SEED}), ${answers} answers to customers; event loop stall p99 ${(stall.percentile(99) / 1e6).toFixed(0)} ms, most ${(stall.max / 1e6).toFixed(0)} ms; ${residentMb[0]} MiB after ${LOOK_EVERY} attacks, ${residentMb.at(-1)} at the end, ${Math.max(...residentMb)} at most\n`,
  );
});
