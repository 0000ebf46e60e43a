import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { silentLog } from '#kit/log.ts';
import { MemoryDisk } from '#support/memory-disk.ts';
import { correctionOf, usageOf } from '#support/records.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { Journal, segmentName } from './journal.ts';
import { openJournalDisk } from './journal-disk.ts';
import { RecordInDoubt } from './ports.ts';
import { encodeLine, hasLineAfterDamage, readLines } from './segment.ts';

const open = (disk: MemoryDisk, more: { sizeMax?: number; segmentSizeMax?: number } = {}): Promise<Journal> =>
  Journal.open({ disk, clock: systemClock, log: silentLog, ...more });
const record = (n: number) =>
  usageOf({ id: `req_${n}`, charge: BigInt(n) * 10n ** 20n, modelId: 'modèle/语言' });

describe('lines', () => {
  test('come back as they went in, amounts beyond 64 bits and any script included', () => {
    const records = [record(7), correctionOf({ refund: 3n })];
    const { records: read, bad } = readLines(Buffer.from(records.map(encodeLine).join('')));
    expect(read).toEqual(records);
    expect(bad).toBe(false);
  });

  test('cut at any byte of the last 4 KiB give every whole line and nothing else', () => {
    const lines = Array.from({ length: 12 }, (_, n) => encodeLine(record(n)));
    const bytes = Buffer.from(lines.join(''));
    expect(bytes.length).toBeGreaterThan(4096);
    const ends = lines.reduce<number[]>(
      (all, line) => [...all, (all.at(-1) ?? 0) + Buffer.byteLength(line)],
      [],
    );
    for (let cut = bytes.length - 4096; cut <= bytes.length; cut++) {
      const { records, length } = readLines(bytes.subarray(0, cut));
      const whole = ends.filter((end) => end <= cut).length;
      expect(records.length).toBe(whole);
      expect(length).toBe(ends[whole - 1] ?? 0);
      expect(hasLineAfterDamage(bytes.subarray(length, cut))).toBe(false);
    }
  });

  test('with any bit flipped are not believed', () => {
    const line = Buffer.from(encodeLine(record(1)));
    for (let at = 0; at < line.length; at++) {
      for (const bit of [1, 32, 128]) {
        const flipped = Buffer.from(line);
        flipped[at] = (flipped[at] as number) ^ bit;
        expect(readLines(flipped).records).toEqual([]);
      }
    }
  });
});

describe('appending', () => {
  test('resolves only when the record survives a crash', async () => {
    const disk = new MemoryDisk();
    let openGate = (): void => {};
    disk.gate = new Promise((resolve) => {
      openGate = resolve;
    });
    const journal = await open(disk);
    let durable = false;
    const appended = (async () => {
      await journal.append(record(1));
      durable = true;
    })();
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    expect(durable).toBe(false);
    openGate();
    await appended;
    disk.crash();
    expect(
      readLines((await disk.list()).length ? await disk.read(segmentName(1), 0, 1e6) : Buffer.alloc(0))
        .records,
    ).toEqual([record(1)]);
  });

  test('groups what comes together into one sync', async () => {
    const disk = new MemoryDisk();
    const journal = await open(disk);
    await Promise.all(Array.from({ length: 500 }, (_, n) => journal.append(record(n))));
    expect(disk.syncs).toBe(1);
  });

  test('lets a record that comes alone hardly wait, and one after a large group at most 6 ms', async () => {
    const clock = new VirtualClock();
    const disk = new MemoryDisk();
    const journal = await Journal.open({ disk, clock, log: silentLog });
    const appendAll = async (records: number, withinMs: number): Promise<number> => {
      const syncsBefore = disk.syncs;
      const appended = Promise.all(Array.from({ length: records }, (_, n) => journal.append(record(n))));
      await clock.advance(withinMs);
      if (disk.syncs > syncsBefore) await appended;
      return disk.syncs - syncsBefore;
    };
    expect(await appendAll(1, 0)).toBe(1);
    expect(await appendAll(1, 1)).toBe(1);
    await clock.advance(6);
    expect(await appendAll(500, 0)).toBe(1);
    expect(await appendAll(1, 5.9)).toBe(0);
    expect(await appendAll(1, 0.1)).toBe(1);
  });

  test('begins a new segment when one is full, and never writes to those of a life before', async () => {
    const disk = new MemoryDisk();
    const first = await open(disk, { segmentSizeMax: 1_000 });
    for (let n = 0; n < 5; n++) await first.append(record(n));
    const names = [...disk.files.keys()];
    expect(names.length).toBeGreaterThan(1);
    const second = await open(disk);
    await second.append(record(9));
    expect([...disk.files.keys()]).toEqual([...names, segmentName(names.length + 1)]);
  });
});

describe('a disk that fails', () => {
  test('leaves the records it was writing in doubt, and those that come after certainly unwritten', async () => {
    const disk = new MemoryDisk();
    const journal = await open(disk);
    disk.failing = { on: 'sync', code: 'EIO' };
    await expect(journal.append(record(1))).rejects.toBeInstanceOf(RecordInDoubt);
    await expect(journal.append(record(2))).rejects.not.toBeInstanceOf(RecordInDoubt);
  });

  test.each([
    ['append', 'ENOSPC'],
    ['append', 'EIO'],
    ['sync', 'EIO'],
    ['create', 'ENOSPC'],
  ] as const)('in %s with %s rejects everybody who waits, and ends health for good', async (on, code) => {
    const disk = new MemoryDisk();
    const journal = await open(disk);
    disk.failing = { on, code };
    const outcomes = await Promise.allSettled([journal.append(record(1)), journal.append(record(2))]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(journal.healthy).toBe(false);
    disk.failing = undefined;
    // A second sync would claim success for pages that are gone.
    await expect(journal.append(record(3))).rejects.toMatchObject({ code: 'ledger-unavailable' });
    expect(journal.healthy).toBe(false);
  });
});

describe('a journal that is not drained', () => {
  test('is not healthy above its size, still takes what was admitted before, and recovers', async () => {
    const disk = new MemoryDisk();
    const journal = await open(disk, { sizeMax: 2_000, segmentSizeMax: 500 });
    for (let n = 0; journal.healthy; n++) await journal.append(record(n));
    expect(journal.unhealthyBecause).toMatch(/not posted/);
    await journal.append(record(99));
    await journal.remove(1);
    await journal.remove(2);
    expect(journal.healthy).toBe(true);
  });
});

test('a real folder keeps what was appended', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-journal-'));
  try {
    const disk = await openJournalDisk(path.join(folder, 'journal'));
    const journal = await Journal.open({ disk, clock: systemClock, log: silentLog });
    await Promise.all(Array.from({ length: 50 }, (_, n) => journal.append(record(n))));
    await journal.close();
    const [file] = await disk.list();
    const { records } = readLines(await disk.read(file?.name as string, 0, 1e6));
    expect(records).toHaveLength(50);
    await expect(journal.append(record(1))).rejects.toMatchObject({ code: 'shutting-down' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
