import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, constants as files, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { open as openFile, rename } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { encodeDeployData, encodeFunctionData, getContractAddress } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import type { Address, Hex } from '#domain/hex.ts';
import { type Clock, pause } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { locked } from '#kit/file-lock.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import {
  merkleDistributorAbi,
  merkleDistributorBytecode,
  providerCollateralAbi,
  providerCollateralBytecode,
  testTokenAbi,
  testTokenBytecode,
} from './artifacts.ts';
import { Sender } from './client.ts';
import { type Chain, openChain } from './rpc.ts';
import { MemoryTransactionStore } from './transactions.ts';

/**
 * The chain of whoever has none: a real EVM node (`anvil` from npm) on 127.0.0.1, with our contracts, test tokens, a
 * funded operator and demo wallets. Everything is in one folder:
 *
 * - `keys.json`: the secrets of this chain's parties, made at the first start, readable by us alone. They are never handed
 *   to the node, whose arguments everybody on the machine can read; money comes to them from thin air.
 * - `state`: the chain as of the last `persist`. The node does not save itself: what counts as final is saved before it is
 *   called final (`Sender` asks for it), and a node that is killed loses only what nobody relied on.
 * - `node.json`: the running node's process and port. A node whose owner died is found there and taken over.
 */
export interface LocalChain {
  readonly url: string;
  readonly chain: Chain;
  readonly contracts: LocalContracts;
  readonly keys: LocalKeys;
  /** False when the node was found running. */
  readonly started: boolean;
  /** Makes the chain as it is now durable. */
  persist(): Promise<void>;
  /** Lets time pass on the chain, and mines a block that shows it. */
  pass(seconds: number): Promise<void>;
  /** Gives an account that has none the coins that its transactions cost, out of thin air. */
  fuel(account: Address): Promise<void>;
  /** Saves the chain and stops the node. */
  stop(): Promise<void>;
}

export interface LocalContracts {
  readonly distributor: Address;
  readonly collateral: Address;
  /** Stand-ins with six, six and eighteen decimals. */
  readonly usdc: Address;
  readonly usdt: Address;
  readonly swan: Address;
}

export interface LocalKeys {
  /** Deployed the contracts and may do everything with them; mints the test tokens. */
  readonly admin: Sealed<Hex>;
  readonly operator: Sealed<Hex>;
  readonly guardian: Sealed<Hex>;
  /** Wallets to try things with. They have test tokens. */
  readonly demo: readonly Sealed<Hex>[];
}

const LOCAL_CHAIN_ID = 31_337;

const DEMO_WALLETS = 3;
const START_TIMEOUT_MS = 20_000;
const GAS_MONEY: Hex = '0x3635c9adc5dea00000'; // 1,000 ether
const DEMO_TOKENS = 1_000_000n;

/**
 * Opens the chain in `folder`: starts its node or finds it running, deploys what is missing, funds who has nothing. Doing
 * it again changes nothing, and a start that was killed at any point is finished by the next.
 */
export async function openLocalChain(options: LocalChainOptions): Promise<LocalChain> {
  const { folder, clock } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Nobody starts a second node on the state that another process is just starting one on.
  return await locked({ lock: path.join(folder, 'lock'), clock }, () => open(options));
}

export interface LocalChainOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly random: Randomness;
  /** Seconds between the publishing of a batch and its being in force. Default 60. Counts at the first start only. */
  readonly timeLockS?: number;
  /** Default: any free port. A node found running keeps the one it has. */
  readonly port?: number;
}

async function open(options: LocalChainOptions): Promise<LocalChain> {
  const { folder, clock } = options;
  const keys = await keysIn(folder, options.random);
  const node = (await runningNode(folder)) ?? (await startNode(options));
  const url = `http://127.0.0.1:${node.port}`;
  try {
    const chain = await openChain({ urls: [url], chainId: LOCAL_CHAIN_ID, timeoutMs: 30_000 });
    const persist = (): Promise<void> => saveState(url, folder);
    const contracts = await furnish({ chain, url, keys, clock, timeLockS: options.timeLockS ?? 60 });
    await persist();
    return {
      url,
      chain,
      contracts,
      keys,
      started: node.started,
      persist,
      async pass(seconds) {
        await ask(url, 'evm_increaseTime', [seconds]);
        await ask(url, 'anvil_mine', ['0x1']);
      },
      async fuel(account) {
        if ((await chain.balance(account)) === 0n) await ask(url, 'anvil_setBalance', [account, GAS_MONEY]);
      },
      async stop() {
        await persist();
        await stopNode(node.pid, clock);
        rmSync(path.join(folder, 'node.json'), { force: true });
      },
    };
  } catch (error) {
    if (node.started) await stopNode(node.pid, clock);
    throw error;
  }
}

