/**
 * Time and chance, for the pages: the one file that takes them from the browser (`test/house.test.ts`). Wall milliseconds
 * are for what people read, `ticksMs` is for measuring.
 */
export const wallMs = (): number => Date.now();

export const ticksMs = (): number => performance.now();

export function after(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

export function every(ms: number, work: () => void): () => void {
  const timer = setInterval(work, ms);
  return () => clearInterval(timer);
}

/** A name that nothing else has, for what must not happen twice. */
export const freshName = (): string => crypto.randomUUID();

/** Resolves after so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void after(ms, resolve));
}
