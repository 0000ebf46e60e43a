import fs from 'node:fs';
import path from 'node:path';
import { Fault } from '#kit/fault.ts';

const NAME = 'owner.lock';
/** States of a process that runs no more. */
const DEAD: ReadonlySet<string> = new Set(['Z', 'X', 'x']);

/**
 * Takes a folder for this process, so that two programs never feed the ledger from one journal. The lock is a file that
 * names its owner; the lock of an owner who died is taken over. Throws when a living process has it. The answer gives
 * the folder free again.
 *
 * A process is known by its id and, on Linux, by when it began and in which boot: ids come round again, and in a
 * container the new life often has the very id of the one before.
 */
export function lockFolder(folder: string): () => void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, NAME);
  const own = JSON.stringify({ pid: process.pid, born: bornMark(process.pid) });
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      // The content must be there when the name is: written aside, then linked.
      const aside = `${file}.${process.pid}`;
      fs.writeFileSync(aside, own);
      try {
        fs.linkSync(aside, file);
      } finally {
        fs.rmSync(aside, { force: true });
      }
      return () => {
        if (readLock(file) === own) fs.rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const present = readLock(file);
    if (present === undefined) continue;
    if (alive(present)) {
      throw new Fault('internal', {
        inner: `Process ${pidOf(present)} already runs a market on ${folder}. Stop it first, or give this one a data folder of its own (CYGNET_DATA_DIR).`,
      });
    }
    // Moved away rather than removed: if a third process took the lock meanwhile, it is put back.
    const dead = `${file}.dead.${process.pid}`;
    try {
      fs.renameSync(file, dead);
    } catch {
      continue;
    }
    if (readLock(dead) !== present) fs.linkSync(dead, file);
    fs.rmSync(dead, { force: true });
  }
  throw new Fault('internal', { inner: `The lock of the folder ${folder} could not be taken.` });
}

/** The living process that has a folder; undefined when none has. Takes nothing. */
export function ownerOfFolder(folder: string): number | undefined {
  const present = readLock(path.join(folder, NAME));
  return present !== undefined && alive(present) ? pidOf(present) : undefined;
}

function readLock(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function pidOf(lock: string): number | undefined {
  try {
    const { pid } = JSON.parse(lock) as { pid?: unknown };
    return typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function alive(lock: string): boolean {
  const pid = pidOf(lock);
  if (pid === undefined) return false;
  const { born } = JSON.parse(lock) as { born?: unknown };
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return bornMark(pid) === born;
}

/**
 * When and in which boot a process began: field 22 of `/proc/<pid>/stat`, see proc(5). Empty where there is none. One that has died
 * and that nobody has buried (a zombie: its parent, often the first process of a container, does not ask after it) began never.
 */
function bornMark(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The second field is the program's name in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return DEAD.has(fields[0] as string) ? 'dead' : `${boot}/${fields[19]}`;
  } catch {
    return '';
  }
}
