import type { JournalDisk } from '#ledger/journal-disk.ts';

/**
 * A disk in memory that forgets what was not synced when it `crash`es, can tear the last write at any byte, and fails on
 * demand as a real one does: after a failed sync it claims success, having lost the data.
 */
export class MemoryDisk implements JournalDisk {
  readonly files = new Map<string, { bytes: Buffer; synced: number }>();
  /** Thrown by the next append, sync or create, and by every later one until it is cleared. */
  failing: { on: 'append' | 'sync' | 'create'; code: 'EIO' | 'ENOSPC' } | undefined;
  syncs = 0;
  /** When set, syncs wait for it. */
  gate: Promise<void> | undefined;

  async list(): Promise<{ name: string; size: number }[]> {
    return [...this.files].map(([name, { bytes }]) => ({ name, size: bytes.length }));
  }

  async create(name: string) {
    this.#fail('create');
    if (this.files.has(name)) throw Object.assign(new Error('EEXIST'), { code: 'EEXIST' });
    const file = { bytes: Buffer.alloc(0), synced: 0 };
    this.files.set(name, file);
    return {
      append: async (bytes: Buffer) => {
        this.#fail('append');
        file.bytes = Buffer.concat([file.bytes, bytes]);
      },
      sync: async () => {
        await this.gate;
        this.#fail('sync');
        this.syncs += 1;
        file.synced = file.bytes.length;
      },
      close: async () => {},
    };
  }

  async read(name: string, offset: number, length: number): Promise<Buffer> {
    const file = this.files.get(name);
    if (!file) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
    return file.bytes.subarray(offset, offset + length);
  }

  async remove(name: string): Promise<void> {
    this.files.delete(name);
  }

  /** The machine stops: of what was not synced, `keep` (0 to 1) of the bytes survive. */
  crash(keep = 0): void {
    for (const file of this.files.values()) {
      const end = file.synced + Math.floor((file.bytes.length - file.synced) * keep);
      file.bytes = file.bytes.subarray(0, end);
      file.synced = end;
    }
    this.failing = undefined;
  }

  #fail(on: 'append' | 'sync' | 'create'): void {
    if (this.failing?.on !== on) return;
    const { code } = this.failing;
    throw Object.assign(new Error(code), { code });
  }
}
