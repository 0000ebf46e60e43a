import type { Pico } from '#domain/money.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { UsageJournal } from '#ledger/ports.ts';
import type { ServiceRecord } from '#routing/candidate.ts';
import { noteClaim } from '#routing/score.ts';
import type { Recounted } from './recount.ts';
import { claimOf, correctionOf, verdict } from './verdict.ts';

/** What follows from an exact count: the provider's record moves, and what was charged too much goes back. */
export function settleRecount(
  found: Recounted,
  rooms: {
    recordOf: (providerId: string, nodeId: string, modelId: string) => ServiceRecord | undefined;
    journal: UsageJournal;
    /** What its key may spend rises again by what goes back. */
    caps: { refunded(keyId: string, atMs: number, amount: Pico): void };
    clock: Clock;
    log: Logger;
  },
): void {
  const { record, price, exact } = found;
  const judged = verdict(claimOf(record), exact);
  const served = rooms.recordOf(record.providerId ?? '', record.nodeId ?? '', record.modelId);
  if (served) noteClaim(served, judged.overclaimed);
  const correction = correctionOf(record, price, exact, rooms.clock.wallMs());
  if (!correction) return;
  rooms.log.warn(
    {
      request: record.id,
      provider: record.providerId,
      excess: judged.excess,
      refundPico: correction.refund.toString(),
    },
    'A provider claimed more than was counted: the difference goes back.',
  );
  rooms.caps.refunded(record.keyId, record.at, correction.refund);
  rooms.journal.append({ kind: 'correction', record: correction }).catch((error: unknown) => {
    rooms.log.error({ request: record.id, err: error }, 'A correction could not be kept.');
  });
}
