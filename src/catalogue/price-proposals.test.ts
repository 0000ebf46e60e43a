import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '#db/database.ts';
import type { Amounts } from '#domain/price.ts';
import { systemRandomness } from '#kit/random.ts';
import { Crash, dyingDatabase } from '#support/mortal.ts';
import { makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { PriceProposals } from './price-proposals.ts';
import { priceHistory, setPrice } from './prices.ts';
import { readCatalogueFile, seedCatalogue } from './seed.ts';

const START = Date.UTC(2026, 11, 1);
const MODEL = 'cygnet/cygnet-nano';
const amounts: Amounts = { unit: 'token', inputPico: 50_001n, outputPico: 200_001n };
const clock = new VirtualClock(START);
let fresh: FreshDatabase;

beforeAll(async () => {
  fresh = await freshDatabase();
  await seedCatalogue(fresh.database, { catalogue: readCatalogueFile(), at: START });
});
afterAll(async () => {
  await fresh.drop();
});
beforeEach(async () => {
  await clock.advance(3_600_000);
});

const proposalsOn = (database: Database = fresh.database): PriceProposals =>
  new PriceProposals({ database, clock, makeId, random: systemRandomness });
const prices = async (): Promise<number> =>
  (await priceHistory(fresh.database, { modelId: MODEL, limit: 100 })).length;

async function proposed() {
  const made = await proposalsOn().propose({
    modelId: MODEL,
    amounts,
    effectiveFrom: undefined,
    forced: false,
    actor: 'op',
  });
  if ('refused' in made) throw new Error(made.refused);
  return { id: made.proposal.id, token: made.token };
}

describe('confirming a price', () => {
  test('that dies after any statement leaves the proposal waiting, and the next one sets the price once', async () => {
    const which = await proposed();
    const before = await prices();
    const confirmUntil = async (after: number): Promise<unknown> =>
      await proposalsOn(dyingDatabase(fresh.database, after))
        .confirm(which)
        .catch((error: unknown) => error);
    let died = 0;
    let answer = await confirmUntil(0);
    for (; answer instanceof Crash; answer = await confirmUntil(died)) {
      died += 1;
      expect(await prices()).toBe(before);
      expect((await proposalsOn().waiting()).map(({ id }) => id)).toContain(which.id);
    }
    expect(answer).toMatchObject({ modelId: MODEL });
    expect(died).toBeGreaterThan(5);
    expect(await prices()).toBe(before + 1);
    const [row] = await fresh.database.sql`
      select decision, price_id is not null as priced from price_proposals where id = ${which.id}`;
    expect(row).toMatchObject({ decision: 'confirmed', priced: true });
    expect(await proposalsOn().confirm(which)).toBe('unknown');
  });

  test('by eight at once sets one price', async () => {
    const which = await proposed();
    const before = await prices();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => proposalsOn(fresh.another({ maxConnections: 1 })).confirm(which)),
    );
    expect(answers.filter((each) => each === 'unknown')).toHaveLength(7);
    expect(await prices()).toBe(before + 1);
  });

  test('that is refused leaves the proposal waiting', async () => {
    const which = await proposed();
    const set = { id: makeId('price'), modelId: MODEL, source: 'test', at: clock.wallMs() };
    await setPrice(fresh.database, { ...set, amounts, effectiveFrom: clock.wallMs(), forced: false });
    expect(await proposalsOn().confirm(which)).toMatchObject({
      refused: 'Another price begins at that very instant.',
    });
    await clock.advance(1);
    expect(await proposalsOn().confirm(which)).toMatchObject({ modelId: MODEL });
  });

  test('takes the right word, in time', async () => {
    const which = await proposed();
    const other = await proposed();
    expect(await proposalsOn().confirm({ id: which.id, token: other.token })).toBe('unknown');
    await clock.advance(900_000);
    expect(await proposalsOn().confirm(which)).toBe('expired');
  });
});
