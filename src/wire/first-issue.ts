import type { z } from 'zod';

/**
 * Parsing that ends at the first issue of a list or an object: the second argument of `parse` and `safeParse` for whatever
 * a stranger wrote. Without it a megabyte of wrong items costs seconds and hundreds of megabytes of reports. zod takes
 * this from the caller as it does from its own parts, but its type names it only for those; `read-json.test.ts` in the
 * gateway sees that it holds.
 */
export const FIRST_ISSUE = { abortEarly: true } as z.core.ParseContext<z.core.$ZodIssue>;
