/** A broken invariant: a bug of ours. It ends the request or the process; it is never dressed up as a refusal. */
class BrokenInvariant extends Error {
  override name = 'BrokenInvariant';
}

/** Throws `BrokenInvariant` unless `condition` holds. `what` says what must hold, in the present tense. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new BrokenInvariant(what);
}
