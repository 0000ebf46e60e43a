import type { Asset } from './asset.ts';
import { PICO_PER_USD } from './money.ts';

/**
 * What a provider pledges to be let in, by the class of its strongest machine: data. Any asset will do, and parts of
 * several add up. Amounts are in the asset's smallest unit.
 */
export type HardwareClass = 'basic' | 'standard' | 'advanced' | 'datacentre' | 'flagship';

const STABLE = 20n * 1_000_000n;
const SWAN = 10n ** 18n;

export const COLLATERAL_REQUIRED: Readonly<Record<HardwareClass, Readonly<Record<Asset, bigint>>>> = {
  basic: of(5_000n),
  standard: of(5_000n),
  advanced: of(10_000n),
  datacentre: of(25_000n),
  flagship: of(50_000n),
};

function of(swan: bigint): Readonly<Record<Asset, bigint>> {
  return { USDC: STABLE, USDT: STABLE, USD: 20n * PICO_PER_USD, SWAN: swan * SWAN };
}

const CLASSES: readonly [RegExp, HardwareClass][] = [
  [/\b(H100|H200|B100|B200|GH200)\b/i, 'flagship'],
  [/\bA100\b/i, 'datacentre'],
  [/\b(4090|5090|A5000|A6000|L40S?|6000 ADA)\b/i, 'advanced'],
  [/\b(3090|A4000|4080|5080)\b/i, 'standard'],
];

/** The class of a GPU by its name; `basic` for one that is not listed, and for none. */
export function hardwareClass(gpu: string | undefined): HardwareClass {
  return CLASSES.find(([name]) => name.test(gpu ?? ''))?.[1] ?? 'basic';
}

const CLASS_ORDER: readonly HardwareClass[] = ['basic', 'standard', 'advanced', 'datacentre', 'flagship'];

/** The class of the strongest of these GPUs. */
export function strongestClass(gpus: readonly (string | undefined)[]): HardwareClass {
  const most = Math.max(0, ...gpus.map((gpu) => CLASS_ORDER.indexOf(hardwareClass(gpu))));
  return CLASS_ORDER[most] as HardwareClass;
}

/** How much of what is required is at work, in basis points; 10,000 and more is enough. */
export function coverage(
  locked: Iterable<{ readonly asset: Asset; readonly locked: bigint }>,
  required: Readonly<Record<Asset, bigint>>,
): bigint {
  let sum = 0n;
  for (const pledge of locked) sum += (pledge.locked * 10_000n) / required[pledge.asset];
  return sum;
}
