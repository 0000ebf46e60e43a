import {
  type Abi,
  concatHex,
  decodeFunctionData,
  encodeAbiParameters,
  encodeEventTopics,
  keccak256,
} from 'viem';
import { merkleDistributorAbi, providerCollateralAbi, testTokenAbi } from '#chain/artifacts.ts';
import type { Block, Log, Receipt } from '#chain/rpc.ts';
import type { Address, Hex } from '#domain/hex.ts';

/** The contracts of a chain in memory: the same conditions, refusals and events as those in `contracts/src`. */
export interface ContractPlaces {
  readonly chainId: number;
  readonly distributor: Address;
  /** What the distributor pays in. */
  readonly token: Address;
  /** Every token with its decimals, the distributor's among them. */
  readonly tokens: ReadonlyMap<Address, number>;
  readonly collateral: Address | undefined;
  readonly operator: Address;
  readonly guardian: Address;
  readonly timeLockS: bigint;
}

interface Batch {
  readonly root: Hex;
  readonly total: bigint;
  readonly number: bigint;
  readonly activeAt: bigint;
}

/** What an account pledged in a token. The first three are what the contract knows; the rest is for whoever checks it. */
export interface MemoryPledge {
  readonly locked: bigint;
  readonly waiting: bigint;
  readonly refundableAt: bigint;
  readonly deposited: bigint;
  readonly slashed: bigint;
  readonly refunded: bigint;
}

/** Everything as of a block. */
export interface State {
  readonly block: Block;
  readonly nonces: Map<Address, number>;
  /** By account; those who never moved any have what the chain gives to begin with. */
  readonly ether: Map<Address, bigint>;
  /** By token and account. */
  readonly balances: Map<string, bigint>;
  readonly claimed: Map<Address, bigint>;
  readonly pledges: Map<string, MemoryPledge>;
  readonly reasons: Set<Hex>;
  readonly receipts: Map<Hex, Receipt>;
  readonly logs: Log[];
  lastNumber: number;
  active: Batch;
  pending: Batch;
  claimedTotal: bigint;
  /** What came into this very block. */
  executed: readonly Executed[];
}

/** A call in a block, as it waited before. */
export interface Executed {
  readonly call: Call;
  /** Undefined for outsiders: theirs is nobody's business. */
  readonly nonce: number | undefined;
  readonly value: bigint;
  /** The most it pays for a unit of gas, in wei. */
  readonly maxFee: bigint;
}

/** A call as a contract sees it. */
export interface Call {
  readonly hash: Hex;
  readonly from: Address;
  readonly to?: Address | undefined;
  readonly data: Hex;
}

const NO_BATCH: Batch = { root: `0x${'0'.repeat(64)}`, total: 0n, number: 0n, activeAt: 0n };
const NO_PLEDGE: MemoryPledge = {
  locked: 0n,
  waiting: 0n,
  refundableAt: 0n,
  deposited: 0n,
  slashed: 0n,
  refunded: 0n,
};
const REFUND_WAIT_S = 7n * 86_400n;

export function emptyState(block: Block): State {
  return {
    block,
    nonces: new Map(),
    ether: new Map(),
    balances: new Map(),
    claimed: new Map(),
    pledges: new Map(),
    reasons: new Set(),
    receipts: new Map(),
    logs: [],
    lastNumber: 0,
    active: NO_BATCH,
    pending: NO_BATCH,
    claimedTotal: 0n,
    executed: [],
  };
}

export function copyOf(state: State, block: Block): State {
  return {
    ...state,
    block,
    nonces: new Map(state.nonces),
    ether: new Map(state.ether),
    balances: new Map(state.balances),
    claimed: new Map(state.claimed),
    pledges: new Map(state.pledges),
    reasons: new Set(state.reasons),
    receipts: new Map(state.receipts),
    logs: [...state.logs],
    executed: [],
  };
}

function waits(state: State): boolean {
  return state.pending.number > 0n && state.block.timestamp < state.pending.activeAt;
}

function inForce(state: State): Batch {
  return state.pending.number > 0n && !waits(state) ? state.pending : state.active;
}

export function balanceIn(state: State, token: Address, account: Address): bigint {
  return state.balances.get(`${token} ${account}`) ?? 0n;
}

export const lower = (hex: string): Hex => hex.toLowerCase() as Hex;

export class MemoryContracts {
  readonly places: ContractPlaces;
  /** Breaks the distributor on purpose: it publishes what is not funded. */
  fundingUnchecked = false;

  constructor(places: ContractPlaces) {
    this.places = places;
  }

