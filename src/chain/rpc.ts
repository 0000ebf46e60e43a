import {
  type Abi,
  type ContractFunctionArgs,
  type ContractFunctionName,
  createPublicClient,
  decodeFunctionResult,
  encodeFunctionData,
  HttpRequestError,
  http,
  type PublicClient,
  RpcRequestError,
  TimeoutError,
  TransactionReceiptNotFoundError,
} from 'viem';
import type { Address, Hex } from '#domain/hex.ts';
import { Fault } from '#kit/fault.ts';

/**
 * A chain as we read it: through one RPC server or several. Whatever money follows from is asked of all of them and must
 * be answered alike; a server that lies, or is behind, then stops the work instead of misleading it. With one server that
 * server is trusted.
 *
 * Faults: `chain-unreachable` when a server does not answer (try again in the next round), `chain-disagrees` when servers
 * answer differently or one is on another chain.
 */
export interface Chain {
  readonly id: number;
  /** The highest block that every server has. */
  head(): Promise<bigint>;
  /** A block as all servers have it; undefined when none has it yet. */
  block(number: bigint): Promise<Block | undefined>;
  /** What became of a transaction; undefined while it is in no block. */
  receipt(hash: Hex): Promise<Receipt | undefined>;
  /** Transactions that the account has in blocks, now or as of a block: its next nonce. */
  nonce(account: Address, at?: bigint): Promise<number>;
  balance(account: Address): Promise<bigint>;
  code(account: Address): Promise<Hex | undefined>;
  /** `topics` as in the JSON-RPC call: by place, null for any. */
  logs(filter: {
    addresses: readonly Address[];
    from: bigint;
    to: bigint;
    topics?: readonly (Hex | null)[];
  }): Promise<Log[]>;
  /** Asks a contract, as of a block (the newest unless said otherwise). */
  read<const A extends Abi, N extends ContractFunctionName<A, 'view' | 'pure'>>(
    question: {
      address: Address;
      abi: A;
      name: N;
      args: ContractFunctionArgs<A, 'view' | 'pure', N>;
    },
    at?: bigint,
  ): Promise<unknown>;
  /** What a transaction would use, in units of gas. Throws `chain-reverted` when it would fail. */
  estimateGas(call: { from: Address; to?: Address | undefined; data: Hex; value: bigint }): Promise<bigint>;
  /** The base fee of the newest block and the tip that is usual, in wei, as the first server sees them. */
  fees(): Promise<{ baseFee: bigint; tip: bigint }>;
  /** Hands a signed transaction to every server; the complaints of those that refused it. */
  broadcast(raw: Hex): Promise<string[]>;
  /** Throws `chain-disagrees` unless every server is on this chain. */
  checkId(): Promise<void>;
}

export interface Block {
  readonly number: bigint;
  readonly hash: Hex;
  /** Seconds since 1970, as the chain says. */
  readonly timestamp: bigint;
}

export interface Receipt {
  readonly hash: Hex;
  readonly from: Address;
  readonly to: Address | undefined;
  readonly block: bigint;
  readonly blockHash: Hex;
  readonly succeeded: boolean;
  readonly created: Address | undefined;
  readonly logs: readonly Log[];
}

export interface Log {
  readonly address: Address;
  readonly topics: readonly Hex[];
  readonly data: Hex;
  readonly block: bigint;
  readonly blockHash: Hex;
  readonly transaction: Hex;
  readonly index: number;
}

const lower = (hex: string): Hex => hex.toLowerCase() as Hex;

/** Opens a chain and checks its id (`checkLater`: leaves that to whoever uses it, so that a server may be away).
 * `urls` are RPC servers; more than one are compared. */
