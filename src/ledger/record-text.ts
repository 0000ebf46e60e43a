import type { JournalRecord } from '#domain/usage-record.ts';

/** The JSON text of a record: amounts as decimal strings, everything else as it is. */
export function encodeRecord(line: JournalRecord): string {
  return JSON.stringify(line, (_name, value) => (typeof value === 'bigint' ? value.toString() : value));
}

/**
 * Reads what `encodeRecord` wrote. The text comes from our own disk under a checksum, so its shape is trusted; whether the
 * record can be posted is decided where it is posted. Throws when it is no such text at all.
 */
export function decodeRecord(text: string): JournalRecord {
  const line = JSON.parse(text) as { kind: string; record: Record<string, unknown> };
  const amounts = line.kind === 'usage' ? ['charge'] : ['refund', 'originalCharge'];
  for (const name of amounts) line.record[name] = BigInt(line.record[name] as string);
  return line as unknown as JournalRecord;
}
