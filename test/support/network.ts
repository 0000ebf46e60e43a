import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * A network on this machine, to part what lives in it: each place is a network namespace of its own, with one line to a
 * router in the middle. The router can be told to pass nothing on from one address to another, and then not a word of it to
 * either: no connection is closed, no dial is refused, packets are gone. That is what a partition is, and what no proxy
 * stages, since a proxy's kernel goes on confirming what it was sent.
 *
 *     here: the test, its clients and agents 198.18.N.2, PostgreSQL .4, Redis .5
 *       |
 *     the middle ─── place 0 .17
 *               ├─── place 1 .19, and so on
 *
 * 198.18.0.0/15 is for trying networks and no part of any real one. Nothing leads from a place to the world outside. Linux, root,
 * and `ip` (iproute2) are needed. Everything has the owner's process id in its name: what a killed run left behind is removed
 * by the next one.
 */
export class TestNetwork {
  /** Where the test, its clients and agents are. */
  readonly here: string;
  readonly postgres: string;
  readonly redis: string;
  /** All of it, for whoever grants access by address. */
  readonly whole: string;
  readonly places: readonly Place[];
  readonly #middle: string;
  readonly #rules = new Map<string, Rule>();
  readonly #atExit: () => void;
  #closed = false;

  /** Throws with what `ip` said where no network can be made. */
  static async open(places: number): Promise<TestNetwork> {
    await removeLeftovers();
    const number = ++opened;
    const middle = `${PREFIX}${process.pid}-${number}-middle`;
    const names = Array.from({ length: places }, (_, i) => `${PREFIX}${process.pid}-${number}-${i}`);
    try {
      return new TestNetwork(middle, names, await make(middle, names, number));
    } catch (error) {
      for (const name of [...names, middle]) spawnSync('ip', ['netns', 'del', name]);
      throw error;
    }
  }

