import {
  encodeAbiParameters,
  keccak256,
  parseTransaction,
  recoverTransactionAddress,
  type TransactionSerialized,
} from 'viem';
import type { Block, Chain, Log, Receipt } from '#chain/rpc.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { Fault } from '#kit/fault.ts';
import {
  copyOf,
  emptyState,
  lower,
  MemoryContracts,
  type State,
  type Executed as Waiting,
} from './memory-contracts.ts';

/**
 * A chain in memory with our contracts and some tokens, for tests that begin anew hundreds of times. It takes the real
 * signed transactions and does with them what a node and the contracts do. What a block holds can be taken back
 * (`reorganise`), as on a real chain.
 */
export class MemoryChain implements Chain {
  readonly id: number;
  readonly contracts: MemoryContracts;
  /** What a unit of gas costs, in wei. What offers less waits. */
  baseFee = 1_000n;
  /** While true, blocks are empty: what is in the pool waits. */
  congested = false;
  /** So many blocks the server's view is behind, as that of a node that follows slowly. */
  lag = 0;
  readonly #etherAtFirst: (account: Address) => bigint;
  #states: State[];
  #pool: Waiting[] = [];
  #salt = 0;
  #acts = 0;
  #time: bigint;

  constructor(about: {
    id: number;
    distributor: Address;
    token: Address;
    /** Beside the distributor's token. */
    tokens?: ReadonlyMap<Address, number>;
    collateral?: Address;
    operator: Address;
    guardian: Address;
    /** What the operator has of the distributor's token. */
    holdings: bigint;
    /** Accounts have this much to pay gas with; more than enough where it is not said. */
    ether?: (account: Address) => bigint;
    time: bigint;
  }) {
    const { id, distributor, token, operator, guardian, collateral } = about;
    this.id = id;
    this.contracts = new MemoryContracts({
      chainId: id,
      distributor,
      token,
      tokens: new Map([[token, 6], ...(about.tokens ?? [])]),
      collateral,
      operator,
      guardian,
      timeLockS: 60n,
    });
    this.#etherAtFirst = about.ether ?? (() => 10n ** 21n);
    this.#time = about.time;
    const genesis = emptyState({ number: 0n, hash: this.#hashOf(0n), timestamp: this.#time });
    genesis.balances.set(`${token} ${operator}`, about.holdings);
    this.#states = [genesis];
  }

  // --- levers --------------------------------------------------------------------------------------------------------

  /** Puts what waits into a block, and more blocks on top of it. */
  mine(blocks = 1): void {
    for (let n = 0; n < blocks; n++) {
      this.#time += 2n;
      const number = BigInt(this.#states.length);
      const state = copyOf(this.#newest, { number, hash: this.#hashOf(number), timestamp: this.#time });
      if (!this.congested) this.#fill(state);
      this.#states.push(state);
    }
  }

  pass(seconds: number): void {
    this.#time += BigInt(seconds);
    this.mine();
  }

  /**
   * Replaces the newest blocks by as many empty ones. Their transactions are gone, also from the pool; or wait there again,
   * for those that `returns` says so of.
   */
  reorganise(depth: number, returns: (hash: Hex) => boolean = () => false): void {
    const gone = Math.min(depth, this.#states.length - 1);
    const kept = this.#states.length - gone;
    const executed = this.#states.slice(kept).flatMap((state) => state.executed);
    this.#states = this.#states.slice(0, kept);
    const again = [...executed, ...this.#pool].filter(({ call }) => returns(call.hash));
    this.#pool = [];
    this.#salt++;
    this.mine(gone);
    this.#pool = again;
  }

  /** What somebody who is not ours does: a call that waits for a block like any other. Answers its hash. */
  act(call: { from: Address; to: Address; data: Hex }): Hex {
    const hash = keccak256(
      encodeAbiParameters([{ type: 'string' }, { type: 'uint256' }], ['outsider', BigInt(++this.#acts)]),
    );
    this.#pool.push({ call: { ...call, hash }, nonce: undefined, value: 0n, maxFee: 2n ** 200n });
    return hash;
  }

  /** Gives an account tokens, as of the next block. */
  give(token: Address, account: Address, units: bigint): void {
    const { balances } = this.#newest;
    balances.set(`${token} ${account}`, (balances.get(`${token} ${account}`) ?? 0n) + units);
  }

  /** As of the newest block, or of one that is so many blocks deep (1 is the newest). */
  state(depth = 1): State {
    return this.#states[Math.max(0, this.#states.length - depth)] as State;
  }

  /** As of a block. */
  stateAt(number: bigint): State | undefined {
    return this.#states[Number(number)];
  }

  /** The hashes that wait for a block. */
  get waiting(): readonly Hex[] {
    return this.#pool.map(({ call }) => call.hash);
  }

  get #newest(): State {
    return this.#states.at(-1) as State;
  }

  /** The newest block that the server tells of. */
  get #seen(): State {
    return this.state(1 + this.lag);
  }

  #hashOf(number: bigint): Hex {
    return keccak256(
      encodeAbiParameters(
        [{ type: 'uint256' }, { type: 'uint256' }, { type: 'uint256' }],
        [BigInt(this.id), number, BigInt(this.#salt)],
      ),
    );
  }

  #fill(state: State): void {
    const rest: Waiting[] = [];
    const executed: Waiting[] = [];
    for (const one of this.#pool.toSorted((a, b) => (a.nonce ?? 0) - (b.nonce ?? 0))) {
      const next = state.nonces.get(one.call.from) ?? 0;
      if (one.nonce !== undefined && one.nonce < next) continue;
      const ready = one.nonce === undefined || one.nonce === next;
      if (!ready || one.maxFee < this.baseFee || !this.#execute(state, one)) rest.push(one);
      else executed.push(one);
    }
    state.executed = executed;
    this.#pool = rest;
  }

  // --- the face of a chain -------------------------------------------------------------------------------------------

  async head(): Promise<bigint> {
    return this.#seen.block.number;
  }

  async block(number: bigint): Promise<Block | undefined> {
    return number > this.#seen.block.number ? undefined : this.#states[Number(number)]?.block;
  }

  async receipt(hash: Hex): Promise<Receipt | undefined> {
    return this.#seen.receipts.get(hash);
  }

  async nonce(account: Address, at?: bigint): Promise<number> {
    return this.#at(at).nonces.get(account) ?? 0;
  }

  async balance(account: Address): Promise<bigint> {
    return this.#ether(this.#seen, account);
  }

  async code(): Promise<Hex | undefined> {
    return '0x00';
  }

  async logs(filter: Parameters<Chain['logs']>[0]): Promise<Log[]> {
    return this.#seen.logs.filter(
      (log) =>
        filter.addresses.includes(log.address) &&
        log.block >= filter.from &&
        log.block <= filter.to &&
        (filter.topics ?? []).every(
          (topic, i) =>
            topic === null ||
            (typeof topic === 'string' ? log.topics[i] === topic : topic.includes(log.topics[i] ?? '0x')),
        ),
    );
  }

  readonly read: Chain['read'] = async ({ address, name, args }, at) =>
    this.contracts.read(this.#at(at), { address, name, args: args as readonly unknown[] });

  async estimateGas(call: { from: Address; to?: Address | undefined; data: Hex }): Promise<bigint> {
    const { number, timestamp } = this.#seen.block;
    const state = copyOf(this.#seen, { number: number + 1n, hash: '0x', timestamp: timestamp + 2n });
    const why = this.contracts.effect(state, { ...call, hash: '0x' });
    if (why) throw new Fault('chain-reverted', { inner: why });
    return GAS;
  }

  async fees(): Promise<{ baseFee: bigint; tip: bigint }> {
    return { baseFee: this.baseFee, tip: 1n };
  }

  async broadcast(raw: Hex): Promise<string[]> {
    const hash = keccak256(raw);
    if (this.#newest.receipts.has(hash) || this.#pool.some(({ call }) => call.hash === hash))
      return ['already known'];
    const parsed = parseTransaction(raw);
    const { to, data = '0x', nonce = 0, value = 0n, maxFeePerGas: maxFee = 0n, gas = 0n } = parsed;
    const signer = await recoverTransactionAddress({ serializedTransaction: raw as TransactionSerialized });
    const from = lower(signer);
    if (nonce < (this.#newest.nonces.get(from) ?? 0)) return ['nonce too low'];
    if (this.#ether(this.#newest, from) < gas * maxFee + value)
      return ['insufficient funds for gas * price + value'];
    const rival = this.#pool.find((one) => one.nonce === nonce && one.call.from === from);
    if (rival && maxFee * 10n < rival.maxFee * 11n) return ['replacement transaction underpriced'];
    const call = { hash, from, to: to ? lower(to) : undefined, data };
    this.#pool = [...this.#pool.filter((one) => one !== rival), { call, nonce, value, maxFee }];
    return [];
  }

  async checkId(): Promise<void> {}

  #at(block: bigint | undefined): State {
    const state = block === undefined ? this.#seen : this.#states[Number(block)];
    if (!state || state.block.number > this.#seen.block.number)
      throw new Error(`The chain in memory has no block ${block}.`);
    return state;
  }

  #ether(state: State, account: Address): bigint {
    return state.ether.get(account) ?? this.#etherAtFirst(account);
  }

  /** False when the sender cannot pay for it: then it waits. */
  #execute(state: State, { call, nonce, value }: Waiting): boolean {
    if (nonce !== undefined) {
      const has = this.#ether(state, call.from);
      const cost = GAS * (this.baseFee + 1n) + value;
      if (has < cost) return false;
      state.nonces.set(call.from, nonce + 1);
      state.ether.set(call.from, has - cost);
    }
    const before = state.logs.length;
    const why = this.contracts.effect(state, call);
    if (why === undefined && value > 0n && call.to)
      state.ether.set(call.to, this.#ether(state, call.to) + value);
    state.receipts.set(call.hash, {
      hash: call.hash,
      from: call.from,
      to: call.to,
      block: state.block.number,
      blockHash: state.block.hash,
      succeeded: why === undefined,
      created: undefined,
      logs: state.logs.slice(before),
    });
    return true;
  }
}

/** What every transaction uses. */
const GAS = 100_000n;
