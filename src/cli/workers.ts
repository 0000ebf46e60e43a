import cluster, { type Worker } from 'node:cluster';
import path from 'node:path';
import type { Config } from '#config/config.ts';
import { secretOf } from '#identity/secret-file.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import { Refusal } from './refusal.ts';

/**
 * `cygnet serve --workers N`: the cores of one machine. Each worker is a gateway of its own, with a data folder of its own
 * below the market's, on the same two ports: connections are handed out in turn. Among themselves they are what gateways on
 * many machines are, linked over private ports of this machine.
 *
 * This process only watches: it starts a worker again that died, and ends when all have drained. If it dies itself, its
 * workers end at once; what they served is in their journals.
 */
export interface Workers {
  /** Asks all to drain. A second time: to end at once. */
  stop(): void;
  reload(): void;
  /** Resolves with how it ended: 0 when all drained, 1 when one could not start or had to be ended. */
  readonly ended: Promise<number>;
}

/** What the workers of this configuration need and have not, in a sentence. */
export function refuseWorkers(config: Config): void {
  const missing: string[] = [];
  if (!config.databaseUrl) missing.push('DATABASE_URL');
  if (!config.shared) missing.push('CYGNET_REDIS_URL');
  if (missing.length > 0)
    throw new Refusal(
      `Several workers share one PostgreSQL and one Redis: set ${missing.join(' and ')}, or serve with one.`,
    );
}

export function startWorkers(
  count: number,
  parts: { config: Config; clock: Clock; random: Randomness; log: Logger },
): Workers {
  const { config, clock, random, log } = parts;
  cluster.setupPrimary({ args: ['serve'] });
  const common = {
    CYGNET_SECRET: (config.external.secret ?? secretOf(config.dataFolder, random)).open(),
    CYGNET_LINK_SECRET: config.shared?.link?.secret.open() ?? random.bytes(32).toString('hex'),
  };
  const link = config.shared?.link;
  let wished = 0;
  let hasOpened = false;
  let code = 0;
  let running = 0;
  const failures = new Map<number, number>();
  let finish: (code: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    finish = resolve;
  });

  const begin = (index: number): void => {
    const worker = cluster.fork({
      ...common,
      CYGNET_DATA_DIR: path.join(config.dataFolder, `worker-${index + 1}`),
      CYGNET_LINK_PORT: String((link?.port ?? LINK_PORT) + index),
      ...(link?.url !== undefined && { CYGNET_LINK_URL: portAfter(link.url, index) }),
    });
    running += 1;
    worker.on('message', (message) => {
      if (message !== OPEN) return;
      hasOpened = true;
      failures.delete(index);
      log.info({ worker: index + 1, pid: worker.process.pid }, 'A worker is open.');
    });
    worker.once('exit', (exitCode, signal) => over(index, worker, exitCode, signal));
  };

  const over = (index: number, worker: Worker, exitCode: number, signal: string): void => {
    running -= 1;
    const about = { worker: index + 1, pid: worker.process.pid, code: exitCode, signal };
    if (wished === 0 && hasOpened) {
      const failed = failures.get(index) ?? 0;
      failures.set(index, failed + 1);
      const inMs = Math.min(AGAIN_MOST_MS, AGAIN_MS * 2 ** failed);
      log.error({ ...about, inMs }, 'A worker died; it is started again.');
      // Whatever waits to be started is not running, and must not be taken for the end.
      running += 1;
      clock.after(inMs, () => {
        running -= 1;
        if (wished === 0) begin(index);
        else if (running === 0) finish(code);
      });
      return;
    }
    if (exitCode !== 0) code = 1;
    if (wished === 0) {
      // It has said why; starting it again would only make it say so again.
      log.error(about, 'A worker could not start.');
      stop();
    }
    if (running === 0) finish(code);
  };

  const stop = (): void => {
    wished += 1;
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
  };

  for (let index = 0; index < count; index++) begin(index);
  return {
    stop,
    reload: () => {
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGHUP');
    },
    ended,
  };
}

/** Is this process a worker? */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/** A worker says that it is open. */
export function sayOpen(): void {
  process.send?.(OPEN);
}

const OPEN = 'cygnet-open';
const LINK_PORT = 8082;
const AGAIN_MS = 200;
const AGAIN_MOST_MS = 10_000;

function portAfter(url: string, index: number): string {
  const moved = new URL(url);
  const port = Number(moved.port || (moved.protocol === 'wss:' ? 443 : 80));
  return `${moved.protocol}//${moved.hostname}:${port + index}`;
}
