import fs from 'node:fs';
import path from 'node:path';

/** The little that the journal asks of a disk, so that a failing one can be staged. Names are plain file names. */
export interface JournalDisk {
  /** Every file of the folder. */
  list(): Promise<{ name: string; size: number }[]>;
  /** Makes a new file, durably: its name survives a crash. Fails when it exists. */
  create(name: string): Promise<JournalFile>;
  /** Up to `length` bytes from `offset`; fewer at the end of the file only. */
  read(name: string, offset: number, length: number): Promise<Buffer>;
  /** Removes a file. A crash may bring it back; the caller must not mind. */
  remove(name: string): Promise<void>;
}

export interface JournalFile {
  /** Appends all of `bytes`. */
  append(bytes: Buffer): Promise<void>;
  /** Resolves when everything appended survives a crash of the machine. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A real folder, which is made if need be. */
export async function openJournalDisk(folder: string): Promise<JournalDisk> {
  await fs.promises.mkdir(folder, { recursive: true, mode: 0o700 });
  const at = (name: string): string => path.join(folder, name);
  return {
    async list() {
      const names = await fs.promises.readdir(folder);
      return await Promise.all(
        names.map(async (name) => ({ name, size: (await fs.promises.stat(at(name))).size })),
      );
    },
    async create(name) {
      const handle = await fs.promises.open(at(name), 'ax', 0o600);
      await syncFolder(folder);
      return openFile(handle);
    },
    async read(name, offset, length) {
      const handle = await fs.promises.open(at(name), 'r');
      try {
        const buffer = Buffer.allocUnsafe(length);
        let filled = 0;
        while (filled < length) {
          const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled);
          if (bytesRead === 0) break;
          filled += bytesRead;
        }
        return buffer.subarray(0, filled);
      } finally {
        await handle.close();
      }
    },
    async remove(name) {
      await fs.promises.rm(at(name), { force: true });
    },
  };
}

function openFile(handle: fs.promises.FileHandle): JournalFile {
  // Callbacks on the bare descriptor: a group commit is two calls, and the promise wrappers would cost as much as they do.
  const { fd } = handle;
  return {
    append: (bytes) =>
      new Promise((resolve, reject) => {
        const write = (from: number): void => {
          fs.write(fd, bytes, from, bytes.length - from, null, (error, written) => {
            if (error) reject(error);
            else if (from + written < bytes.length) write(from + written);
            else resolve();
          });
        };
        write(0);
      }),
    sync: () =>
      new Promise((resolve, reject) => fs.fdatasync(fd, (error) => (error ? reject(error) : resolve()))),
    close: () => handle.close(),
  };
}

/** A new name is durable when its folder is. Windows neither needs nor allows this. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await fs.promises.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
