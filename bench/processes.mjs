// Everything the benchmark starts is started here, pinned to a CPU, and ended here: at the end, on Ctrl-C and on errors.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { beganAt, cpuSeconds, descendants } from './machine.mjs';

const GRACE_MS = 10_000;
const running = new Map();

/** A folder for this run, removed at its end. Others may enter: PostgreSQL runs as another user when we are root. */
export const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cygnet-bench-'));
fs.chmodSync(folder, 0o755);

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts a program that stays, pinned to `cpu`; what it prints goes to a file, of which `tail` gives the end. */
export function start(name, cpu, argv, { env = {} } = {}) {
  const log = path.join(folder, `${name}.log`);
  const out = fs.openSync(log, 'a');
  // A session of its own, so that Ctrl-C reaches it through us and in order.
  const child = spawn('taskset', ['-c', String(cpu), ...argv.map(String)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', out, out],
    detached: true,
  });
  fs.closeSync(out);
  child.on('error', () => {});
  child.on('exit', () => running.delete(child.pid));
  running.set(child.pid, child);
  return { name, pid: child.pid, log, alive: () => child.exitCode === null && child.signalCode === null };
}

export const tail = (log) => fs.readFileSync(log, 'utf8').slice(-1500).trim();

const lastReport = (text) => {
  const reports = text.split('\n').filter((line) => line.startsWith('@@{'));
  return reports.length > 0 ? JSON.parse(reports.at(-1).slice(2)) : null;
};

/** Waits for the `@@{…}` line with which our own programs say that they listen. */
export async function listening(program, deadlineMs = 10_000) {
  for (const end = Date.now() + deadlineMs; Date.now() < end; await sleep(50)) {
    const report = lastReport(fs.readFileSync(program.log, 'utf8'));
    if (report) return report;
    if (!program.alive()) break;
  }
  throw new Error(`${program.name} did not come up: ${tail(program.log)}`);
}

/** Runs a program to its end, pinned to `cpu`, and answers its `@@{…}` line; `onLine` hears every line as it comes. */
export function measureWith(cpu, argv, { onLine = () => {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn('taskset', ['-c', String(cpu), ...argv.map(String)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.set(child.pid, child);
    let printed = '';
    let complained = '';
    let lineStart = 0;
    child.stdout.on('data', (bytes) => {
      printed += bytes;
      for (let end = printed.indexOf('\n', lineStart); end >= 0; end = printed.indexOf('\n', lineStart)) {
        onLine(printed.slice(lineStart, end));
        lineStart = end + 1;
      }
    });
    child.stderr.on('data', (bytes) => {
      complained += bytes;
    });
    child.on('error', (error) => resolve({ failed: String(error) }));
    child.on('close', () => {
      running.delete(child.pid);
      resolve(lastReport(printed) ?? { failed: (printed + complained).trim().slice(-300) });
    });
  });
}

/** Runs a command to its end and answers what it printed; throws when it fails. */
export function runCommand(argv, { env = {}, deadlineMs = 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0], argv.slice(1).map(String), {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: deadlineMs,
    });
    let printed = '';
    let complained = '';
    child.stdout.on('data', (bytes) => {
      printed += bytes;
    });
    child.stderr.on('data', (bytes) => {
      complained += bytes;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(printed);
      else
        reject(
          new Error(
            `${argv.slice(1, 4).join(' ')} ended with ${code}: ${(complained || printed).slice(-500)}`,
          ),
        );
    });
  });
}

/** A port that nobody listens on now, for programs that cannot choose one themselves. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Waits until what we started has come to rest: the database may still be busy with what the last measurement left. */
export async function atRest(limitMs = 8_000) {
  const everything = () => [...running.keys()].flatMap((pid) => [pid, ...descendants(pid)]);
  const used = () => everything().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  for (const end = Date.now() + limitMs; Date.now() < end; ) {
    const before = used();
    await sleep(250);
    if (used() - before <= 0.03) return true;
  }
  return false;
}

const signal = (pid, name) => {
  try {
    process.kill(pid, name);
  } catch {
    // It has gone already.
  }
};

let stopping = null;
/** Ends all that was started: politely, then not. Safe to call twice. */
export function stopAll() {
  stopping ??= (async () => {
    const all = new Map();
    for (const pid of running.keys()) {
      for (const each of [pid, ...descendants(pid)]) all.set(each, beganAt(each));
    }
    const left = () => [...all].filter(([pid, began]) => began !== null && beganAt(pid) === began);
    for (const [pid] of left()) signal(pid, 'SIGCONT'); // the database may be standing still
    for (const pid of running.keys()) signal(pid, 'SIGTERM');
    for (const end = Date.now() + GRACE_MS; Date.now() < end && left().length > 0; ) await sleep(50);
    for (const [pid] of left()) signal(pid, 'SIGKILL');
    await sleep(100);
    fs.rmSync(folder, { recursive: true, force: true });
  })();
  return stopping;
}

async function leave(code, reason) {
  console.error(reason);
  await stopAll();
  process.exit(code);
}
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(name, () => void leave(130, `\n${name}: ending everything that was started`));
}
process.on('uncaughtException', (error) => void leave(1, error));
process.on('unhandledRejection', (error) => void leave(1, error));
