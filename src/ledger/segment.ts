import { crc32 } from 'node:zlib';
import type { JournalRecord } from '#domain/usage-record.ts';
import { decodeRecord, encodeRecord } from './record-text.ts';

/**
 * The text of a journal segment: one record per line, `crc32 JSON\n`, the checksum in eight hex digits over the JSON's
 * bytes. A line is there or not: what a crash cut short has no newline or a wrong sum.
 */
const CHECKSUM_CHARS = 8;
const NEWLINE = 0x0a;

/** A record as a line of the journal. */
export function encodeLine(record: JournalRecord): string {
  return lineOf(encodeRecord(record));
}

/** The text of a record (`encodeRecord`) as a line of the journal. */
export function lineOf(text: string): string {
  return `${crc32(text).toString(16).padStart(CHECKSUM_CHARS, '0')} ${text}\n`;
}

/** What a stretch of a segment holds. */
export interface Stretch {
  records: JournalRecord[];
  /** Bytes taken up by those records; the first bad or unfinished line begins there. */
  length: number;
  /** True when the line at `length` is complete and wrong; false when it is merely not complete, or there is none. */
  bad: boolean;
}

/** Reads whole, right lines from the start of `bytes` up to the first that is not. */
export function readLines(bytes: Buffer): Stretch {
  const records: JournalRecord[] = [];
  let length = 0;
  for (;;) {
    const end = bytes.indexOf(NEWLINE, length);
    if (end < 0) return { records, length, bad: false };
    const record = readLine(bytes.subarray(length, end));
    if (!record) return { records, length, bad: true };
    records.push(record);
    length = end + 1;
  }
}

/** True when a whole, right line begins anywhere after the first newline of `bytes`: then what precedes it is damage. */
export function hasLineAfterDamage(bytes: Buffer): boolean {
  let from = bytes.indexOf(NEWLINE) + 1;
  while (from > 0) {
    const end = bytes.indexOf(NEWLINE, from);
    if (end < 0) return false;
    if (readLine(bytes.subarray(from, end))) return true;
    from = end + 1;
  }
  return false;
}

function readLine(line: Buffer): JournalRecord | undefined {
  const text = line.subarray(CHECKSUM_CHARS + 1);
  const sum = line.toString('latin1', 0, CHECKSUM_CHARS + 1);
  if (!/^[0-9a-f]{8} $/.test(sum) || Number.parseInt(sum, 16) !== crc32(text)) return undefined;
  try {
    return decodeRecord(text.toString('utf8'));
  } catch {
    return undefined;
  }
}
