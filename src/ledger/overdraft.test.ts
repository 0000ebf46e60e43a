import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness, systemRandomness } from '#kit/random.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageOf } from '#support/records.ts';
import { audit } from './audit.ts';
import { Book } from './book.ts';
import { Holds } from './holds.ts';
import { hearRecalls, Leases } from './leases.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  await fresh.drop();
});

/** One gateway's worth of money handling, with connections of its own. */
async function openGateway(instance: string) {
  const database = fresh.another({ maxConnections: 4 });
  const makeId = idMaker(systemClock, systemRandomness);
  const leases = new Leases({ database: fresh.another({ maxConnections: 2 }), instance, makeId });
  // A busy machine may take its time; what is tested is what is answered, not how fast.
  const holds = new Holds({ store: leases, clock: systemClock, log: silentLog, storeWaitMs: 20_000 });
  const book = new Book({ database, instance, clock: systemClock, log: silentLog });
  const hearing = await hearRecalls({ database, instance }, (consumerId) => holds.recalled(consumerId));
  return {
    /** One request: reserve, serve, record, settle, post. */
    async serve(consumerId: string, price: bigint, charge: bigint) {
      const reply = await holds.reserve(consumerId, price);
      if (reply !== true) return reply;
      const record = usageOf({ id: makeId('req'), consumerId, charge });
      holds.settle(consumerId, price, charge);
      await book.post([record]);
      return true;
    },
    async close() {
      await holds.close();
      await hearing.stop();
    },
  };
}

test('200 requests at once in each of two processes, on a balance for three, serve three', async () => {
  const gateways = await Promise.all([openGateway('gw1'), openGateway('gw2')]);
  const book = new Book({ database: fresh.database, instance: 'x', clock: systemClock, log: silentLog });
  await book.grant('con_three', 300n, 'three');
  const replies = await Promise.all(
    gateways.flatMap((gateway) => Array.from({ length: 200 }, () => gateway.serve('con_three', 100n, 100n))),
  );
  let served = replies.filter((reply) => reply === true).length;
  expect(served).toBeLessThanOrEqual(3);
  expect(new Set(replies.filter((reply) => reply !== true))).toEqual(new Set(['short']));
  // What lay split between the two comes together when somebody needs it: the balance is usable to its end.
  for (let i = 0; i < 10 && served < 3; i++) {
    for (const gateway of gateways) if ((await gateway.serve('con_three', 100n, 100n)) === true) served += 1;
  }
  expect(served).toBe(3);
  await Promise.all(gateways.map((gateway) => gateway.close()));
  expect(await book.balance('con_three')).toEqual({ total: 0n, held: 0n, available: 0n });
  expect(await audit(fresh.database)).toMatchObject({ balanced: true, rejectedRecords: 0 });
});

test('whatever the sizes, two processes never charge more than the balance, and give the rest back', async () => {
  const gateways = await Promise.all([openGateway('gw3'), openGateway('gw4')]);
  const book = new Book({ database: fresh.database, instance: 'x', clock: systemClock, log: silentLog });
  let serial = 0;
  const request = fc.record({
    price: fc.bigInt({ min: 1n, max: 500n }),
    part: fc.bigInt({ min: 0n, max: 500n }),
  });
  const charges = new Map<string, { balance: bigint; charged: bigint }>();
  await fc.assert(
    fc.asyncProperty(
      fc.bigInt({ min: 1n, max: 2_000n }),
      fc.array(request, { minLength: 2, maxLength: 40 }),
      async (balance, requests) => {
        serial += 1;
        const consumer = `con_any_${serial}`;
        await book.grant(consumer, balance, consumer);
        let charged = 0n;
        const refusals = new Set<unknown>(['short']);
        await Promise.all(
          requests.map(async ({ price, part }, i) => {
            const charge = part < price ? part : price;
            const reply = await (gateways[i % 2] as (typeof gateways)[0]).serve(consumer, price, charge);
            if (reply === true) charged += charge;
            else refusals.add(reply);
          }),
        );
        expect(refusals).toEqual(new Set(['short']));
        expect(charged).toBeLessThanOrEqual(balance);
        expect((await book.balance(consumer)).total).toBe(balance - charged);
        charges.set(consumer, { balance, charged });
      },
    ),
    { numRuns: 12 },
  );
  await Promise.all(gateways.map((gateway) => gateway.close()));
  for (const [consumer, { balance, charged }] of charges) {
    const total = balance - charged;
    expect(await book.balance(consumer)).toEqual({ total, held: 0n, available: total });
  }
  expect(await audit(fresh.database)).toMatchObject({ balanced: true, rejectedRecords: 0 });
}, 60_000);

test('setting aside, charging and giving back collide on one account without an error', async () => {
  const gateways = await Promise.all(['gw5', 'gw6', 'gw7'].map(openGateway));
  const book = new Book({ database: fresh.database, instance: 'x', clock: systemClock, log: silentLog });
  const random = seededRandomness(5);
  const upTo = (most: number): bigint => BigInt(1 + Math.floor(random.float() * most));
  const replies = new Set<unknown>();
  for (let round = 0; round < 8; round++) {
    const consumers = [0, 1].map((n) => `con_busy_${round}_${n}`);
    for (const consumer of consumers) await book.grant(consumer, upTo(5_000), consumer);
    await Promise.all(
      Array.from({ length: 90 }, async (_, i) => {
        const price = upTo(500);
        const charge = upTo(Number(price));
        replies.add(await gateways[i % 3]?.serve(consumers[i % 2] as string, price, charge));
      }),
    );
  }
  // `unavailable` would be an error of the store.
  expect(replies).toEqual(new Set([true, 'short']));
  await Promise.all(gateways.map((gateway) => gateway.close()));
  expect(await audit(fresh.database)).toMatchObject({ balanced: true, rejectedRecords: 0 });
}, 60_000);
