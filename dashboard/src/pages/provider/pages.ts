import type { Page } from '../../pages.ts';

/** What a provider does here. */
export const providerPages: readonly Page[] = [];
