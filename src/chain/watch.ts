import { type Abi, type ContractEventName, type DecodeEventLogReturnType, decodeEventLog } from 'viem';
import type { Address, Hex } from '#domain/hex.ts';
import { Fault } from '#kit/fault.ts';
import type { Block, Chain, Log, Topic } from './rpc.ts';

/**
 * Reads a contract's events in order and each once. Only blocks that are `confirmations` deep are read, so a
 * reorganisation of fewer blocks is never seen here at all. The cursor names the last block read by number and hash: when
 * that block is no longer in the chain, the reorganisation went deeper than anybody allowed for, and reading stops with
 * `chain-reorganised` until a person has looked.
 *
 * The caller stores what it makes of the events together with the new cursor, in one transaction.
 */
export interface Cursor {
  readonly block: bigint;
  readonly hash: Hex;
}

export type ChainEvent<A extends Abi> = DecodeEventLogReturnType<A, ContractEventName<A>> & {
  /** Transaction and place in its block: names the event for ever, once it is this deep. */
  readonly id: string;
  readonly address: Address;
  readonly block: bigint;
  readonly transaction: Hex;
};

export interface Reading<A extends Abi> {
  readonly events: readonly ChainEvent<A>[];
  readonly cursor: Cursor;
  /** Blocks that are deep enough and not read yet. */
  readonly behind: bigint;
}

/** Servers limit how many blocks one question may span; most allow this many. */
const BLOCKS_MAX = 2_000;

/** The cursor from which reading begins with block `first`. It must be deep already; 0 is. */
export async function cursorBefore(chain: Chain, first: bigint): Promise<Cursor> {
  const before = first > 0n ? first - 1n : 0n;
  const { hash } = await blockOf(chain, before);
  return { block: before, hash };
}

/** The next events after `cursor`; the same cursor and no events when no further block is deep enough. */
export async function readEvents<const A extends Abi>(
  chain: Chain,
  options: {
    addresses: readonly Address[];
    abi: A;
    cursor: Cursor;
    confirmations: number;
    /** Read at once at most. */
    blocksMax?: number;
    /**
     * Narrows what the servers are asked for. Asked when the blocks to read are settled: whatever it looks up is then no
     * older than they are.
     */
    topics?: () => Promise<readonly Topic[]>;
  },
): Promise<Reading<A>> {
  const { addresses, abi, cursor, confirmations } = options;
  const deepest = (await chain.head()) - BigInt(confirmations) + 1n;
  const known = await blockOf(chain, cursor.block, deepest < cursor.block);
  if (known.hash !== cursor.hash) {
    throw new Fault('chain-reorganised', {
      inner: `Block ${cursor.block} was ${cursor.hash} and is ${known.hash}: deeper than ${confirmations} blocks.`,
    });
  }
  if (deepest <= cursor.block) return { events: [], cursor, behind: 0n };
  const from = cursor.block + 1n;
  const most = BigInt(options.blocksMax ?? BLOCKS_MAX);
  const to = deepest - cursor.block > most ? cursor.block + most : deepest;
  const end = await blockOf(chain, to);
  const topics = await options.topics?.();
  const logs = await chain.logs({ addresses, from, to, ...(topics && { topics }) });
  // If the chain was rebuilt while it was read, or a server mixes two views of it, these differ.
  if ((await blockOf(chain, to)).hash !== end.hash || !inOrder(logs, from, to)) {
    throw new Fault('chain-disagrees', {
      inner: `The events of blocks ${from} to ${to} do not fit together.`,
    });
  }
  const events = logs.flatMap((log) => decoded(abi, log));
  return { events, cursor: { block: to, hash: end.hash }, behind: deepest - to };
}

/** The events in `logs` that `abi` knows. */
export function decoded<const A extends Abi>(abi: A, log: Log): ChainEvent<A>[] {
  try {
    const event = decodeEventLog({
      abi,
      data: log.data,
      topics: log.topics as [Hex, ...Hex[]],
      strict: true,
    });
    return [
      {
        ...(event as DecodeEventLogReturnType<A, ContractEventName<A>>),
        id: `${log.transaction}:${log.index}`,
        address: log.address,
        block: log.block,
        transaction: log.transaction,
      },
    ];
  } catch {
    // An event that this version of the contract's interface does not have.
    return [];
  }
}

function inOrder(logs: readonly Log[], from: bigint, to: bigint): boolean {
  return logs.every((log, i) => {
    const before = logs[i - 1];
    if (log.block < from || log.block > to) return false;
    return !before || before.block < log.block || (before.block === log.block && before.index < log.index);
  });
}

async function blockOf(chain: Chain, number: bigint, mayBeAbsent = false): Promise<Block> {
  const block = await chain.block(number);
  if (block) return block;
  throw new Fault(mayBeAbsent ? 'chain-reorganised' : 'chain-disagrees', {
    inner: `Block ${number} is not there${mayBeAbsent ? ' any more' : ''}.`,
  });
}
