import { expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import type { CatalogueModel } from './market.ts';
import { MarketPins } from './market-pins.ts';

const model = (requirements?: Record<string, unknown>): CatalogueModel => ({
  id: 'org/Model-A',
  slug: 'model-a',
  requirements,
});
const found = () => Promise.resolve({ engine: 'ollama' });

test('a model that is not as its market pins it is not offered, by its id or its short name, and the reason is told', async () => {
  const pins = new MarketPins({
    read: () => Promise.resolve([model({ engine: 'vllm', min_vram_gb: 24 })]),
    log: silentLog,
  });
  expect(await pins.unmet('org/Model-A', found)).toEqual([]);
  expect(await pins.look()).toBe(true);
  const reasons = [
    'The market wants it otherwise. The engine is ollama, and vllm is pinned.',
    'The market wants it otherwise. GPU memory is not known, and at least 24 GiB is pinned.',
  ];
  expect(await pins.unmet('org/Model-A', found)).toEqual(reasons);
  expect(await pins.unmet('model-a', found)).toEqual(reasons);
  expect(await pins.unmet('other/model', found)).toEqual([]);
  expect(await pins.look()).toBe(false);
});

test('a pin from tomorrow, or one that means nothing here, counts as not met', async () => {
  const pins = new MarketPins({
    read: () => Promise.resolve([model({ engine: 'ollama', phase_of_moon: 'full', min_vram_gb: 'much' })]),
    log: silentLog,
  });
  await pins.look();
  expect(await pins.unmet('model-a', found)).toEqual([
    expect.stringContaining('phase_of_moon is pinned, and this version of the agent cannot check it.'),
    expect.stringContaining('min_vram_gb is pinned'),
  ]);
});

test('while the catalogue cannot be read, what was read last holds', async () => {
  let answers = true;
  const pins = new MarketPins({
    read: () =>
      answers
        ? Promise.resolve([model({ engine: 'vllm' })])
        : Promise.reject(new Error('The market is away.')),
    log: silentLog,
  });
  await pins.look();
  answers = false;
  expect(await pins.look()).toBe(false);
  expect(await pins.unmet('model-a', found)).toHaveLength(1);
});
