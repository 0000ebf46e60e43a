import type { GaugeReading } from './metrics.ts';

/** The newest batch of payouts, as it was when somebody last looked. */
export interface LastBatch {
  readonly state: 'pending' | 'submitted' | 'confirmed' | 'revoked';
  /** Wall milliseconds. */
  readonly madeAt: number;
}

const STATES = ['pending', 'submitted', 'confirmed', 'revoked'] as const;

/** Where settlement stands. Without a chain, or before the first batch, there is nothing to say. */
export function settlementGauges(parts: {
  wallMs: () => number;
  last: () => LastBatch | undefined;
}): GaugeReading[] {
  const { wallMs, last } = parts;
  return [
    {
      name: 'cygnet_settlement_state',
      help: '1 at the state of the newest batch of payouts.',
      labels: ['state'],
      read: () => {
        const batch = last();
        return batch ? STATES.map((state) => [{ state }, state === batch.state ? 1 : 0] as const) : [];
      },
    },
    {
      name: 'cygnet_settlement_age_seconds',
      help: 'Since the newest batch was made.',
      labels: [],
      read: () => {
        const batch = last();
        return batch ? [[{}, Math.max(0, wallMs() - batch.madeAt) / 1_000] as const] : [];
      },
    },
  ];
}
