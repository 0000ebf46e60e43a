import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
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
  readonly #also: string | undefined;
  readonly #password: string | undefined;
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), 'cygnet-test-redis-'));
  #child: ChildProcess | undefined;

  /** `also`: an address that it listens on besides 127.0.0.1. There it asks for a password, which its URLs have. */
  static async open(also?: string): Promise<TestRedis> {
    const [port] = (await freePorts(1)) as [number];
    const server = new TestRedis(port, also);
    await server.start();
    return server;
  }

  private constructor(port: number, also: string | undefined) {
    this.port = port;
    this.#also = also;
    this.#password = also === undefined ? undefined : randomBytes(16).toString('hex');
  }

  get url(): string {
    return this.urlAt('127.0.0.1');
  }

  /** Its URL for whoever reaches it at this address. */
  urlAt(address: string): string {
    const password = this.#password === undefined ? '' : `:${this.#password}@`;
    return `redis://${password}${address}:${this.port}`;
  }

  get runs(): boolean {
    return this.#child?.exitCode === null;
  }

  async start(): Promise<void> {
    const bind = ['--bind', '127.0.0.1', ...(this.#also === undefined ? [] : [this.#also])];
    const password = this.#password === undefined ? [] : ['--requirepass', this.#password];
    const args = ['--port', String(this.port), ...bind, ...password, '--save', '', '--appendonly', 'no'];
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
