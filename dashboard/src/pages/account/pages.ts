import type { Page } from '../../pages.ts';

/** What a consumer does here. */
export const accountPages: readonly Page[] = [];
