/**
 * Classes of machines by the memory of one GPU, as the Swan market names them, and how fast each must answer. Pure data and
 * a look-up. What an agent says of its machine is a claim: claiming a higher class only means being measured against
 * harder terms.
 */
export type HardwareTier = 'S' | 'A' | 'B' | 'C' | 'unified' | 'rejected' | 'unknown';

/** What an agent says of its GPU, as `register` carries it. */
export interface StatedHardware {
  readonly gpu_type?: string | undefined;
  /** Of one GPU, in whole GiB rounded down; 0 and 1 when it is not known. */
  readonly vram_gb?: number | undefined;
}

const FLOORS: readonly (readonly [number, HardwareTier])[] = [
  [38, 'S'],
  [24, 'A'],
  [12, 'B'],
  [8, 'C'],
];
const UNIFIED_FLOOR_GB = 16;
/** Apple's chips (`m3_max`) share their memory with the processor. */
const APPLE = /^m\d+(_|$)/i;

/** How far a stated figure may fall short of what a card is sold with: 1 GB or 5 %, whichever is more. */
function vramToleranceGb(gb: number): number {
  return Math.max(1, gb * 0.05);
}

/** The class of a machine. A card sold with 24 GB may report 23. */
export function hardwareTier(hardware: StatedHardware | undefined): HardwareTier {
  const gb = hardware?.vram_gb ?? 0;
  if (gb <= 1) return 'unknown';
  const reaches = (floor: number): boolean => gb + vramToleranceGb(floor) >= floor;
  if (APPLE.test(hardware?.gpu_type ?? '')) return reaches(UNIFIED_FLOOR_GB) ? 'unified' : 'rejected';
  return FLOORS.find(([floor]) => reaches(floor))?.[1] ?? 'rejected';
}