  /** What contracts answer to questions. */
  read(state: State, question: { address: Address; name: string; args: readonly unknown[] }): unknown {
    const { token } = this.places;
    const [first, second] = question.args as [Address, Address];
    const answers: Record<string, () => unknown> = {
      lastNumber: () => BigInt(state.lastNumber),
      batchInForce: () => inForce(state),
      batchWaiting: () => (waits(state) ? state.pending : NO_BATCH),
      claimed: () => state.claimed.get(second) ?? 0n,
      claimedTotal: () => state.claimedTotal,
      funded: () => this.funded(state),
      balanceOf: () => balanceIn(state, question.address, first),
      decimals: () => this.places.tokens.get(question.address) ?? this.places.tokens.get(token),
      pledgeOf: () => this.pledgeOf(state, second, first),
    };
    const answer = answers[question.name];
    if (!answer) throw new Error(`The chain in memory has no ${question.name}.`);
    // As a node's answer: in the types that the ABI's coding gives.
    return answer();
  }

  /** Changes `state`, or answers why it reverts and changes nothing. */
  effect(state: State, call: Call): string | undefined {
    const { to } = call;
    if (to !== undefined && this.places.tokens.has(to)) return this.#token(state, call, to);
    if (to === this.places.distributor) return this.#distributor(state, call);
    if (to !== undefined && to === this.places.collateral) return this.#collateral(state, call, to);
    return call.data === '0x' ? undefined : 'no such contract';
  }

  /** Everything that was ever put into the distributor. */
  funded(state: State): bigint {
    return balanceIn(state, this.places.token, this.places.distributor) + state.claimedTotal;
  }

  pledgeOf(state: State, token: Address, account: Address): MemoryPledge {
    return state.pledges.get(`${token} ${account}`) ?? NO_PLEDGE;
  }

  // --- tokens ----------------------------------------------------------------------------------------------------------

