import type { JournalRecord, UsageRecord } from '#domain/usage-record.ts';

/** The JSON text of a record: amounts as decimal strings, everything else as it is. */
export function encodeRecord(line: JournalRecord): string {
  if (line.kind === 'usage') return USAGE_BEGINS + encodeUsage(line.record) + USAGE_ENDS;
  const { refund, originalCharge, coveredRefund, originalCovered } = line.record;
  return JSON.stringify({
    kind: line.kind,
    record: {
      ...line.record,
      refund: refund.toString(),
      originalCharge: originalCharge.toString(),
      ...(coveredRefund !== undefined && { coveredRefund: coveredRefund.toString() }),
      ...(originalCovered !== undefined && { originalCovered: originalCovered.toString() }),
    },
  });
}

const USAGE_BEGINS = '{"kind":"usage","record":';
const USAGE_ENDS = '}';

/** The JSON text of a usage record alone. */
export function encodeUsage(record: UsageRecord): string {
  // Field by field: a replacer function would be called for every one of them, on the path of every request.
  const { charge, covered } = record;
  return JSON.stringify(
    covered === undefined
      ? { ...record, charge: charge.toString() }
      : { ...record, charge: charge.toString(), covered: covered.toString() },
  );
}

/** The usage record within what `encodeRecord` wrote of one: the same text as `encodeUsage` of it, for nothing. */
export function usageWithin(text: string): string {
  return text.slice(USAGE_BEGINS.length, -USAGE_ENDS.length);
}

/** Amounts that are there only where a plan paid. */
const COVERED = ['covered', 'coveredRefund', 'originalCovered'] as const;

const BEFORE_OPERATIONS = { operation: 'chat/completions', units: 0, seconds: 0 };

/**
 * Reads what `encodeRecord` wrote. The text comes from our own disk under a checksum, so its shape is trusted; whether the
 * record can be posted is decided where it is posted. Throws when it is no such text at all.
 */
export function decodeRecord(text: string): JournalRecord {
  const line = JSON.parse(text) as { kind: string; record: Record<string, unknown> };
  const amounts = line.kind === 'usage' ? ['charge'] : ['refund', 'originalCharge'];
  for (const name of amounts) line.record[name] = BigInt(line.record[name] as string);
  for (const name of COVERED) {
    if (line.record[name] !== undefined) line.record[name] = BigInt(line.record[name] as string);
  }
  // Written before there was anything but chat.
  if (line.kind === 'usage') line.record = { ...BEFORE_OPERATIONS, ...line.record };
  return line as unknown as JournalRecord;
}
