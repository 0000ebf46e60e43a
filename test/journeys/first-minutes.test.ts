import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { stopPostgresIn } from '#db/postgres-server.ts';
import { ask } from '#support/chat-client.ts';
import { freePorts } from '#support/free-ports.ts';
import { Program, run } from '#support/program.ts';

// The README's first minutes, with the real program and nothing prepared: one command gives a market; the line it prints
// streams; what it cost can be seen; what is killed comes back; and the next start goes on where the last one stopped.
// The tests follow each other, as the minutes do.

let folder: string;
let env: Record<string, string>;
let market: Program;
const patience = { timeout: 30_000, interval: 50 };

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-first-'));
  // The database's user must pass through, where we are root.
  chmodSync(folder, 0o755);
  const [gateway, hub] = await freePorts(2);
  env = {
    CYGNET_DATA_DIR: path.join(folder, 'data'),
    CYGNET_GATEWAY_PORT: String(gateway),
    CYGNET_HUB_PORT: String(hub),
  };
});
afterAll(async () => {
  await market?.stop('SIGKILL');
  stopChainIn(path.join(folder, 'data', 'chain'));
  await stopPostgresIn(path.join(folder, 'data', 'postgres'));
  rmSync(folder, { recursive: true, force: true });
});

const url = () => `http://127.0.0.1:${env['CYGNET_GATEWAY_PORT']}`;
const keyIn = (text: string) => /sk-swan-[0-9a-f]{48}/.exec(text)?.[0] as string;

async function start(): Promise<Program> {
  market = await Program.start(['start'], env);
  await market.says('Stop with Ctrl-C.');
  return market;
}

/** What the printed curl line would send. */
function readCurl(text: string): {
  url: string;
  headers: Record<string, string>;
  body: string;
  words: string[];
} {
  const line = text.slice(text.indexOf('curl ')).split('\n\n')[0]?.replaceAll(/\\\n/g, ' ') as string;
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? (plain as string),
  );
  const after = (flag: string) => words.flatMap((word, i) => (words[i - 1] === flag ? [word] : []));
  return {
    words,
    url: words.find((word) => word.startsWith('http')) as string,
    headers: Object.fromEntries(after('-H').map((header) => header.split(': ') as [string, string])),
    body: after('-d')[0] as string,
  };
}

async function question(key: string): Promise<number> {
  const { status } = await ask({
    url: url(),
    key,
    body: { model: 'cygnet-nano', messages: [{ role: 'user', content: 'What is 17 + 25?' }] },
  });
  return status;
}

async function balance(): Promise<bigint> {
  const { out, err, code } = await run(['balance', '--json'], env);
  expect([code, err]).toEqual([0, '']);
  return BigInt((JSON.parse(out) as { total: string }).total);
}

/** The processes that `pid` has started and that live. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] === String(pid) ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
}

/** Of those: not the local chain's node. */
function agentsOf(pid: number): number[] {
  return childrenOf(pid).filter((child) => !readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('anvil'));
}

/** A killed market leaves its chain's node to the next start, which does not come here. */
function stopChainIn(chain: string): void {
  if (!existsSync(path.join(chain, 'node.json'))) return;
  const { pid } = JSON.parse(readFileSync(path.join(chain, 'node.json'), 'utf8')) as { pid: number };
  if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
}

function postmaster(): number | undefined {
  const file = path.join(folder, 'data', 'postgres', 'data', 'postmaster.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : undefined;
}

test('start says what it does, and prints addresses, a key and a line to paste', async () => {
  const { out, err } = await start();
  expect(err).toBe('');
  expect(out).toMatch(/Preparing .*database.*\(first start\)/);
  expect(out).toContain(`${url()}/v1`);
  expect(out).toContain(`ws://127.0.0.1:${env['CYGNET_HUB_PORT']}`);
  expect(keyIn(out)).toBeDefined();
  expect(out).toContain('$5.00 of demo credit');
}, 90_000);

test('the line streams real tokens, and balance, usage and audit say what it cost', async () => {
  const curl = readCurl(market.out);
  expect(curl.words.slice(0, 2)).toEqual(['curl', '-N']);
  const response = await fetch(curl.url, { method: 'POST', headers: curl.headers, body: curl.body });
  const text = await response.text();
  expect(response.status).toBe(200);
  const pieces = [...text.matchAll(/"content":"([^"]*)"/g)].map(([, piece]) => piece);
  expect(pieces.length).toBeGreaterThan(5);
  expect(pieces.join('')).toContain('42');
  expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);

  const listed = async () =>
    JSON.parse((await run(['usage', '--json'], env)).out) as Record<string, unknown>[];
  await vi.waitFor(async () => expect(await listed()).toHaveLength(1), patience);
  const [row] = await listed();
  expect(row).toMatchObject({ modelId: 'cygnet/cygnet-nano', outcome: 'completed' });
  const charge =
    BigInt(row?.['inputTokens'] as number) * 50_000n + BigInt(row?.['outputTokens'] as number) * 200_000n;
  expect(row?.['charge']).toBe(String(charge));
  expect(await balance()).toBe(5_000_000_000_000n - charge);
  const audit = await run(['audit'], env);
  expect(audit).toMatchObject({ code: 0, err: '' });
  expect(audit.out).toMatch(/^Balanced: /);
}, 60_000);

