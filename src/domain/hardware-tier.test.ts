import { expect, test } from 'vitest';
import { type HardwareTier, hardwareTier } from './hardware-tier.ts';

test.each<[string, number | undefined, string | undefined, HardwareTier]>([
  ['an H100', 79, 'H100', 'S'],
  ['an L40S that reports 45', 45, 'L40S', 'S'],
  ['38 GB less what rounding takes', 37, 'X', 'S'],
  ['a 4090 that reports 23', 23, 'RTX 4090', 'A'],
  ['a 3090 that reports 24', 24, 'RTX 3090', 'A'],
  ['a card between two classes', 20, 'RTX 4000', 'B'],
  ['a 3080 Ti that reports 11', 11, 'RTX 3080 Ti', 'B'],
  ['an 8 GB card that reports 7', 7, 'RTX 4060', 'C'],
  ['a 6 GB card', 6, 'RTX 2060', 'rejected'],
  ['a Mac with 16 GB', 16, 'm2', 'unified'],
  ['a large Mac', 128, 'm3_max', 'unified'],
  ['a small Mac', 8, 'm1', 'rejected'],
  ['a machine that says 0', 0, 'X', 'unknown'],
  ['unified memory as old agents report it', 1, 'GB10', 'unknown'],
  ['a machine that says nothing', undefined, undefined, 'unknown'],
])('%s is of its class', (_what, vram, type, tier) => {
  expect(hardwareTier({ vram_gb: vram, gpu_type: type })).toBe(tier);
});
