import type { JournalDisk, JournalFile } from '#ledger/journal-disk.ts';
import { MemoryDisk } from '#support/memory-disk.ts';
import type { VirtualClock } from '#support/virtual-clock.ts';
import type { Chance } from '../chance.ts';
import type { Asker } from './store.ts';

const RECORD_ID = /"record":\{"id":"([^"]+)"/g;

/**
 * The disk of one process. It outlives the process; each life opens it anew. Writes take time, a file that was removed may
 * be back after a crash, and which records would survive one is noted from the bytes themselves, not from what anybody
 * says.
 */
export class SimulatedDisk {
  readonly memory = new MemoryDisk();
  /** Ids of records that were synced at some time. */
  readonly durable = new Set<string>();
  /** Operations take at least until then. */
  stalledUntilMs = 0;
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #nearWrite: (asker: Asker, where: string) => void;
  readonly #removed = new Map<string, { bytes: Buffer; synced: number }>();

  constructor(clock: VirtualClock, chance: Chance, nearWrite: (asker: Asker, where: string) => void) {
    this.#clock = clock;
    this.#chance = chance;
    this.#nearWrite = nearWrite;
  }

  /** The disk as one life sees it. */
  openFor(life: Asker): JournalDisk {
    const turn = <T>(what: string, work: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        const stallMs = Math.max(0, this.stalledUntilMs - this.#clock.nowMs());
        this.#clock.after(stallMs + this.#chance.ms(0.02, 0.3), () => {
          if (life.dead) return;
          this.#nearWrite(life, `before ${what}`);
          if (life.dead) return;
          void work().then((value) => {
            this.#nearWrite(life, `after ${what}`);
            return life.dead ? undefined : resolve(value);
          }, reject);
        });
      });
    return {
      list: () => this.memory.list(),
      read: (name, offset, length) => this.memory.read(name, offset, length),
      create: (name) =>
        turn('create', async () => {
          const file = await this.memory.create(name);
          let unsynced: string[] = [];
          const opened: JournalFile = {
            append: (bytes) =>
              turn('append', async () => {
                await file.append(bytes);
                for (const [, id] of bytes.toString('latin1').matchAll(RECORD_ID))
                  unsynced.push(id as string);
              }),
            sync: () =>
              turn('sync', async () => {
                await file.sync();
                for (const id of unsynced) this.durable.add(id);
                unsynced = [];
              }),
            close: () => file.close(),
          };
          return opened;
        }),
      remove: async (name) => {
        const file = this.memory.files.get(name);
        if (file) this.#removed.set(name, file);
        await this.memory.remove(name);
      },
    };
  }

  /**
   * The process or the whole machine stops. A killed process leaves everything it wrote; a machine loses part of what was
   * not synced, and may find removed files again.
   */
  crash(whole: 'process' | 'machine'): void {
    this.memory.crash(whole === 'process' ? 1 : this.#chance.float());
    if (whole === 'machine' && this.#chance.yes(0.3)) {
      for (const [name, file] of this.#removed)
        if (!this.memory.files.has(name)) this.memory.files.set(name, file);
    }
    this.#removed.clear();
  }
}
