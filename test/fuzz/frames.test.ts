import { expect, test } from 'vitest';
import { fuzzFrames } from './frames.ts';

const LIVES = 5;
const FRAMES = 50_000;

test.each([
  ['swan', 1],
  ['stream', 2],
] as const)(
  'a session of the %s dialect survives 250,000 random frames with nothing left over',
  { timeout: 1_200_000 },
  async (dialect, seed) => {
    for (let life = 0; life < LIVES; life++) {
      const { attempts, completed } = await fuzzFrames(seed + life * 2, dialect, FRAMES);
      expect(attempts).toBeGreaterThan(500);
      expect(completed).toBeGreaterThan(0);
    }
  },
);