export async function openChain(options: {
  urls: readonly string[];
  chainId: number;
  timeoutMs?: number;
  checkLater?: boolean;
}): Promise<Chain> {
  const servers = options.urls.map((url) =>
    createPublicClient({ transport: http(url, { retryCount: 0, timeout: options.timeoutMs ?? 10_000 }) }),
  );
  const [first] = servers;
  if (!first) throw new Fault('internal', { inner: 'A chain needs the address of an RPC server.' });

  /** The answer that all servers give. */
  const agreed = async <T>(what: string, ask: (server: PublicClient) => Promise<T>): Promise<T> => {
    const answers = await Promise.all(servers.map((server) => reached(() => ask(server))));
    const texts = answers.map((answer) =>
      JSON.stringify(answer, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    );
    if (texts.some((text) => text !== texts[0])) {
      throw new Fault('chain-disagrees', { inner: `The RPC servers answer ${what} differently.` });
    }
    return answers[0] as T;
  };

  const chain: Chain = {
    id: options.chainId,

    async head() {
      const heads = await Promise.all(
        servers.map((server) => reached(() => server.getBlockNumber({ cacheTime: 0 }))),
      );
      return heads.reduce((least, head) => (head < least ? head : least));
    },

    block: (number) =>
      agreed(`block ${number}`, async (server) => {
        const found = await server.request({
          method: 'eth_getBlockByNumber',
          params: [`0x${number.toString(16)}`, false],
        });
        if (!found?.hash) return undefined;
        return { number, hash: lower(found.hash), timestamp: BigInt(found.timestamp) };
      }),

    receipt: (hash) =>
      agreed(`the receipt of ${hash}`, async (server) => {
        const found = await server.getTransactionReceipt({ hash }).catch((error: unknown) => {
          if (error instanceof TransactionReceiptNotFoundError) return undefined;
          throw error;
        });
        if (!found) return undefined;
        return {
          hash: lower(found.transactionHash),
          from: lower(found.from),
          to: found.to ? lower(found.to) : undefined,
          block: found.blockNumber,
          blockHash: lower(found.blockHash),
          succeeded: found.status === 'success',
          created: found.contractAddress ? lower(found.contractAddress) : undefined,
          logs: found.logs.map(logOf),
        };
      }),

    nonce: (address, at) =>
      agreed(`the nonce of ${address}`, (server) =>
        server.getTransactionCount(at === undefined ? { address } : { address, blockNumber: at }),
      ),

    balance: (address) => agreed(`the balance of ${address}`, (server) => server.getBalance({ address })),

    code: (address) => agreed(`the code of ${address}`, (server) => server.getCode({ address })),

    logs: ({ addresses, from, to, topics = [] }) =>
      agreed(`events of blocks ${from} to ${to}`, async (server) => {
        const range = { fromBlock: `0x${from.toString(16)}`, toBlock: `0x${to.toString(16)}` } as const;
        const found = await server.request({
          method: 'eth_getLogs',
          params: [{ address: [...addresses], topics: [...topics], ...range }],
        });
        return found.map((log) =>
          logOf({
            ...log,
            blockNumber: log.blockNumber && BigInt(log.blockNumber),
            logIndex: Number(log.logIndex),
          }),
        );
      }),

    async read({ address, abi, name, args }, at) {
      const data = encodeFunctionData({ abi, functionName: name, args } as never);
      const result = await agreed(`${name} of ${address}`, async (server) => {
        const answer = await server.call({
          to: address,
          data,
          ...(at !== undefined && { blockNumber: at }),
        });
        return answer.data ?? '0x';
      });
      if (result === '0x')
        throw new Fault('chain-disagrees', { inner: `There is no such contract at ${address}.` });
      const answer: { abi: Abi; functionName: string; data: Hex } = { abi, functionName: name, data: result };
      return decodeFunctionResult(answer);
    },

    async estimateGas({ from, to, data, value }) {
      try {
        return await reached(() => first.estimateGas({ account: from, ...(to && { to }), data, value }));
      } catch (error) {
        if (error instanceof Fault) throw error;
        throw new Fault('chain-reverted', {
          inner: error instanceof Error ? error.message : String(error),
          cause: error,
        });
      }
    },

    async fees() {
      const [block, tip] = await Promise.all([
        reached(() => first.getBlock({ blockTag: 'latest' })),
        reached(() => first.request({ method: 'eth_maxPriorityFeePerGas' })),
      ]);
      return { baseFee: block.baseFeePerGas ?? 0n, tip: BigInt(tip) };
    },

    async broadcast(raw) {
      const answers = await Promise.allSettled(
        servers.map((server) => server.sendRawTransaction({ serializedTransaction: raw })),
      );
      return answers.flatMap((answer) => {
        if (answer.status === 'fulfilled') return [];
        const { reason } = answer as { reason: Error & { details?: string } };
        return [reason.details ?? reason.message];
      });
    },

    async checkId() {
      const ids = await Promise.all(servers.map((server) => reached(() => server.getChainId())));
      const wrong = ids.find((id) => id !== options.chainId);
      if (wrong !== undefined) {
        throw new Fault('chain-disagrees', {
          inner: `An RPC server is on chain ${wrong}, and this market on chain ${options.chainId}.`,
        });
      }
    },
  };
  if (!options.checkLater) await chain.checkId();
  return chain;
}

function logOf(log: {
  address: string;
  topics: readonly string[];
  data: string;
  blockNumber: bigint | null;
  blockHash: string | null;
  transactionHash: string | null;
  logIndex: number | null;
}): Log {
  return {
    address: lower(log.address),
    topics: log.topics.map(lower),
    data: lower(log.data),
    block: log.blockNumber ?? -1n,
    blockHash: lower(log.blockHash ?? '0x'),
    transaction: lower(log.transactionHash ?? '0x'),
    index: log.logIndex ?? -1,
  };
}

/** Tells a server that did not answer from one that answered no. */
async function reached<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
      if (cause instanceof RpcRequestError) break;
      if (cause instanceof HttpRequestError || cause instanceof TimeoutError) {
        throw new Fault('chain-unreachable', {
          inner: `The RPC server did not answer: ${cause.shortMessage}`,
          cause: error,
        });
      }
    }
    throw error;
  }
}