  #token(state: State, call: Call, token: Address): string | undefined {
    const { functionName, args } = decodeFunctionData({ abi: testTokenAbi, data: call.data });
    if (functionName !== 'transfer') return 'unknown';
    const [to, amount] = args;
    return this.#move(state, call, token, { from: call.from, to: lower(to), amount });
  }

  #move(
    state: State,
    call: Call,
    token: Address,
    { from, to, amount }: { from: Address; to: Address; amount: bigint },
  ): string | undefined {
    const has = balanceIn(state, token, from);
    if (has < amount) return 'ERC20InsufficientBalance';
    state.balances.set(`${token} ${from}`, has - amount);
    state.balances.set(`${token} ${to}`, balanceIn(state, token, to) + amount);
    emit(state, call, token, testTokenAbi, 'Transfer', { from, to, value: amount });
    return undefined;
  }

  // --- the distributor -------------------------------------------------------------------------------------------------

  #distributor(state: State, call: Call): string | undefined {
    const { functionName, args } = decodeFunctionData({ abi: merkleDistributorAbi, data: call.data });
    switch (functionName) {
      case 'publish':
        return this.#publish(state, call, args);
      case 'revoke':
        return this.#revoke(state, call, args);
      case 'claim':
        return this.#claim(state, call, args);
      default:
        return 'unknown';
    }
  }

  #publish(
    state: State,
    call: Call,
    [, number, root, increase, total, claimsHash]: readonly [Hex, bigint, Hex, bigint, bigint, Hex],
  ): string | undefined {
    const { operator, distributor, token, timeLockS } = this.places;
    if (call.from !== operator) return 'AccessControlUnauthorizedAccount';
    if (Number(number) !== state.lastNumber + 1) return 'WrongBatchNumber';
    if (waits(state)) return 'BatchStillLocked';
    const active = inForce(state);
    if (total !== active.total + increase) return 'WrongTotal';
    if (total > this.funded(state) && !this.fundingUnchecked) return 'NotFunded';
    const activeAt = state.block.timestamp + timeLockS;
    state.active = active;
    state.pending = { root, total, number, activeAt };
    state.lastNumber = Number(number);
    emit(state, call, distributor, merkleDistributorAbi, 'BatchPublished', {
      token,
      number,
      root,
      total,
      increase,
      claimsHash,
      activeAt,
    });
    return undefined;
  }

  #revoke(state: State, call: Call, [, number]: readonly [Hex, bigint]): string | undefined {
    const { guardian, distributor, token } = this.places;
    if (call.from !== guardian) return 'AccessControlUnauthorizedAccount';
    if (!waits(state) || state.pending.number !== number) return 'NothingToRevoke';
    const { root } = state.pending;
    state.pending = NO_BATCH;
    emit(state, call, distributor, merkleDistributorAbi, 'BatchRevoked', { token, number, root });
    return undefined;
  }

  #claim(
    state: State,
    call: Call,
    [, who, cumulative, proof]: readonly [Hex, Hex, bigint, readonly Hex[]],
  ): string | undefined {
    const { distributor, token } = this.places;
    const account = lower(who);
    const batch = inForce(state);
    if (rootOf(this.#leaf(account, cumulative), proof) !== batch.root) return 'WrongProof';
    const before = state.claimed.get(account) ?? 0n;
    if (cumulative <= before) return 'NothingToClaim';
    const paid = cumulative - before;
    if (state.claimedTotal + paid > batch.total) return 'PromiseExceeded';
    const refused = this.#move(state, call, token, { from: distributor, to: account, amount: paid });
    if (refused) return refused;
    state.claimed.set(account, cumulative);
    state.claimedTotal += paid;
    const args = { token, account, paid, cumulative };
    emit(state, call, distributor, merkleDistributorAbi, 'Claimed', args);
    return undefined;
  }

  #leaf(account: Address, cumulative: bigint): Hex {
    const { chainId, distributor, token } = this.places;
    const types = ['uint256', 'address', 'address', 'address', 'uint256'].map((type) => ({ type }));
    const values = [BigInt(chainId), distributor, token, account, cumulative];
    return keccak256(keccak256(encodeAbiParameters(types, values)));
  }

  // --- collateral ------------------------------------------------------------------------------------------------------

  #collateral(state: State, call: Call, collateral: Address): string | undefined {
    const { functionName, args } = decodeFunctionData({ abi: providerCollateralAbi, data: call.data });
    const { timestamp } = state.block;
    const tell = (name: string, more: object): void =>
      emit(state, call, collateral, providerCollateralAbi, name, more);
    const keep = (token: Address, account: Address, pledge: MemoryPledge): void => {
      state.pledges.set(`${token} ${account}`, pledge);
    };
    if (functionName === 'slash') {
      const [who, which, amount, reason] = args;
      if (call.from !== this.places.operator) return 'AccessControlUnauthorizedAccount';
      if (state.reasons.has(reason)) return 'ReasonUsed';
      const [account, token] = [lower(who), lower(which)];
      const pledge = this.pledgeOf(state, token, account);
      const fromLocked = amount < pledge.locked ? amount : pledge.locked;
      const rest = amount - fromLocked;
      const fromWaiting = rest < pledge.waiting ? rest : pledge.waiting;
      const taken = fromLocked + fromWaiting;
      if (taken === 0n) return 'NothingToSlash';
      state.reasons.add(reason);
      keep(token, account, {
        ...pledge,
        locked: pledge.locked - fromLocked,
        waiting: pledge.waiting - fromWaiting,
        slashed: pledge.slashed + taken,
      });
      tell('Slashed', { account, token, reason, taken, asked: amount });
      return undefined;
    }
    const account = call.from;
    const token = lower((args as readonly Hex[])[0] ?? '0x');
    const pledge = this.pledgeOf(state, token, account);
    const { locked, waiting } = pledge;
    switch (functionName) {
      case 'deposit': {
        const [, amount] = args;
        if (amount === 0n) return 'NothingReceived';
        const refused = this.#move(state, call, token, { from: account, to: collateral, amount });
        if (refused) return refused;
        keep(token, account, { ...pledge, locked: locked + amount, deposited: pledge.deposited + amount });
        tell('Deposited', { account, token, received: amount });
        return undefined;
      }
      case 'requestRefund': {
        const [, amount] = args;
        if (amount === 0n) return 'AmountMissing';
        if (amount > locked) return 'NotEnoughLocked';
        const refundableAt = timestamp + REFUND_WAIT_S;
        keep(token, account, { ...pledge, locked: locked - amount, waiting: waiting + amount, refundableAt });
        tell('RefundRequested', { account, token, waiting: waiting + amount, refundableAt });
        return undefined;
      }
      case 'cancelRefund':
        if (waiting === 0n) return 'NothingWaiting';
        keep(token, account, { ...pledge, locked: locked + waiting, waiting: 0n, refundableAt: 0n });
        tell('RefundCancelled', { account, token, locked: locked + waiting });
        return undefined;
      case 'refund': {
        if (waiting === 0n) return 'NothingWaiting';
        if (timestamp < pledge.refundableAt) return 'StillWaiting';
        const refused = this.#move(state, call, token, { from: collateral, to: account, amount: waiting });
        if (refused) return refused;
        keep(token, account, {
          ...pledge,
          waiting: 0n,
          refundableAt: 0n,
          refunded: pledge.refunded + waiting,
        });
        tell('Refunded', { account, token, amount: waiting });
        return undefined;
      }
      default:
        return 'unknown';
    }
  }
}

function emit(state: State, call: Call, address: Address, abi: Abi, eventName: string, args: object): void {
  const event = abi.find((item) => item.type === 'event' && item.name === eventName);
  if (event?.type !== 'event') throw new Error(`There is no event ${eventName}.`);
  const plain = event.inputs.filter((input) => !('indexed' in input && input.indexed));
  const values = plain.map(({ name = '' }) => (args as Record<string, unknown>)[name]);
  state.logs.push({
    address,
    topics: encodeEventTopics({ abi: [event], args } as never) as Hex[],
    data: encodeAbiParameters(plain, values as never),
    block: state.block.number,
    blockHash: state.block.hash,
    transaction: call.hash,
    index: state.logs.filter((log) => log.block === state.block.number).length,
  });
}

function rootOf(leaf: Hex, proof: readonly Hex[]): Hex {
  return proof.reduce((one, other) => keccak256(concatHex(one <= other ? [one, other] : [other, one])), leaf);
}
