import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageRecord } from '#support/records.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { errorRow } from '#wire/errors.ts';
import { IncidentBook } from './incident-book.ts';
import { MinuteBook } from './minute-book.ts';
import { MinuteTable } from './minute-table.ts';
import { StatusReader } from './status-reader.ts';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

test('every region of a model has its own ninety days and its own last 24 hours', async () => {
  const { database } = fresh;
  const clock = new VirtualClock();
  const book = new MinuteBook(errorRow);
  const at = clock.wallMs() - 2 * 3_600_000;
  const serve = (region: string, more: Parameters<typeof usageRecord>[0]): void =>
    book.served(usageRecord({ modelId: 'm', at, ...more }), { tier: 'pro', region });
  for (let i = 0; i < 20; i++) serve('eu', { ttftMs: 400 });
  for (let i = 0; i < 10; i++) serve('us', { ttftMs: 2_400 });
  for (let i = 0; i < 10; i++) serve('us', { outcome: 'failed', errorCode: 'provider-failed', ttftMs: null });
  const table = new MinuteTable({ database, instance: 'life' });
  await table.keep(book.takeAll());
  const reader = new StatusReader({
    database,
    clock,
    log: silentLog,
    table,
    incidents: new IncidentBook(database),
    models: () => [{ id: 'm', name: 'M' }],
    ready: () => ['eu', 'us'],
    frozen: () => false,
  });
  const { components } = await reader.report();
  const shown = components.map(
    ({ region, availability_90d: share, minutes_90d: minutes, last_24h: last }) => ({
      region,
      share,
      unavailable: minutes.unavailable,
      errors: last?.server_errors,
      hours: last?.ttft_p95_ms_by_hour.filter((each) => each !== null).length,
      p95: last?.ttft_p95_ms,
    }),
  );
  expect(shown).toEqual([
    { region: '', share: 0.75, unavailable: 1, errors: 0.25, hours: 1, p95: expect.closeTo(2_400, -2) },
    { region: 'eu', share: 1, unavailable: 0, errors: 0, hours: 1, p95: expect.closeTo(400, -1) },
    { region: 'us', share: 0.5, unavailable: 1, errors: 0.5, hours: 1, p95: expect.closeTo(2_400, -2) },
  ]);
  expect(components.every(({ days }) => days.length === 90)).toBe(true);
});
