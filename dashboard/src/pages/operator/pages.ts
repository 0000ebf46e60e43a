import type { Page } from '../../pages.ts';

/** What an operator does here. */
export const operatorPages: readonly Page[] = [];
