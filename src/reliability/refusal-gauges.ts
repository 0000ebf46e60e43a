import type { RefusalLog } from '#ledger/refusal-log.ts';
import type { GaugeReading } from './metrics.ts';

/** What became of refused requests: each is a row, or it is counted. */
export function refusalGauges(refusals: Pick<RefusalLog, 'counts' | 'countsWithoutKey'>): GaugeReading[] {
  return [
    {
      name: 'cygnet_refusal_rows',
      help: 'Refused requests of known keys since the start, by what became of the row of each.',
      labels: ['what'],
      *read() {
        const { written, waiting, overRate, overRateOfAll, noRoom, notStored } = refusals.counts();
        yield [{ what: 'written' }, written];
        yield [{ what: 'waiting' }, waiting];
        yield [{ what: 'over_rate' }, overRate];
        yield [{ what: 'over_rate_of_all' }, overRateOfAll];
        yield [{ what: 'no_room' }, noRoom];
        yield [{ what: 'not_stored' }, notStored];
      },
    },
    {
      name: 'cygnet_refusals_without_key',
      help: 'Requests since the start that were refused before it was known whose they were, by code of the error table.',
      labels: ['code'],
      *read() {
        for (const [code, count] of refusals.countsWithoutKey()) yield [{ code }, count];
      },
    },
  ];
}
