import type { Chance } from './chance.ts';

/** Every kind of fault of the surroundings, beside the behaviours of agents and clients. */
export const FAULTS = [
  'process-killed',
  'machine-lost',
  'process-stopped',
  'killed-near-a-write',
  'disk-stalls',
  'disk-fails-append',
  'disk-fails-sync',
  'disk-fails-create',
  'store-stalls',
  'store-away',
  'store-answer-unheard',
  'store-refuses',
  'link-cut',
  'link-black-hole',
  'link-socket-full',
  'node-stops',
  'node-reconnects',
  'node-drains',
  'node-falls-silent',
  'node-health-flaps',
  'impostor',
  'provider-suspended',
  'provider-key-revoked',
  'consumer-key-revoked',
  'price-changes',
  'wall-clock-jumps',
  'counting-hangs',
  'counting-dies',
  'credit-arrives',
] as const;
export type FaultKind = (typeof FAULTS)[number];

/** How often each happens, in a virtual second, when it happens at all in a world. */
const PER_SECOND: Readonly<Record<FaultKind, number>> = {
  'process-killed': 0.15,
  'machine-lost': 0.1,
  'process-stopped': 0.1,
  'killed-near-a-write': 0.25,
  'disk-stalls': 0.3,
  'disk-fails-append': 0.04,
  'disk-fails-sync': 0.04,
  'disk-fails-create': 0.04,
  'store-stalls': 0.2,
  'store-away': 0.08,
  'store-answer-unheard': 0,
  'store-refuses': 0,
  'link-cut': 0.6,
  'link-black-hole': 0.1,
  'link-socket-full': 0.3,
  'node-stops': 0.2,
  'node-reconnects': 0.5,
  'node-drains': 0.15,
  'node-falls-silent': 0.05,
  'node-health-flaps': 0.5,
  impostor: 0.1,
  'provider-suspended': 0.05,
  'provider-key-revoked': 0.03,
  'consumer-key-revoked': 0.05,
  'price-changes': 0.4,
  'wall-clock-jumps': 0.2,
  'counting-hangs': 0,
  'counting-dies': 0,
  'credit-arrives': 0.5,
};

/**
 * Which faults this world knows and how often they come. Every world leaves some out and exaggerates others: a fault that
 * always happens hides what only its absence would show.
 */
export function drawRates(chance: Chance): Readonly<Partial<Record<FaultKind, number>>> {
  const rates: Partial<Record<FaultKind, number>> = {};
  for (const kind of FAULTS) {
    if (chance.yes(0.35)) continue;
    rates[kind] = PER_SECOND[kind] * chance.one([0.3, 1, 1, 3]);
  }
  return rates;
}
