import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { type LocalChain, openLocalChain } from '#chain/local-chain.ts';
import { systemClock } from '#kit/clock.ts';
import { systemRandomness } from '#kit/random.ts';

/** A local chain for one test file, in a folder of its own, with the levers of the node in hand. */
export interface TestChain extends LocalChain {
  readonly folder: string;
  /** One JSON-RPC call to the node. */
  ask(method: string, ...params: unknown[]): Promise<unknown>;
  mine(blocks: number): Promise<void>;
  /** Replaces the newest `depth` blocks by as many empty ones. Their transactions are gone, also from the pool. */
  reorganise(depth: number): Promise<void>;
  close(): Promise<void>;
}

const PREFIX = 'cygnet-test-chain-';

export async function openTestChain(): Promise<TestChain> {
  removeLeftovers();
  const folder = mkdtempSync(path.join(os.tmpdir(), `${PREFIX}${process.pid}-`));
  const local = await openLocalChain({ folder, clock: systemClock, random: systemRandomness, timeLockS: 60 });
  const ask = (method: string, ...params: unknown[]): Promise<unknown> => askNode(local.url, method, params);
  const mine = async (blocks: number): Promise<void> => {
    await ask('anvil_mine', `0x${blocks.toString(16)}`);
  };
  return {
    ...local,
    folder,
    ask,
    mine,
    async reorganise(depth) {
      await ask('anvil_reorg', depth, []);
      await ask('anvil_dropAllTransactions');
    },
    async close() {
      await local.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function askNode(url: string, method: string, params: unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

/** Stops the nodes of test runs that were killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(os.tmpdir())) {
    const owner = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length).split('-')[0]) : undefined;
    if (!owner || alive(owner)) continue;
    const folder = path.join(os.tmpdir(), name);
    try {
      const { pid } = JSON.parse(readFileSync(path.join(folder, 'node.json'), 'utf8')) as { pid: number };
      if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('anvil')) process.kill(pid, 'SIGKILL');
    } catch {
      // It never started, or it is gone.
    }
    rmSync(folder, { recursive: true, force: true });
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

/** What a dishonest or broken server does with one call: answer something, or throw to answer an error. */
export type Meddling = (params: unknown[], forward: () => Promise<unknown>) => unknown;

/** An RPC server between us and a node, that meddles with the calls it is told to. */
export interface MeddlingRpc {
  readonly url: string;
  /** By method. */
  readonly meddle: Map<string, Meddling>;
  readonly calls: string[];
  close(): Promise<void>;
}

export async function openMeddlingRpc(node: string): Promise<MeddlingRpc> {
  const meddle = new Map<string, Meddling>();
  const calls: string[] = [];
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    const answer = async (): Promise<void> => {
      const { id, method, params } = JSON.parse(Buffer.concat(parts).toString('utf8')) as {
        id: number;
        method: string;
        params?: unknown[];
      };
      calls.push(method);
      const forward = (): Promise<unknown> => askNode(node, method, params ?? []);
      const meddling = meddle.get(method);
      try {
        const result = meddling ? await meddling(params ?? [], forward) : await forward();
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result: result ?? null }));
      } catch (error) {
        const message = (error as Error).message;
        response.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32_000, message } }));
      }
    };
    request.on('end', () => void answer());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    meddle,
    calls,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
