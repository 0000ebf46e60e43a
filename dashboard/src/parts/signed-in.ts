import { keep, kept } from './storage.ts';

/**
 * Whether this browser has signed in and not out again. The session itself is in a cookie that scripts cannot see; this
 * only spares visitors a question whose answer would be a refusal.
 */
export const signedIn = {
  before: (): boolean => kept('signed-in') === 'yes',
  note: (): void => keep('signed-in', 'yes'),
  forget: (): void => keep('signed-in', undefined),
};
