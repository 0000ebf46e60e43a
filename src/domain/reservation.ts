/**
 * Places at a model that are kept for one consumer. Either a number of requests at once, or a share of what the model's
 * providers can do at the moment.
 */
export interface Reservation {
  readonly id: string;
  readonly consumerId: string;
  readonly modelId: string;
  readonly slots: number | null;
  /** Basis points of all places. */
  readonly share: number | null;
  /** After so many seconds without a request of the consumer the places are lent out; null: never. */
  readonly releaseIdleS: number | null;
}

/** How many requests at once it is for, where the model has `places` in all. A share is rounded up: one place is none too many. */
export function slotsOf({ slots, share }: Pick<Reservation, 'slots' | 'share'>, places: number): number {
  return slots ?? Math.ceil((places * (share ?? 0)) / 10_000);
}
