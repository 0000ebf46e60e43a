import { beforeEach, describe, expect, test } from 'vitest';
import type { JournalRecord } from '#domain/usage-record.ts';
import { Fault } from '#kit/fault.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { MemoryDisk } from '#support/memory-disk.ts';
import { usageOf } from '#support/records.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { Journal, segmentName } from './journal.ts';
import { Poster } from './poster.ts';
import { encodeLine } from './segment.ts';

/** A book that only remembers, and can be away. */
class Remembered {
  readonly batches: string[][] = [];
  down = false;
  async post(records: readonly JournalRecord[]): Promise<void> {
    if (this.down) throw new Fault('database-unreachable');
    this.batches.push(records.map(({ record }) => record.id));
  }
  get ids(): string[] {
    return this.batches.flat();
  }
}

let clock: VirtualClock;
let disk: MemoryDisk;
let book: Remembered;
let journal: Journal;

const record = (n: number): JournalRecord => usageOf({ id: `req_${n}` });
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const ids = (from: number, to: number): string[] => numbers(from, to).map((n) => `req_${n}`);
const startLife = async (more: { queueMax?: number; segmentSizeMax?: number } = {}): Promise<Poster> => {
  const { segmentSizeMax, ...options } = more;
  journal = await Journal.open({
    disk,
    clock,
    log: silentLog,
    groupSpacingMsMax: 0,
    ...(segmentSizeMax ? { segmentSizeMax } : {}),
  });
  return new Poster({
    journal,
    disk,
    posting: book,
    clock,
    random: seededRandomness(1),
    log: silentLog,
    ...options,
  });
};
const append = async (from: number, to: number): Promise<void> => {
  const appended = Promise.all(numbers(from, to).map((n) => journal.append(record(n))));
  await clock.advance(0);
  await appended;
};

beforeEach(() => {
  clock = new VirtualClock();
  disk = new MemoryDisk();
  book = new Remembered();
});

describe('posting', () => {
  test('gathers for a quarter of a second and posts once', async () => {
    await startLife();
    await append(0, 10);
    await append(10, 20);
    await clock.advance(249);
    expect(book.batches).toEqual([]);
    await clock.advance(1);
    expect(book.batches).toEqual([ids(0, 20)]);
  });

  test('removes segments that are posted whole, and the last one when everything closes', async () => {
    const poster = await startLife({ segmentSizeMax: 2_000 });
    for (let n = 0; n < 20; n++) await append(n, n + 1);
    expect(disk.files.size).toBeGreaterThan(3);
    await clock.advance(250);
    expect(disk.files.size).toBe(1);
    expect(poster.lag).toEqual({ bytes: 0, sinceMs: 0, failures: 0 });
    await journal.close();
    await poster.close();
    expect(disk.files.size).toBe(0);
  });

  test('drains at once when asked', async () => {
    const poster = await startLife();
    await append(0, 5);
    const drained = poster.drain(1_000);
    await clock.advance(0);
    expect(await drained).toBe(true);
    expect(book.ids).toEqual(ids(0, 5));
  });
});

describe('while the database is away', () => {
  test('nothing is lost, the order stays, and the lag is told', async () => {
    const poster = await startLife();
    book.down = true;
    await append(0, 100);
    await clock.advance(30_000);
    expect(poster.lag.sinceMs).toBeGreaterThanOrEqual(30_000);
    expect(poster.lag.failures).toBeGreaterThan(5);
    expect(await Promise.all([poster.drain(10), clock.advance(10)])).toEqual([false, undefined]);
    await append(100, 200);
    book.down = false;
    await clock.advance(2_100);
    expect(book.ids).toEqual(ids(0, 200));
    expect(poster.lag).toEqual({ bytes: 0, sinceMs: 0, failures: 0 });
  });

  test('memory stays bounded: what the queue cannot keep is read from the disk again', async () => {
    const poster = await startLife({ queueMax: 50, segmentSizeMax: 10_000 });
    book.down = true;
    for (let n = 0; n < 600; n += 20) await append(n, n + 20);
    book.down = false;
    await clock.advance(3_000);
    expect(book.ids.length).toBe(600);
    expect(book.ids).toEqual(ids(0, 600));
    await append(600, 610);
    await clock.advance(250);
    expect(book.ids).toEqual(ids(0, 610));
    expect(poster.lag.bytes).toBe(0);
  });
});

describe('a new life', () => {
  test('posts what the one before left, before anything new', async () => {
    await startLife({ segmentSizeMax: 3_000 });
    book.down = true;
    for (let n = 0; n < 30; n += 3) await append(n, n + 3);
    disk.crash();
    book.down = false;
    const poster = await startLife();
    await append(30, 35);
    expect(await poster.drain(1_000)).toBe(true);
    expect(book.ids).toEqual(ids(0, 35));
  });

  test('posts every acknowledged record whatever the crash left of the last write', async () => {
    for (let keep = 0; keep <= 1; keep += 0.05) {
      disk = new MemoryDisk();
      book = new Remembered();
      await startLife();
      book.down = true;
      await append(0, 10);
      disk.failing = { on: 'sync', code: 'EIO' };
      const lost = Promise.allSettled(numbers(10, 15).map((n) => journal.append(record(n))));
      await clock.advance(0);
      await lost;
      disk.crash(keep);
      book = new Remembered();
      const poster = await startLife();
      expect(await poster.drain(1_000)).toBe(true);
      expect(book.ids.slice(0, 10)).toEqual(ids(0, 10));
      expect(ids(10, 15)).toEqual(expect.arrayContaining(book.ids.slice(10)));
      await poster.close();
    }
  });

  test('stops at damage in the middle of a segment, puts the rest aside, and posts the other segments', async () => {
    const lines = numbers(0, 10).map((n) => encodeLine(record(n)));
    lines[4] = (lines[4] as string).replace('req_4', 'req_X');
    disk.files.set(segmentName(3), { bytes: Buffer.from(lines.join('')), synced: 0 });
    disk.files.set(segmentName(4), { bytes: Buffer.from(encodeLine(record(20))), synced: 0 });
    const poster = await startLife();
    expect(await poster.drain(1_000)).toBe(true);
    expect(book.ids).toEqual([...ids(0, 4), 'req_20']);
    const aside = disk.files.get(`damaged-00000003-at-${Buffer.byteLength(lines.slice(0, 4).join(''))}`);
    expect(aside?.bytes.toString()).toBe(lines.slice(4).join(''));
    expect(disk.files.has(segmentName(3))).toBe(false);
  });

  test('reads on where a chunk ends within a line', async () => {
    const lines = numbers(0, 2_000).map((n) => encodeLine(record(n)));
    disk.files.set(segmentName(1), { bytes: Buffer.from(lines.join('')), synced: 0 });
    const poster = await startLife();
    expect(await poster.drain(1_000)).toBe(true);
    expect(book.ids).toEqual(ids(0, 2_000));
  });
});
