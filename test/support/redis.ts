import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { freePorts } from './free-ports.ts';

/**
 * A real Redis or Valkey for a test. Where no such program is installed, tests that need one are skipped with a warning;
 * in CI that is a failure, so that nothing goes untested there.
 */
const PROGRAM = ['redis-server', 'valkey-server'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
);

/** Hand it to `describe.skipIf(!hasRedis())`. Throws in CI where there is none. */
export function hasRedis(): boolean {
  if (PROGRAM !== undefined) return true;
  // biome-ignore lint/suspicious/noConsole: whoever runs the tests must see that some are missing.
  console.warn('Neither redis-server nor valkey-server is installed: the tests of shared state are skipped.');
  if (process.env['CI'] === 'true') throw new Error('CI must install redis-server (.ci/run does).');
  return false;
}

/** One server with a database of its own, which can be stopped and started again (it then knows nothing). */
export class TestRedis {
  readonly port: number;
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-test-redis-'));
  #child: ChildProcess | undefined;

  static async open(): Promise<TestRedis> {
    const [port] = (await freePorts(1)) as [number];
    const server = new TestRedis(port);
    await server.start();
    return server;
  }

  private constructor(port: number) {
    this.port = port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get runs(): boolean {
    return this.#child?.exitCode === null;
  }

  async start(): Promise<void> {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const child = spawn(PROGRAM ?? 'redis-server', [...args, '--dir', this.#folder], { stdio: 'ignore' });
    this.#child = child;
    // A test run that ends early leaves none behind.
    process.once('exit', () => child.kill('SIGKILL'));
    const probe = new Redis(this.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    probe.on('error', () => undefined);
    const ended = new Promise<never>((_resolve, reject) =>
      child.once('exit', (code) =>
        reject(new Error(`Redis ended at its start on port ${this.port}: ${code}`)),
      ),
    );
    try {
      await Promise.race([probe.ping(), ended]);
    } finally {
      probe.disconnect();
      // Later it may end as it likes.
      ended.catch(() => {});
    }
  }

  /** Ends at once, and everything is forgotten. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
