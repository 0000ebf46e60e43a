// What Linux tells of processes and of the machine.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK']).toString());

const readProc = (path) => {
  try {
    return fs.readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return null; // the process has gone
  }
};

/** The fields of /proc/PID/stat after the name, which may itself hold spaces and brackets. */
const statFields = (pid) => {
  const stat = readProc(`${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? null;
};

/** User and system time of all threads of a process so far, in seconds (in steps of 10 ms). */
export function cpuSeconds(pid) {
  const fields = statFields(pid);
  return fields ? (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND : 0;
}

/** The time a process began, in ticks since boot: with the pid it names a process for good. Null when it has ended. */
export function beganAt(pid) {
  const fields = statFields(pid);
  return fields && fields[0] !== 'Z' ? fields[19] : null;
}

/** The most memory a process has held since `forgetPeak`, in MB. */
export function peakMb(pid) {
  const peak = /VmHWM:\s+(\d+)/.exec(readProc(`${pid}/status`) ?? '');
  return peak ? Number(peak[1]) / 1024 : 0;
}

/** The memory a process holds now, in MB. */
export function residentMb(pid) {
  const resident = /VmRSS:\s+(\d+)/.exec(readProc(`${pid}/status`) ?? '');
  return resident ? Number(resident[1]) / 1024 : 0;
}

export function forgetPeak(pid) {
  try {
    fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Not ours to reset: the peak then counts from the start of the process.
  }
}

export const commandOf = (pid) => (readProc(`${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim();

/** All processes that `pid` started, and those that they started. */
export function descendants(pid) {
  const children = new Map();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(name)?.[1]);
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(Number(name));
  }
  const found = [];
  for (const queue = [pid]; queue.length > 0; ) {
    const next = children.get(queue.pop()) ?? [];
    found.push(...next);
    queue.push(...next);
  }
  return found;
}

/** Seconds that one CPU has been busy since boot, whoever kept it so. */
export function cpuBusySeconds(cpu) {
  const line = (readProc('stat') ?? '').split('\n').find((each) => each.startsWith(`cpu${cpu} `));
  const [user, nice, system, , , irq, softirq] = (line ?? '').trim().split(/\s+/).slice(1).map(Number);
  return line ? (user + nice + system + irq + softirq) / TICKS_PER_SECOND : 0;
}

const firstLine = (command, args) => {
  try {
    return execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      .toString()
      .trim()
      .split('\n')[0];
  } catch {
    return null;
  }
};

/** Is this program on the path? */
export const hasProgram = (name) => firstLine('sh', ['-c', `command -v ${name}`]) !== null;

/** What a reader of the figures must know of the machine; call it before anything is started. */
export function describeMachine() {
  const nginx = hasProgram('nginx') ? firstLine('sh', ['-c', 'nginx -v 2>&1']) : null;
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.cpus().length,
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    node: process.version,
    nginx: nginx?.replace(/^nginx version: /, '') ?? null,
    commit: firstLine('git', ['rev-parse', '--short', 'HEAD']),
    loadBefore: os.loadavg().map((load) => Number(load.toFixed(2))),
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
  };
}