test('a wrong key, a wrong model and a bad body get their documented answers', async () => {
  const key = keyIn(market.out);
  const status = async (asked: { key?: string; body: unknown }) =>
    (await ask({ url: url(), ...asked })).status;
  expect(await status({ key: 'sk-swan-wrong', body: {} })).toBe(401);
  expect(await status({ key, body: { model: 'gpt-99', messages: [{ role: 'user', content: 'Hi' }] } })).toBe(
    404,
  );
  expect(await status({ key, body: '{' })).toBe(400);
});

describe('a second start', () => {
  test('on the same folder is told that a market runs there, whatever its ports', async () => {
    const [gateway, hub] = await freePorts(2);
    const other = { ...env, CYGNET_GATEWAY_PORT: String(gateway), CYGNET_HUB_PORT: String(hub) };
    const { code, out, err } = await run(['start'], other);
    // Nothing was opened before that was said.
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(`Process ${market.child.pid} already runs a market`);
    expect(err).toContain('CYGNET_DATA_DIR');
    expect(err.trim().split('\n')).toHaveLength(1);
  }, 60_000);

  test('whose port is taken is told which, and how to take another', async () => {
    const other = { ...env, DATABASE_URL: databaseUrl(), CYGNET_DATA_DIR: path.join(folder, 'other') };
    const { code, err } = await run(['start'], other);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^Port \d+ is in use by another program\. Set CYGNET_(HUB|GATEWAY)_PORT to a free one\.\n$/,
    );
  }, 60_000);

  test('with an address that is not this machine’s is told so', async () => {
    const other = {
      ...env,
      DATABASE_URL: databaseUrl(),
      CYGNET_DATA_DIR: path.join(folder, 'other'),
      CYGNET_HOST: '192.0.2.1',
    };
    const { code, err } = await run(['start'], other);
    expect(code).toBe(1);
    expect(err).toContain('CYGNET_HOST');
    expect(err).toContain('192.0.2.1');
  }, 60_000);

  test('on a folder that is a file is told so', async () => {
    const file = path.join(folder, 'file');
    writeFileSync(file, '');
    const { code, err } = await run(['start'], { ...env, CYGNET_DATA_DIR: file });
    expect(code).toBe(1);
    expect(err).toContain(file);
    expect(err).toContain('CYGNET_DATA_DIR');
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});

describe('what is killed comes back', () => {
  test('the agent', async () => {
    const key = keyIn(market.out);
    const [agent] = agentsOf(market.child.pid as number);
    process.kill(agent as number, 'SIGKILL');
    await vi.waitFor(() => expect(childrenOf(market.child.pid as number)).not.toContain(agent), patience);
    await vi.waitFor(async () => expect(await question(key)).toBe(200), patience);
    expect(agentsOf(market.child.pid as number)).toHaveLength(1);
  }, 60_000);

  test('the database, while requests go on', async () => {
    const key = keyIn(market.out);
    const before = postmaster() as number;
    process.kill(before, 'SIGKILL');
    // From what is set aside for this consumer.
    expect(await question(key)).toBe(200);
    await vi.waitFor(() => expect(postmaster()).not.toBe(before), patience);
    await vi.waitFor(async () => {
      const health = (await (await fetch(`${url()}/health`)).json()) as { ledger: { behind_ms: number } };
      expect(health.ledger.behind_ms).toBe(0);
    }, patience);
    expect((await run(['audit'], env)).out).toMatch(/^Balanced: /);
  }, 60_000);

  test('the market itself: the next start has every charge, the agent of the last one is gone', async () => {
    const key = keyIn(market.out);
    const [agent] = agentsOf(market.child.pid as number);
    const before = await balance();
    expect(await question(key)).toBe(200);
    await market.stop('SIGKILL');
    await vi.waitFor(() => expect(existsSync(`/proc/${agent}`)).toBe(false), patience);
    await start();
    expect(await balance()).toBeLessThan(before);
    // The key of the life before was used, so it holds.
    expect(await question(key)).toBe(200);
    expect((await run(['audit'], env)).out).toMatch(/^Balanced: /);
  }, 90_000);
});

test('Ctrl-C ends it with 0, and leaves no process behind', async () => {
  const children = [...childrenOf(market.child.pid as number), postmaster() as number];
  const ended = await market.stop('SIGINT');
  expect(ended).toEqual({ code: 0, signal: null });
  expect(market.out).toContain('Closed. Everything is kept; start again with: npm start');
  await vi.waitFor(() => {
    for (const pid of children) expect(existsSync(`/proc/${pid}`)).toBe(false);
  }, patience);
}, 60_000);

test('the next start keeps the balance, and gives no second credit', async () => {
  const before = await balance();
  const { out } = await start();
  expect(out).toContain('its balance is as you left it');
  expect(await balance()).toBe(before);
  expect(await question(keyIn(out))).toBe(200);
  expect((await market.stop('SIGTERM')).code).toBe(0);
}, 90_000);

/** The embedded database of the running market, as one of one's own. */
function databaseUrl(): string {
  const home = path.join(folder, 'data', 'postgres');
  const port = readFileSync(path.join(home, 'port'), 'utf8').trim();
  const password = readFileSync(path.join(home, 'secret'), 'utf8').trim();
  return `postgres://postgres:${password}@127.0.0.1:${port}/cygnet`;
}
