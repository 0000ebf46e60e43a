/** Counts of one phase, filled request by request (`exact.ts`) or in parts of requests (`fluid.ts`). */
export interface Tally {
  readonly name: string;
  asked: number;
  /** Given to a node. */
  taken: number;
  /** Of those: by the home cell; by the cell that the request entered; by another of its region; further away. */
  inHome: number;
  inEntry: number;
  inRegion: number;
  far: number;
  /** Not served, by why. */
  noRoom: number;
  unreached: number;
  noLease: number;
  short: number;
  /** Under way when the region was lost, by what became of them: ended there, free of charge; or taken over by another node. */
  broken: number;
  movedOn: number;
  /** Requests by milliseconds of added latency. */
  readonly addedMs: Float64Array;
  /** Requests by entry cell and serving cell, `entry * cells + serving`. */
  readonly pairs: Float64Array;
  /** By cell: slots taken and slots there, summed over looks. */
  readonly used: Float64Array;
  readonly there: Float64Array;
}

const LATENCY_MAX_MS = 2_000;

export function newTally(name: string, cells: number): Tally {
  return {
    name,
    asked: 0,
    taken: 0,
    inHome: 0,
    inEntry: 0,
    inRegion: 0,
    far: 0,
    noRoom: 0,
    unreached: 0,
    noLease: 0,
    short: 0,
    broken: 0,
    movedOn: 0,
    addedMs: new Float64Array(LATENCY_MAX_MS),
    pairs: new Float64Array(cells * cells),
    used: new Float64Array(cells),
    there: new Float64Array(cells),
  };
}

export function noteAdded(tally: Tally, ms: number, count = 1): void {
  tally.addedMs[Math.min(LATENCY_MAX_MS - 1, Math.round(ms))]! += count;
}

/** The added latency in milliseconds that a part `share` of the requests does not exceed. */
export function addedAt({ addedMs }: Tally, share: number): number {
  const wanted = addedMs.reduce((a, b) => a + b, 0) * share;
  let sum = 0;
  return Math.max(
    0,
    addedMs.findIndex((count) => (sum += count) >= wanted && sum > 0),
  );
}