// --- parties -----------------------------------------------------------------------------------------------------------

async function keysIn(folder: string, random: Randomness): Promise<LocalKeys> {
  const file = path.join(folder, 'keys.json');
  if (!existsSync(file)) {
    const secret = (): string => `0x${random.bytes(32).toString('hex')}`;
    const made = {
      admin: secret(),
      operator: secret(),
      guardian: secret(),
      demo: Array.from({ length: DEMO_WALLETS }, secret),
    };
    await writeDurably(file, `${JSON.stringify(made, null, 2)}\n`, 0o600);
  }
  const { admin, operator, guardian, demo } = JSON.parse(readFileSync(file, 'utf8')) as {
    admin: Hex;
    operator: Hex;
    guardian: Hex;
    demo: Hex[];
  };
  return {
    admin: new Sealed(admin),
    operator: new Sealed(operator),
    guardian: new Sealed(guardian),
    demo: demo.map((key) => new Sealed(key)),
  };
}

/** The address of a key. */
export function addressOf(key: Sealed<Hex>): Address {
  return privateKeyToAccount(key.open()).address.toLowerCase() as Address;
}

/**
 * Deploys the contracts in a fixed order by the admin's first transactions, so that each has the same address whenever it is
 * deployed, and what is missing is seen by looking there.
 */
async function furnish(options: {
  chain: Chain;
  url: string;
  keys: LocalKeys;
  clock: Clock;
  timeLockS: number;
}): Promise<LocalContracts> {
  const { chain, url, keys, clock, timeLockS } = options;
  const admin = addressOf(keys.admin);
  const operator = addressOf(keys.operator);
  const guardian = addressOf(keys.guardian);
  for (const account of [admin, operator, guardian, ...keys.demo.map(addressOf)]) {
    if ((await chain.balance(account)) === 0n) await ask(url, 'anvil_setBalance', [account, GAS_MONEY]);
  }
  const sender = new Sender({
    chain,
    store: new MemoryTransactionStore(),
    key: keys.admin,
    clock,
    settings: { confirmations: 1, maxFeePerGas: 10n ** 15n, replaceAfterMs: 60_000 },
  });
  const at = (nonce: number): Address =>
    getContractAddress({ from: admin, nonce: BigInt(nonce) }).toLowerCase() as Address;
  const contracts = { usdc: at(0), usdt: at(1), swan: at(2), distributor: at(3), collateral: at(4) };
  const roles = [admin, operator, guardian] as const;
  const token = (...args: [name: string, symbol: string, decimals: number]): Hex =>
    encodeDeployData({ abi: testTokenAbi, bytecode: testTokenBytecode, args });
  const steps: { id: string; to?: Address; data: Hex }[] = [
    { id: 'usdc', data: token('Test dollar', 'USDC', 6) },
    { id: 'usdt', data: token('Test dollar', 'USDT', 6) },
    { id: 'swan', data: token('Test SWAN', 'SWAN', 18) },
    {
      id: 'distributor',
      data: encodeDeployData({
        abi: merkleDistributorAbi,
        bytecode: merkleDistributorBytecode,
        args: [...roles, BigInt(timeLockS)],
      }),
    },
    {
      id: 'collateral',
      data: encodeDeployData({
        abi: providerCollateralAbi,
        bytecode: providerCollateralBytecode,
        args: [...roles, [contracts.usdc, contracts.usdt, contracts.swan]],
      }),
    },
    ...mintSteps(contracts, [operator, ...keys.demo.map(addressOf)]),
  ];
  // Each step is one transaction of the admin: its next nonce says which are done.
  for (const step of steps.slice(await chain.nonce(admin))) {
    await sender.send(step);
    const { status } = await sender.settled(step.id, 20);
    if (status !== 'done') throw new Fault('internal', { inner: `The local chain refused ${step.id}.` });
  }
  for (const [name, address] of Object.entries(contracts)) {
    if (await chain.code(address)) continue;
    throw new Fault('internal', {
      inner: `The local chain has no ${name} at ${address}. Remove its folder to begin anew.`,
    });
  }
  return contracts;
}

