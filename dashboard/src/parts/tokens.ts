/** The token that each series of batches is paid in. */
export const TOKENS: Readonly<Record<string, string>> = { USD: 'USDC', SWAN: 'SWAN' };

/** The series, by the names that people know them by. */
export const SERIES_CHOICE = [
  { value: 'USD', label: 'Earnings' },
  { value: 'SWAN', label: 'Rewards' },
] as const;
