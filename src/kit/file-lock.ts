import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type Clock, pause } from './clock.ts';
import { Fault } from './fault.ts';

const LOCK_WAIT_MS = 120_000;

/** Runs `work` while no other process runs its own under the same lock file. A dead holder's lock counts for nothing. */
export async function locked<T>(
  { lock, clock }: { lock: string; clock: Clock },
  work: () => Promise<T>,
): Promise<T> {
  const until = clock.nowMs() + LOCK_WAIT_MS;
  while (!taken(lock)) {
    if (clock.nowMs() > until) {
      throw new Fault('internal', {
        inner: `Another process has held ${lock} for two minutes. If none does, remove it.`,
      });
    }
    await pause(clock, 50);
  }
  held.add(lock);
  try {
    return await work();
  } finally {
    held.delete(lock);
    rmSync(lock, { force: true });
  }
}

/** The locks of this very process: one that carries our pid and is not among them was left by a predecessor. */
const held = new Set<string>();

function taken(lock: string): boolean {
  try {
    writeFileSync(lock, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (held.has(lock) || holderLives(lock)) return false;
  // Moved aside first: of several who find the dead holder's lock, one gets to move it.
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch {
    return false;
  }
  // Somebody may have been faster and hold it anew: it goes back.
  if (holderLives(aside)) renameSync(aside, lock);
  else rmSync(aside, { force: true });
  return false;
}

function holderLives(lock: string): boolean {
  let pid: number;
  try {
    pid = Number(readFileSync(lock, 'utf8'));
  } catch {
    return false;
  }
  // An empty file was made this instant: its pid is still being written.
  if (!Number.isInteger(pid) || pid < 1) return true;
  // In a container, our predecessor had the same pid as we have.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