function mintSteps(
  contracts: LocalContracts,
  to: readonly Address[],
): { id: string; to: Address; data: Hex }[] {
  const decimals = { usdc: 6n, usdt: 6n, swan: 18n };
  return to.flatMap((account) =>
    (['usdc', 'usdt', 'swan'] as const).map((name) => ({
      id: `mint ${name} ${account}`,
      to: contracts[name],
      data: encodeFunctionData({
        abi: testTokenAbi,
        functionName: 'mint',
        args: [account, DEMO_TOKENS * 10n ** decimals[name]],
      }),
    })),
  );
}

// --- the node ----------------------------------------------------------------------------------------------------------

interface Node {
  readonly pid: number;
  readonly port: number;
  readonly started: boolean;
}

/** Where npm put the program for this machine. */
export function anvilProgram(): string {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const name = `@foundry-rs/anvil-${process.platform}-${arch}`;
  try {
    const there = createRequire(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json'));
    const home = path.dirname(there.resolve(`${name}/package.json`));
    return path.join(home, 'bin', process.platform === 'win32' ? 'anvil.exe' : 'anvil');
  } catch (cause) {
    throw new Fault('internal', {
      inner: `There is no local chain for ${process.platform}-${process.arch} from npm. Name an RPC server instead.`,
      cause,
    });
  }
}

async function startNode(options: LocalChainOptions): Promise<Node> {
  const { folder, clock } = options;
  const child = spawn(
    anvilProgram(),
    [
      '--host=127.0.0.1',
      `--port=${options.port ?? 0}`,
      `--chain-id=${LOCAL_CHAIN_ID}`,
      '--hardfork=cancun',
      // No accounts of its own, no page of a browser may talk to it, no limit to the state we hand it.
      '--accounts=0',
      '--no-cors',
      '--no-request-size-limit',
    ],
    // A group of its own: Ctrl-C reaches us, and we stop it when everything else is closed.
    { stdio: ['ignore', 'pipe', 'ignore'], detached: true, windowsHide: true },
  );
  const port = await listening(child, clock);
  child.stdout?.destroy();
  child.unref();
  const pid = child.pid as number;
  try {
    const state = path.join(folder, 'state');
    if (existsSync(state)) {
      await ask(`http://127.0.0.1:${port}`, 'anvil_loadState', [readFileSync(state, 'utf8')]);
    }
    await writeDurably(path.join(folder, 'node.json'), `${JSON.stringify({ pid, port })}\n`, 0o600);
  } catch (error) {
    await stopNode(pid, clock);
    throw error;
  }
  return { pid, port, started: true };
}

/** The port that the node says it listens on. */
function listening(child: ChildProcess, clock: Clock): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (why: string): void => {
      late.cancel();
      child.kill('SIGKILL');
      reject(new Fault('internal', { inner: `The local chain did not start: ${why}` }));
    };
    const late = clock.after(START_TIMEOUT_MS, () => fail('it took too long.'));
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code) => fail(`it ended with ${code}. ${said.slice(-500)}`));
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8');
      const port = /Listening on 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port === undefined) return;
      late.cancel();
      child.removeAllListeners('exit');
      resolve(Number(port));
    });
  });
}

/** The node of this folder, if it runs and is ours. */
async function runningNode(folder: string): Promise<Node | undefined> {
  const file = path.join(folder, 'node.json');
  if (!existsSync(file)) return undefined;
  const { pid, port } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; port: number };
  if (!alive(pid)) return undefined;
  // The process may be somebody else's by now, and the port too.
  const version = await ask(`http://127.0.0.1:${port}`, 'web3_clientVersion', []).catch(() => undefined);
  return typeof version === 'string' && version.startsWith('anvil')
    ? { pid, port, started: false }
    : undefined;
}

async function stopNode(pid: number, clock: Clock): Promise<void> {
  for (let waited = 0; alive(pid); waited += 20) {
    if (waited % 5_000 === 0) process.kill(pid, waited === 0 ? 'SIGTERM' : 'SIGKILL');
    await pause(clock, 20);
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

async function saveState(url: string, folder: string): Promise<void> {
  const state = await ask(url, 'anvil_dumpState', [false]);
  await writeDurably(path.join(folder, 'state'), state as string, 0o600);
}

/** Whole or not at all, and on disk when this returns. */
async function writeDurably(file: string, text: string, mode: number): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  const handle = await openFile(partial, files.O_WRONLY | files.O_CREAT | files.O_TRUNC, mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

/** One JSON-RPC call to our own node, for what only it understands. */
async function ask(url: string, method: string, params: unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (error) throw new Fault('internal', { inner: `The local chain refused ${method}: ${error.message}` });
  return result;
}
