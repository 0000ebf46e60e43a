import type { TierName } from '#domain/tier.ts';

/**
 * The terms of a service level agreement, as data: what is promised to a customer with money behind it. Shares are whole
 * numbers (parts per million, basis points), because credits follow from them and are computed exactly.
 */
export interface SlaTerms {
  readonly name: string;
  /** Share of one-minute intervals that must be available in a calendar month, in parts per million. */
  readonly availabilityPpm: number;
  /**
   * A minute with traffic is unavailable when more than this share of its requests failed by our or a provider's fault, in
   * parts per million. One failed request among thousands is a matter of the objective for errors, not of availability.
   */
  readonly minuteFailsAbovePpm: number;
  /** Credit for each step, begun, below the target. */
  readonly availabilityCredit: { readonly stepPpm: number; readonly basisPoints: number };
  /** Credit for each run of at least so many consecutive hours whose p95 of the time to first token is above the target. */
  readonly latencyCredit: {
    readonly ttftP95Ms: number;
    readonly hours: number;
    readonly basisPoints: number;
    /** An hour with fewer requests proves nothing. */
    readonly requestsMin: number;
  };
  /** All credits of a month together. */
  readonly capBasisPoints: number;
  readonly maintenance: {
    /** Announced this long before it begins, or it excludes nothing. */
    readonly noticeMinutes: number;
    /** Excluded at most, per month. */
    readonly minutesMax: number;
  };
}

/** What Pro and Business customers are promised where no contract of their own says otherwise. */
export const STANDARD_SLA: SlaTerms = {
  name: 'standard-1',
  availabilityPpm: 999_000,
  minuteFailsAbovePpm: 50_000,
  availabilityCredit: { stepPpm: 1_000, basisPoints: 500 },
  latencyCredit: { ttftP95Ms: 1_500, hours: 3, basisPoints: 500, requestsMin: 20 },
  capBasisPoints: 2_500,
  maintenance: { noticeMinutes: 3 * 24 * 60, minutesMax: 4 * 60 },
};

/** Which terms an account has by the tier of its plan. Hobby is promised nothing that money stands behind. */
export const SLA_OF_TIER: Readonly<Record<TierName, SlaTerms | undefined>> = {
  hobby: undefined,
  pro: STANDARD_SLA,
  business: STANDARD_SLA,
};
