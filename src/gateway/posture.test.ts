import { describe, expect, test } from 'vitest';
import { TIERS } from '#domain/tier.ts';
import type { ModelPosture } from '#reliability/posture.ts';
import type { Ask, Endpoint } from './endpoint.ts';
import { outputCap, postureHeaders, shed, standInPlace } from './posture.ts';

const posture: ModelPosture = {
  outputTokensMax: { hobby: 256 },
  promptTokensMax: { hobby: 2_048, pro: 16_384 },
  avoidRegions: [],
  fallbackModel: 'small',
  because: ['x'],
};
const ask = { model: 'm', stream: false, n: 1, promptBytes: 9_000 } as Ask;
const words = { textBytes: (each: Ask) => each.promptBytes } as unknown as Endpoint;
const vectors = {} as Endpoint;

describe('while something is wrong', () => {
  test('Hobby answers are capped and long prompts wait; paid tiers have more room', () => {
    expect([outputCap(posture, 'hobby'), outputCap(posture, 'pro')]).toEqual([256, undefined]);
    expect(shed(posture, { endpoint: words, ask, tier: 'hobby' })).toMatchObject({ code: 'prompt-shed' });
    expect(shed(posture, { endpoint: words, ask, tier: 'pro' })).toBeUndefined();
    const huge = { ...ask, promptBytes: 70_000 };
    expect(shed(posture, { endpoint: words, ask: huge, tier: 'pro' })).toMatchObject({ retryAfterS: 60 });
  });

  test('the smaller model takes Hobby off the large one, comes after it for Pro, and never for Business', () => {
    expect(standInPlace(words, ask, TIERS.hobby.smallerModel)).toBe('before');
    expect(standInPlace(words, ask, TIERS.pro.smallerModel)).toBe('after');
    expect(standInPlace(words, ask, TIERS.business.smallerModel)).toBe('never');
  });

  test('no other model makes the vectors, and who refuses fallbacks gets none', () => {
    expect(standInPlace(vectors, ask, 'before')).toBe('never');
    const routing = { preferences: { allowFallbacks: false } } as Ask['routing'];
    expect(standInPlace(words, { ...ask, routing }, 'before')).toBe('never');
  });

  test('the answer says what was different, and nothing otherwise', () => {
    const said = postureHeaders({ standsIn: 'small', cap: 256 });
    expect(said.join(' ')).toBe('x-cygnet-served-model small x-cygnet-output-tokens-max 256');
    expect(postureHeaders({ standsIn: undefined, cap: undefined })).toEqual([]);
  });
});

test('without a posture nothing is different', () => {
  expect(outputCap(undefined, 'hobby')).toBeUndefined();
  expect(shed(undefined, { endpoint: words, ask, tier: 'hobby' })).toBeUndefined();
});
