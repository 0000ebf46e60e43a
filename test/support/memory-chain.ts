import {
  concatHex,
  decodeFunctionData,
  encodeAbiParameters,
  encodeEventTopics,
  keccak256,
  parseTransaction,
  recoverTransactionAddress,
  type TransactionSerialized,
} from 'viem';
import { merkleDistributorAbi, testTokenAbi } from '#chain/artifacts.ts';
import type { Block, Chain, Log, Receipt } from '#chain/rpc.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { Fault } from '#kit/fault.ts';

/**
 * A chain in memory with the distributor and one token, for tests that begin anew hundreds of times. It takes the real
 * signed transactions and does with them what the contracts do: the same conditions, refusals and events. What a block
 * holds can be taken back (`reorganise`), as on a real chain.
 */
export class MemoryChain implements Chain {
  readonly id: number;
  readonly #distributor: Address;
  readonly #token: Address;
  readonly #roles: { operator: Address; guardian: Address };
  readonly #timeLock = 60n;
  #states: State[];
  #pool: Signed[] = [];
  #salt = 0;
  #time: bigint;

  constructor(about: {
    id: number;
    distributor: Address;
    token: Address;
    operator: Address;
    guardian: Address;
    holdings: bigint;
    time: bigint;
  }) {
    this.id = about.id;
    this.#distributor = about.distributor;
    this.#token = about.token;
    this.#roles = { operator: about.operator, guardian: about.guardian };
    this.#time = about.time;
    const genesis = emptyState({ number: 0n, hash: this.#hashOf(0n), timestamp: this.#time });
    genesis.balances.set(about.operator, about.holdings);
    this.#states = [genesis];
  }

  // --- levers --------------------------------------------------------------------------------------------------------

  /** Puts what waits into a block, and more blocks on top of it. */
  mine(blocks = 1): void {
    for (let n = 0; n < blocks; n++) {
      this.#time += 2n;
      const number = BigInt(this.#states.length);
      const state = copyOf(this.#head, { number, hash: this.#hashOf(number), timestamp: this.#time });
      const rest: Signed[] = [];
      for (const signed of this.#pool.toSorted((a, b) => a.nonce - b.nonce)) {
        const next = state.nonces.get(signed.from) ?? 0;
        if (signed.nonce > next) rest.push(signed);
        if (signed.nonce === next) this.#execute(state, signed);
      }
      this.#pool = rest;
      this.#states.push(state);
    }
  }

  pass(seconds: number): void {
    this.#time += BigInt(seconds);
    this.mine();
  }

  /** Replaces the newest blocks by as many empty ones. Their transactions are gone, also from the pool. */
  reorganise(depth: number): void {
    const gone = Math.min(depth, this.#states.length - 1);
    this.#states = this.#states.slice(0, this.#states.length - gone);
    this.#pool = [];
    this.#salt++;
    this.mine(gone);
  }

  get #head(): State {
    return this.#states.at(-1) as State;
  }

  #hashOf(number: bigint): Hex {
    return keccak256(
      encodeAbiParameters(
        [{ type: 'uint256' }, { type: 'uint256' }, { type: 'uint256' }],
        [BigInt(this.id), number, BigInt(this.#salt)],
      ),
    );
  }

  // --- the face of a chain -------------------------------------------------------------------------------------------

  async head(): Promise<bigint> {
    return this.#head.block.number;
  }

  async block(number: bigint): Promise<Block | undefined> {
    return this.#states[Number(number)]?.block;
  }

  async receipt(hash: Hex): Promise<Receipt | undefined> {
    return this.#head.receipts.get(hash);
  }

  async nonce(account: Address, at?: bigint): Promise<number> {
    return this.#at(at).nonces.get(account) ?? 0;
  }

  async balance(): Promise<bigint> {
    return 10n ** 21n;
  }

  async code(): Promise<Hex | undefined> {
    return '0x00';
  }

  async logs(filter: Parameters<Chain['logs']>[0]): Promise<Log[]> {
    return this.#head.logs.filter(
      (log) =>
        filter.addresses.includes(log.address) &&
        log.block >= filter.from &&
        log.block <= filter.to &&
        (filter.topics ?? []).every((topic, i) => topic === null || log.topics[i] === topic),
    );
  }

  readonly read: Chain['read'] = async (question, at) => {
    const args = question.args as readonly unknown[];
    const state = this.#at(at);
    const [, account] = args as [Address, Address];
    const answers: Record<string, () => unknown> = {
      lastNumber: () => BigInt(state.lastNumber),
      batchInForce: () => inForce(state),
      batchWaiting: () => (waits(state) ? state.pending : NONE),
      claimed: () => state.claimed.get(account) ?? 0n,
      claimedTotal: () => state.claimedTotal,
      funded: () => this.#funded(state),
      balanceOf: () => state.balances.get(args[0] as Address) ?? 0n,
      decimals: () => 6,
    };
    const answer = answers[question.name];
    if (!answer) throw new Error(`The chain in memory has no ${question.name}.`);
    // As a node's answer: in the types that the ABI's coding gives.
    return answer();
  };

  async estimateGas(call: { from: Address; to?: Address | undefined; data: Hex }): Promise<bigint> {
    const { number, timestamp } = this.#head.block;
    const state = copyOf(this.#head, { number: number + 1n, hash: '0x', timestamp: timestamp + 2n });
    const why = this.#effect(state, { ...call, hash: '0x', nonce: 0 });
    if (why) throw new Fault('chain-reverted', { inner: why });
    return 100_000n;
  }

  async fees(): Promise<{ baseFee: bigint; tip: bigint }> {
    return { baseFee: 1_000n, tip: 1n };
  }

  async broadcast(raw: Hex): Promise<string[]> {
    const hash = keccak256(raw);
    if (this.#head.receipts.has(hash) || this.#pool.some((one) => one.hash === hash))
      return ['already known'];
    const { to, data = '0x', nonce = 0 } = parseTransaction(raw);
    const from = await recoverTransactionAddress({ serializedTransaction: raw as TransactionSerialized });
    const signed = { hash, nonce, from: lower(from), to: to ? lower(to) : undefined, data };
    if (signed.nonce < (this.#head.nonces.get(signed.from) ?? 0)) return ['nonce too low'];
    this.#pool = [...this.#pool.filter((one) => one.from !== signed.from || one.nonce !== nonce), signed];
    return [];
  }

  async checkId(): Promise<void> {}

  #at(block: bigint | undefined): State {
    const state = block === undefined ? this.#head : this.#states[Number(block)];
    if (!state) throw new Error(`The chain in memory has no block ${block}.`);
    return state;
  }

  // --- what transactions do ------------------------------------------------------------------------------------------

  #execute(state: State, signed: Signed): void {
    state.nonces.set(signed.from, signed.nonce + 1);
    const before = state.logs.length;
    const why = this.#effect(state, signed);
    state.receipts.set(signed.hash, {
      hash: signed.hash,
      from: signed.from,
      to: signed.to,
      block: state.block.number,
      blockHash: state.block.hash,
      succeeded: why === undefined,
      created: undefined,
      logs: state.logs.slice(before),
    });
  }

  /** Changes `state`, or answers why it reverts and changes nothing. */
  #effect(state: State, signed: Signed): string | undefined {
    if (signed.to === this.#token) {
      const { functionName, args } = decodeFunctionData({ abi: testTokenAbi, data: signed.data });
      if (functionName !== 'transfer') return 'unknown';
      const [to, amount] = args;
      return moveTokens(state, signed.from, lower(to), amount);
    }
    if (signed.to !== this.#distributor) return 'no such contract';
    const { functionName, args } = decodeFunctionData({ abi: merkleDistributorAbi, data: signed.data });
    switch (functionName) {
      case 'publish':
        return this.#publish(state, signed, args);
      case 'revoke':
        return this.#revoke(state, signed, args);
      case 'claim':
        return this.#claim(state, signed, args);
      default:
        return 'unknown';
    }
  }

  #publish(
    state: State,
    signed: Signed,
    [, number, root, increase, total, claimsHash]: readonly [Hex, bigint, Hex, bigint, bigint, Hex],
  ): string | undefined {
    if (signed.from !== this.#roles.operator) return 'AccessControlUnauthorizedAccount';
    if (Number(number) !== state.lastNumber + 1) return 'WrongBatchNumber';
    if (waits(state)) return 'BatchStillLocked';
    const active = inForce(state);
    if (total !== active.total + increase) return 'WrongTotal';
    if (total > this.#funded(state)) return 'NotFunded';
    const activeAt = state.block.timestamp + this.#timeLock;
    state.active = active;
    state.pending = { root, total, number, activeAt };
    state.lastNumber = Number(number);
    this.#emit(state, signed, 'BatchPublished', { token: this.#token, number, root }, [
      total,
      increase,
      claimsHash,
      activeAt,
    ]);
    return undefined;
  }

  #revoke(state: State, signed: Signed, [, number]: readonly [Hex, bigint]): string | undefined {
    if (signed.from !== this.#roles.guardian) return 'AccessControlUnauthorizedAccount';
    if (!waits(state) || state.pending.number !== number) return 'NothingToRevoke';
    const { root } = state.pending;
    state.pending = NONE;
    this.#emit(state, signed, 'BatchRevoked', { token: this.#token, number, root }, []);
    return undefined;
  }

  #claim(
    state: State,
    signed: Signed,
    [, who, cumulative, proof]: readonly [Hex, Hex, bigint, readonly Hex[]],
  ): string | undefined {
    const account = lower(who);
    const batch = inForce(state);
    if (rootOf(this.#leaf(account, cumulative), proof) !== batch.root) return 'WrongProof';
    const before = state.claimed.get(account) ?? 0n;
    if (cumulative <= before) return 'NothingToClaim';
    const paid = cumulative - before;
    if (state.claimedTotal + paid > batch.total) return 'PromiseExceeded';
    const refused = moveTokens(state, this.#distributor, account, paid);
    if (refused) return refused;
    state.claimed.set(account, cumulative);
    state.claimedTotal += paid;
    this.#emit(state, signed, 'Claimed', { token: this.#token, account }, [paid, cumulative]);
    return undefined;
  }

  #funded(state: State): bigint {
    return (state.balances.get(this.#distributor) ?? 0n) + state.claimedTotal;
  }

  #leaf(account: Address, cumulative: bigint): Hex {
    const types = ['uint256', 'address', 'address', 'address', 'uint256'].map((type) => ({ type }));
    const values = [BigInt(this.id), this.#distributor, this.#token, account, cumulative];
    return keccak256(keccak256(encodeAbiParameters(types, values)));
  }

  #emit(state: State, signed: Signed, eventName: string, args: object, rest: readonly unknown[]): void {
    const abi = merkleDistributorAbi.find((item) => item.type === 'event' && item.name === eventName);
    if (abi?.type !== 'event') throw new Error(`There is no event ${eventName}.`);
    const plain = abi.inputs.filter((input) => !input.indexed);
    state.logs.push({
      address: this.#distributor,
      topics: encodeEventTopics({ abi: [abi], args } as never) as Hex[],
      data: encodeAbiParameters(plain, rest as never),
      block: state.block.number,
      blockHash: state.block.hash,
      transaction: signed.hash,
      index: state.logs.filter((log) => log.block === state.block.number).length,
    });
  }
}

interface Batch {
  readonly root: Hex;
  readonly total: bigint;
  readonly number: bigint;
  readonly activeAt: bigint;
}

interface Signed {
  readonly hash: Hex;
  readonly nonce: number;
  readonly from: Address;
  readonly to?: Address | undefined;
  readonly data: Hex;
}

/** Everything as of a block. */
interface State {
  readonly block: Block;
  readonly nonces: Map<Address, number>;
  readonly balances: Map<Address, bigint>;
  readonly claimed: Map<Address, bigint>;
  readonly receipts: Map<Hex, Receipt>;
  readonly logs: Log[];
  lastNumber: number;
  active: Batch;
  pending: Batch;
  claimedTotal: bigint;
}

const NONE: Batch = { root: `0x${'0'.repeat(64)}`, total: 0n, number: 0n, activeAt: 0n };

function emptyState(block: Block): State {
  return {
    block,
    nonces: new Map(),
    balances: new Map(),
    claimed: new Map(),
    receipts: new Map(),
    logs: [],
    lastNumber: 0,
    active: NONE,
    pending: NONE,
    claimedTotal: 0n,
  };
}

function copyOf(state: State, block: Block): State {
  return {
    ...state,
    block,
    nonces: new Map(state.nonces),
    balances: new Map(state.balances),
    claimed: new Map(state.claimed),
    receipts: new Map(state.receipts),
    logs: [...state.logs],
  };
}

function waits(state: State): boolean {
  return state.pending.number > 0n && state.block.timestamp < state.pending.activeAt;
}

function inForce(state: State): Batch {
  return state.pending.number > 0n && !waits(state) ? state.pending : state.active;
}

function moveTokens(state: State, from: Address, to: Address, amount: bigint): string | undefined {
  const has = state.balances.get(from) ?? 0n;
  if (has < amount) return 'ERC20InsufficientBalance';
  state.balances.set(from, has - amount);
  state.balances.set(to, (state.balances.get(to) ?? 0n) + amount);
  return undefined;
}

function rootOf(leaf: Hex, proof: readonly Hex[]): Hex {
  return proof.reduce((one, other) => keccak256(concatHex(one <= other ? [one, other] : [other, one])), leaf);
}

const lower = (hex: string): Hex => hex.toLowerCase() as Hex;
