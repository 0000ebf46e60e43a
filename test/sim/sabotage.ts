/**
 * Ways to break the simulated world on purpose, to show that the oracles can fail. Each names the promise that it breaks.
 */
export const SABOTAGES = {
  'posts-a-record-twice': ['I4', 'I1'],
  'skims-a-pico': ['I4', 'I1'],
  'lends-what-is-not-there': ['I2', 'I1'],
  'forgets-to-settle': ['I2', 'I8', 'liveness'],
  'answers-before-it-is-durable': ['I3'],
  'charges-another-price': ['I4'],
  'takes-a-later-price': ['I4'],
  'retries-without-end': ['I7'],
  'loses-cancels': ['I8'],
  'never-looks-at-deadlines': ['I9', 'liveness'],
  'delivers-foreign-frames': ['I5', 'I6'],
  'forgets-the-journal': ['I3'],
  'forgets-a-refusal': ['outcome'],
} as const satisfies Record<string, readonly string[]>;
export type Sabotage = keyof typeof SABOTAGES;
