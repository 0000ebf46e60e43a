import type { KeyRecord } from './party.ts';

/**
 * Who asks when the market looks at itself: a consumer like any other, whose money is the platform's, so that a probe takes
 * the ordinary road and every provider is paid for it. What it asked is left out wherever demand or service is measured.
 * Its secret lives in one process and is in no database.
 */
export const PROBER: KeyRecord = {
  id: 'key_probes',
  kind: 'consumer',
  ownerId: 'con_probes',
  name: 'probes',
  prefix: '',
  revoked: false,
};
