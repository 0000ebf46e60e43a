import { z } from 'zod';

/**
 * What a provider's pages are told beside `dashboard.ts`: earnings as a statement, benchmarks, wallets, collateral, and what
 * service levels charged. Amounts of tokens are texts in the token's smallest unit, dollars are decimal texts.
 */
const count = z.number().int().nonnegative();
const time = z.iso.datetime();
const money = z.string().regex(/^-?\d+(\.\d+)?$/);
const units = z.string().regex(/^\d+$/);
const envelope = <T extends z.ZodType>(data: T) =>
  z.strictObject({ code: z.literal(0), msg: z.string(), data });

export const earningsStatementAnswer = z.strictObject({
  period: z.enum(['day', 'week', 'month']),
  from: z.iso.date(),
  to: z.iso.date(),
  total_earned_usd: money,
  /** A row for each period and model in which there was something: `2026-11-26`, `2026-W48` or `2026-11`. */
  earnings: z.array(
    z.strictObject({
      period: z.string(),
      model: z.string(),
      requests: count,
      input_tokens: count,
      output_tokens: count,
      paid_by_consumers_usd: money,
      earned_usd: money,
    }),
  ),
});

const marks = z.strictObject({ right: count, asked: count });
export const benchmarksAnswer = envelope(
  z.strictObject({
    mode: z.enum(['off', 'watch', 'enforce']),
    valid_days: z.number(),
    nodes: z.array(
      z.strictObject({
        node_id: z.string(),
        model_id: z.string(),
        passed: z.boolean(),
        because: z.string(),
        passed_at: time.nullable(),
        valid_until: time.nullable(),
        withheld_until: time.nullable(),
      }),
    ),
    runs: z.array(
      z.strictObject({
        id: z.string(),
        node_id: z.string(),
        model_id: z.string(),
        at: time,
        passed: z.boolean(),
        math: marks,
        code: marks,
        ttft_ms: count.nullable(),
        tokens_per_second: z.number().nonnegative(),
        hardware_tier: z.string(),
        shortcomings: z.array(z.string()),
        follows: z.string().nullable(),
        failures_in_a_row: count,
        withheld_until: time.nullable(),
        appeal: z.enum(['granted', 'rejected']).nullable(),
        appeal_asked: z.boolean(),
      }),
    ),
    /** Whether nodes answer ordinary prompts like the other providers' nodes of their model. */
    likeness: z.strictObject({
      mode: z.enum(['off', 'watch', 'enforce']),
      nodes: z.array(
        z.strictObject({
          node_id: z.string(),
          model_id: z.string(),
          alike: count,
          unlike: count,
          unclear: count,
          last_at: time,
          ttft_ms: count.nullable(),
          state: z.enum(['like', 'unlike']),
          because: z.string(),
          until: time.nullable(),
        }),
      ),
      findings: z.array(
        z.strictObject({
          id: z.string(),
          node_id: z.string(),
          model_id: z.string(),
          found_at: time,
          until: time,
          checks: count,
          unlike: count,
          because: z.string(),
          ended: z
            .strictObject({ at: time, as: z.enum(['mended', 'cleared', 'expired']), because: z.string() })
            .nullable(),
        }),
      ),
    }),
  }),
);

const walletStanding = {
  owner_address: z.string(),
  payout_address: z.string(),
  /** Proven, and in force only from `next_payout_from` on. */
  next_payout_address: z.string(),
  next_payout_from: time.nullable(),
};
export const walletAnswer = envelope(z.strictObject(walletStanding));
export const walletChallengeAnswer = envelope(
  z.strictObject({ nonce: z.string(), message: z.string(), expires_at: time }),
);
export const walletProofAnswer = envelope(
  z.strictObject({ purpose: z.enum(['owner', 'beneficiary']), address: z.string(), ...walletStanding }),
);

const collateralDeposit = z.strictObject({
  id: z.string(),
  method: z.string(),
  asset: z.string().nullable(),
  /** Of tokens in the smallest unit, of dollars in pico-dollars; null while it is not known. */
  amount: units.nullable(),
  chain_id: count.nullable(),
  tx_hash: z.string().nullable(),
  status: z.string(),
  reason: z.string().nullable(),
  created_at: time,
});
export const collateralAnswer = envelope(
  z.strictObject({
    required: z.boolean(),
    hardware_class: z.string(),
    covered_percent: z.number().nonnegative(),
    enough: z.boolean(),
    pledges: z.array(
      z.strictObject({
        asset: z.string(),
        deposited: units,
        locked: units,
        waiting: units,
        slashed: units,
        refunded: units,
        refundable_at: time.nullable(),
        status: z.enum(['refund_requested', 'confirmed', 'refunded', 'slashed']),
      }),
    ),
    deposits: z.array(collateralDeposit),
  }),
);
export const collateralDepositAnswer = envelope(collateralDeposit);

export const slaChargesAnswer = z.strictObject({
  charges: z.array(
    z.strictObject({
      finding: z.string(),
      month: z.string(),
      at: time,
      minutes: count,
      share_usd: money,
      taken_usd: money,
      appeal: z.string().nullable(),
      appeal_reason: z.string().nullable(),
      appeal_asked: z.string().nullable(),
      appeal_asked_at: time.nullable(),
      appeal_until: time,
    }),
  ),
});

export type EarningsStatementAnswer = z.output<typeof earningsStatementAnswer>;
export type BenchmarksAnswer = z.output<typeof benchmarksAnswer>;
export type WalletAnswer = z.output<typeof walletAnswer>;
export type WalletChallengeAnswer = z.output<typeof walletChallengeAnswer>;
export type WalletProofAnswer = z.output<typeof walletProofAnswer>;
export type CollateralAnswer = z.output<typeof collateralAnswer>;
export type CollateralDepositAnswer = z.output<typeof collateralDepositAnswer>;
export type SlaChargesAnswer = z.output<typeof slaChargesAnswer>;
