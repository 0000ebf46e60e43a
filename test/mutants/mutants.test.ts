import { describe, expect, test } from 'vitest';
import { EQUIVALENT, nameWithoutPlace } from './equivalent.ts';
import { mutantsOf } from './mutate.ts';
import { CONTRACTS, sourceOf, tryMutant } from './trial.ts';

// The short form: that the mutator makes what it says, and that a handful of its mutants, each of another kind, are killed.
// `npm run mutants` tries them all.

const all = CONTRACTS.flatMap((contract) => mutantsOf(contract, sourceOf(contract)));
const handful = [
  'if (total > available) revert NotFunded(total, available); → nothing',
  'amount < pledge.locked ? amount : pledge.locked → amount',
];

describe('mutants of the contracts', () => {
  test('are many, each of another name, and the same ones from the same source', () => {
    expect(all.length).toBeGreaterThanOrEqual(200);
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    for (const { contract, source } of all) expect(source).not.toBe(sourceOf(contract));
    expect(mutantsOf('TestToken', sourceOf('TestToken')).map(({ name }) => name)).toEqual(
      all.flatMap(({ name, contract }) => (contract === 'TestToken' ? [name] : [])),
    );
  });

  test('that are explained as equivalent exist', () => {
    const names = new Set(all.map(({ name }) => nameWithoutPlace(name)));
    expect(Object.keys(EQUIVALENT).filter((name) => !names.has(name))).toEqual([]);
  });

  test.each(handful)('are killed by a test: %s', { timeout: 300_000 }, async (change) => {
    const mutant = all.find(({ name }) => name.endsWith(change));
    if (!mutant) throw new Error('There is no such mutant any more: choose another.');
    expect(await tryMutant(mutant)).toEqual({ became: 'killed', by: expect.any(String) });
  });

  test('stay alive where nothing is changed', { timeout: 300_000 }, async () => {
    const contract = 'TestToken';
    const same = { name: 'none', contract, source: sourceOf(contract) };
    expect(await tryMutant(same)).toEqual({ became: 'alive' });
  });
});
