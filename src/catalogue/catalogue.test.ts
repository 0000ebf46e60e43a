import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Amounts, priceOf } from '#domain/price.ts';
import { silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { CatalogueView } from './models.ts';
import { priceHistory, priceOutOfBounds, setPrice, suspiciousChange } from './prices.ts';
import { readCatalogueFile, seedCatalogue } from './seed.ts';

const catalogue = readCatalogueFile();
const start = Date.UTC(2026, 11, 1);
const clock = new VirtualClock(start);
let fresh: FreshDatabase;
let view: CatalogueView;

beforeAll(async () => {
  fresh = await freshDatabase();
  await seedCatalogue(fresh.database, { catalogue, at: start });
  view = await CatalogueView.open({ database: fresh.database, clock, log: silentLog });
});
afterAll(async () => {
  await view.close();
  await fresh.drop();
});

/** How long a loaded machine may take over it: nothing but the announcement would change the answer within this time. */
const announced = { timeout: 15_000, interval: 5 };
const tokens = (inputPico: bigint, outputPico = inputPico): Amounts => ({
  unit: 'token',
  inputPico,
  outputPico,
});
let made = 0;
const set = (
  modelId: string,
  amounts: Amounts,
  more: Partial<Parameters<typeof setPrice>[1]> = {},
): ReturnType<typeof setPrice> =>
  setPrice(fresh.database, {
    id: `price_${made++}`,
    modelId,
    amounts,
    effectiveFrom: clock.wallMs(),
    source: 'operator',
    forced: false,
    at: clock.wallMs(),
    ...more,
  });

describe('the catalogue we ship', () => {
  test('is on sale, every model at its price', () => {
    expect(view.list()).toHaveLength(catalogue.models.length);
    const nano = view.resolve('cygnet-nano');
    expect(nano?.id).toBe('cygnet/cygnet-nano');
    expect(priceOf({ inputTokens: 3, outputTokens: 2 }, nano!.price)).toBe(3n * 50_000n + 2n * 200_000n);
  });

  test('answers to id, slug and alias, and to nothing else', () => {
    for (const model of catalogue.models) {
      for (const name of [model.id, model.slug, ...model.aliases])
        expect(view.resolve(name)?.id).toBe(model.id);
    }
    expect(view.resolve('CYGNET/CYGNET-NANO')).toBeUndefined();
    expect(view.resolve('')).toBeUndefined();
    expect(view.resolve('__proto__')).toBeUndefined();
  });

  test('is added once, however often and by however many it is seeded', async () => {
    const again = await Promise.all(
      [1, 2, 3].map(() => seedCatalogue(fresh.another(), { catalogue, at: start + 5_000 })),
    );
    expect(again).toEqual([1, 2, 3].map(() => ({ models: 0, prices: 0 })));
  });

  test('leaves a price that the operator set, and brings a request price in pico-dollars', async () => {
    const image = catalogue.models.find((model) => model.price.unit === 'request')!;
    expect(view.resolve(image.id)?.price).toMatchObject({
      requestPico: (image.price as { microUsdPerRequest: bigint }).microUsdPerRequest * 1_000_000n,
    });
    await set(image.id, { unit: 'request', requestPico: 5_000_000_000n });
    await seedCatalogue(fresh.database, { catalogue, at: start + 10_000 });
    await expect
      .poll(() => view.resolve(image.id)?.price, announced)
      .toMatchObject({ requestPico: 5_000_000_000n });
    expect(await priceHistory(fresh.database, { modelId: image.id, limit: 10 })).toHaveLength(2);
  });
});

describe('a price', () => {
  test('of the future takes effect at its instant and not before', async () => {
    const { id } = view.resolve('cygnet-nano')!;
    const before = view.resolve(id)!.price;
    const effectiveFrom = clock.wallMs() + 60_000;
    expect(await set(id, tokens(70_000n), { id: 'price_future', effectiveFrom })).toBe('set');
    // A change made after it has been seen proves that the future price has been as well.
    await fresh.database.sql`update models set name = 'Renamed' where id = ${id}`;
    await expect.poll(() => view.resolve(id)?.name, announced).toBe('Renamed');
    await clock.advance(59_999);
    expect(view.resolve(id)?.price).toEqual(before);
    await clock.advance(1);
    expect(view.resolve(id)?.price).toEqual({ id: 'price_future', ...tokens(70_000n) });
    expect(view.list().find((model) => model.id === id)?.price.id).toBe('price_future');
    clock.jumpWall(-10_000);
    expect(view.resolve(id)?.price).toEqual(before);
    clock.jumpWall(10_000);
  });

  test('is never changed or taken away', async () => {
    const { sql } = fresh.database;
    await expect(sql`update prices set input_pico = 1`).rejects.toThrow('history');
    await expect(sql`delete from prices`).rejects.toThrow('history');
    await expect(sql`truncate prices cascade`).rejects.toThrow('history');
  });

  test('is refused with a reason when it is a slip of the hand', async () => {
    const id = catalogue.models.find(
      (model) => model.price.unit === 'token' && model.price.inputMicroUsdPerMillion === 10_000n,
    )!.id;
    const refusal = async (answer: ReturnType<typeof setPrice>) =>
      ((await answer) as { refused: string }).refused;
    expect(await refusal(set(id, tokens(-1n)))).toContain('negative');
    expect(await refusal(set(id, tokens(1_000_000_001n), { forced: true }))).toContain('above $1,000');
    expect(await refusal(set(id, tokens(50_000_000n)))).toContain('a hundred times');
    expect(await refusal(set(id, { unit: 'request', requestPico: 1n }))).toContain('by the token');
    expect(await refusal(set(id, tokens(1n), { effectiveFrom: clock.wallMs() - 1 }))).toContain('past');
    expect(await refusal(set('nobody/nothing', tokens(1n)))).toContain('not in the catalogue');
    expect(await set(id, tokens(50_000_000n), { forced: true, id: 'price_forced' })).toBe('set');
    expect(await set(id, tokens(50_000_000n), { forced: true, id: 'price_forced' })).toBe('known');
    expect(await refusal(set(id, tokens(50_000_001n)))).toContain('very instant');
  });

  test('within the bounds is never refused for its size, and a small change never for its step', () => {
    const pico = fc.bigInt(0n, 1_000_000_000n);
    fc.assert(
      fc.property(pico, pico, (input, output) => {
        expect(priceOutOfBounds(tokens(input, output))).toBeUndefined();
        expect(suspiciousChange(tokens(input, output), tokens(input, output))).toBeUndefined();
        expect(suspiciousChange(tokens(input, output), tokens(input * 100n, output))).toBeUndefined();
        expect(suspiciousChange(tokens(input), tokens(input * 101n + 1n))).toBeDefined();
        expect(suspiciousChange(tokens(input * 101n + 1n), tokens(input))).toBeDefined();
      }),
    );
  });
});

test('a model that is switched off is no longer on sale, as announced', async () => {
  const { id } = view.list()[5]!;
  await fresh.database.sql`update models set active = false where id = ${id}`;
  await expect.poll(() => view.resolve(id), announced).toBeUndefined();
});
