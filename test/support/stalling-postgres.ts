import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openDatabase } from '#db/database.ts';
import { migrate } from '#db/migrate.ts';
import { type PostgresServer, startPostgres } from '#db/postgres-server.ts';
import { silentLog } from '#kit/log.ts';

/** A PostgreSQL of one's own with the whole schema, which can be made to stand still: every process of it. Linux only. */
export class StallingPostgres {
  readonly url: string;
  readonly #server: PostgresServer;
  readonly #folder: string;
  #stalled: number[] = [];

  private constructor(server: PostgresServer, folder: string) {
    this.#server = server;
    this.#folder = folder;
    this.url = server.urlOf('market');
  }

  /** `also`: where it listens besides 127.0.0.1, and from where one may come. `empty`: without a schema. */
  static async open({
    also,
    empty = false,
  }: {
    also?: { address: string; from: string } | undefined;
    empty?: boolean;
  } = {}): Promise<StallingPostgres> {
    const folder = mkdtempSync(path.join(os.tmpdir(), `cygnet-test-postgres-${process.pid}-`));
    // The server's user must pass through.
    chmodSync(folder, 0o755);
    const server = await startPostgres({
      folder: path.join(folder, 'home'),
      durable: false,
      maxConnections: 300,
      ...(also && { also }),
    });
    const admin = openDatabase({ url: server.url, maxConnections: 1, log: silentLog });
    await admin.sql`create database market`;
    await admin.close();
    const postgres = new StallingPostgres(server, folder);
    if (empty) return postgres;
    const market = openDatabase({ url: postgres.url, maxConnections: 1, log: silentLog });
    await migrate(market, { url: postgres.url });
    await market.close();
    return postgres;
  }

  /** Its URL for whoever reaches it at this address. */
  urlAt(address: string): string {
    return this.url.replace('@127.0.0.1:', `@${address}:`);
  }

  get stalled(): boolean {
    return this.#stalled.length > 0;
  }

  stall(): void {
    // The first process first: it then makes no new ones.
    const first = Number(
      readFileSync(path.join(this.#folder, 'home/data/postmaster.pid'), 'utf8').split('\n')[0],
    );
    for (const pid of [first, ...childrenOf(first)]) this.#signal(pid, 'SIGSTOP');
  }

  goOn(): void {
    for (const pid of this.#stalled.splice(0).toReversed()) this.#signal(pid, 'SIGCONT');
  }

  async close(): Promise<void> {
    this.goOn();
    await this.#server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #signal(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    try {
      process.kill(pid, signal);
      if (signal === 'SIGSTOP') this.#stalled.push(pid);
    } catch {
      // It has ended meanwhile.
    }
  }
}

function childrenOf(parent: number): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // After the name, which may hold anything: state, then the parent.
      const [, ppid] = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
      if (Number(ppid) === parent) found.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