  private constructor(middle: string, names: readonly string[], subnet: number) {
    const address = (last: number): string => `198.18.${subnet}.${last}`;
    this.#middle = middle;
    this.here = address(HERE);
    this.postgres = address(POSTGRES);
    this.redis = address(REDIS);
    this.whole = address(0).concat('/24');
    this.places = names.map((name, i) => ({
      address: address(placeAt(i)),
      within: ['ip', 'netns', 'exec', name],
    }));
    // A test run that ends early leaves nothing behind.
    this.#atExit = () => this.#remove();
    process.once('exit', this.#atExit);
  }

  /** From now on nothing that `from` sends reaches `to`: it is dropped, or (`say`) the sender is told that there is no way. */
  async drop(from: string, to: string, say = false): Promise<void> {
    const rule: Rule = ['from', from, 'to', to, say ? 'unreachable' : 'blackhole'];
    if (this.#rules.has(`${from} ${to}`)) throw new Error(`${to} is already out of reach of ${from}.`);
    await ip('-n', this.#middle, 'rule', 'add', ...rule);
    this.#rules.set(`${from} ${to}`, rule);
  }

  /** Everything passes again. */
  async mend(): Promise<void> {
    for (const [name, rule] of this.#rules) {
      // oxlint-disable-next-line no-await-in-loop -- one rule after the other
      await ip('-n', this.#middle, 'rule', 'del', ...rule);
      this.#rules.delete(name);
    }
  }

  /** What does not pass now. */
  describe(): string {
    const cut = [...this.#rules.values()].map((rule) => rule.join(' '));
    return cut.length === 0 ? 'everything passes' : cut.join('; ');
  }

  /** Removes it. Whoever runs in it should have ended. */
  async close(): Promise<void> {
    process.off('exit', this.#atExit);
    this.#remove();
  }

  #remove(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { within } of this.places) spawnSync('ip', ['netns', 'del', within.at(-1) as string]);
    spawnSync('ip', ['netns', 'del', this.#middle]);
  }
}

/** Where a program of the network runs. */
export interface Place {
  readonly address: string;
  /** The words before a command that is to run there. It is the same process: signals to its id reach the command. */
  readonly within: readonly string[];
}

type Rule = readonly ['from', string, 'to', string, 'blackhole' | 'unreachable'];

/** A network, or, where none can be made, nothing and a loud word about what is not tried because of that. */
export async function openNetwork(places: number): Promise<TestNetwork | undefined> {
  try {
    return await TestNetwork.open(places);
  } catch (error) {
    // biome-ignore lint/suspicious/noConsole: whoever runs the tests must see that something is not tried.
    console.warn(
      `\n*** NO NETWORK NAMESPACES HERE: partitions are staged by proxies that close or hold connections, and no packet is lost. ***\n*** Needed: Linux, root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and iproute2. What was said: ${(error as Error).message.trim()} ***\n`,
    );
    return undefined;
  }
}

/** Whether networks can be made here. For `test.skipIf`. */
export function hasNetworks(): boolean {
  const name = `${PREFIX}${process.pid}-0-probe`;
  const made = spawnSync('ip', ['netns', 'add', name]).status === 0;
  if (made) spawnSync('ip', ['netns', 'del', name]);
  return made;
}

const PREFIX = 'cygnet-test-';
let opened = 0;

// The last part of an address. Each line has two ends, next to each other: the router's is the other one.
const HERE = 2;
const POSTGRES = 4;
const REDIS = 5;
const placeAt = (i: number): number => 17 + 2 * i;
const otherEnd = (last: number): number => last ^ 1;

/** The number of the subnet: a route says that it is taken, so two runs never take the same one. */
async function make(middle: string, names: readonly string[], number: number): Promise<number> {
  await ip('netns', 'add', middle);
  const inMiddle = (...words: string[]): Promise<string> => ip('-n', middle, ...words);
  // Nobody is asked whether answers could go back: they may be what is dropped.
  await ip(
    'netns',
    'exec',
    middle,
    'sh',
    '-c',
    'cd /proc/sys/net/ipv4 && echo 1 >ip_forward && echo 0 >conf/all/rp_filter && echo 0 >conf/default/rp_filter',
  );
  await inMiddle('link', 'set', 'lo', 'up');
  const near = `cyg${process.pid}n${number}`;
  await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', 'here', 'netns', middle);
  await ip('link', 'set', near, 'up');
  await inMiddle('link', 'set', 'here', 'up');
  const subnet = await takeSubnet(near);
  const address = (last: number): string => `198.18.${subnet}.${last}`;
  await inMiddle('address', 'add', `${address(otherEnd(HERE))}/31`, 'dev', 'here');
  for (const last of [POSTGRES, REDIS]) {
    await ip('address', 'add', `${address(last)}/32`, 'dev', near);
    await inMiddle('route', 'add', `${address(last)}/32`, 'via', address(HERE));
  }
  for (const [i, name] of names.entries()) {
    const inPlace = (...words: string[]): Promise<string> => ip('-n', name, ...words);
    const line = `place${i}`;
    await ip('netns', 'add', name);
    await inMiddle('link', 'add', line, 'type', 'veth', 'peer', 'name', 'line', 'netns', name);
    await inMiddle('address', 'add', `${address(otherEnd(placeAt(i)))}/31`, 'dev', line);
    await inMiddle('link', 'set', line, 'up');
    await inPlace('address', 'add', `${address(placeAt(i))}/31`, 'dev', 'line');
    await inPlace('link', 'set', 'lo', 'up');
    await inPlace('link', 'set', 'line', 'up');
    await inPlace('route', 'add', 'default', 'via', address(otherEnd(placeAt(i))));
  }
  return subnet;
}

async function takeSubnet(near: string): Promise<number> {
  for (let tries = 0; ; tries++) {
    const subnet = (process.pid + tries) % 256;
    try {
      // Taken by its route: adding one that is there already fails.
      await ip('route', 'add', `198.18.${subnet}.0/24`, 'dev', near);
    } catch (error) {
      if (tries === 255) throw error;
      continue;
    }
    await ip('address', 'add', `198.18.${subnet}.${HERE}/31`, 'dev', near);
    await ip(
      'route',
      'replace',
      `198.18.${subnet}.0/24`,
      'via',
      `198.18.${subnet}.${otherEnd(HERE)}`,
      'dev',
      near,
    );
    return subnet;
  }
}

/** Ends and removes what runs that were killed left behind: by its name it is a test's, and the test is dead. */
async function removeLeftovers(): Promise<void> {
  for (const line of (await ip('netns', 'list')).split('\n')) {
    const name = line.split(' ')[0] ?? '';
    const owner = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : undefined;
    if (!owner || alive(owner)) continue;
    for (const pid of (await ip('netns', 'pids', name).catch(() => '')).split('\n').map(Number))
      if (pid > 1 && alive(pid)) process.kill(pid, 'SIGKILL');
    // Another run may have been faster.
    await ip('netns', 'del', name).catch(() => {});
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const runFile = promisify(execFile);

async function ip(...words: string[]): Promise<string> {
  return (await runFile('ip', words)).stdout;
}
