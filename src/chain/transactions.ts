import type { Address, Hex } from '#domain/hex.ts';

/** What somebody wants done on chain, under an id of its own: the same id is done once, however often it is asked for. */
export interface Intent {
  readonly id: string;
  /** The contract to call; undefined to deploy one. */
  readonly to?: Address | undefined;
  readonly data: Hex;
  /** In wei. Zero unless said otherwise. */
  readonly value?: bigint;
}

/** A transaction as it was signed. Each version of one transaction has the same nonce, so one of them at most can happen. */
export interface SignedVersion {
  readonly hash: Hex;
  readonly raw: Hex;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** Wall time in milliseconds. */
  readonly signedAtMs: number;
}

/**
 * How a transaction ended, which is certain once it is deep enough: `done`, `reverted` (it is on chain and changed
 * nothing), or `displaced` (another transaction used its nonce: somebody else has the key).
 */
export interface Outcome {
  readonly status: 'done' | 'reverted' | 'displaced';
  readonly hash?: Hex | undefined;
  readonly block?: bigint | undefined;
  /** The contract that was deployed. */
  readonly created?: Address | undefined;
}

export interface StoredTransaction {
  readonly id: string;
  readonly chainId: number;
  readonly from: Address;
  readonly nonce: number;
  readonly to: Address | undefined;
  readonly data: Hex;
  readonly value: bigint;
  readonly gas: bigint;
  /** In the order they were signed; the last one pays most. */
  readonly versions: readonly SignedVersion[];
  readonly outcome: Outcome | undefined;
}

/**
 * Where transactions are kept before they are sent. Every answer of a writing method is durable. An id is used once, and
 * so is a nonce of an account on a chain, by whichever process comes first.
 */
export interface TransactionStore {
  find(id: string): Promise<StoredTransaction | undefined>;
  /** The highest nonce that was ever stored. */
  lastNonce(chainId: number, from: Address): Promise<number | undefined>;
  /** Those without an outcome, by nonce. */
  open(chainId: number, from: Address): Promise<StoredTransaction[]>;
  /** False when the id or the nonce is taken. */
  add(transaction: StoredTransaction): Promise<boolean>;
  /** Adds the version after `known` others; false when another process was faster. */
  addVersion(id: string, known: number, version: SignedVersion): Promise<boolean>;
  /** Gives an outcome to a transaction that has none; false when it has one. */
  finish(id: string, outcome: Outcome): Promise<boolean>;
}

/** Keeps transactions for as long as the process lives: for chains that live no longer either. */
export class MemoryTransactionStore implements TransactionStore {
  readonly #all = new Map<string, StoredTransaction>();

  async find(id: string): Promise<StoredTransaction | undefined> {
    return this.#all.get(id);
  }

  async lastNonce(chainId: number, from: Address): Promise<number | undefined> {
    const nonces = [...this.#all.values()].filter((one) => one.chainId === chainId && one.from === from);
    return nonces.length === 0 ? undefined : Math.max(...nonces.map((one) => one.nonce));
  }

  async open(chainId: number, from: Address): Promise<StoredTransaction[]> {
    return [...this.#all.values()]
      .filter((one) => one.chainId === chainId && one.from === from && !one.outcome)
      .toSorted((a, b) => a.nonce - b.nonce);
  }

  async add(transaction: StoredTransaction): Promise<boolean> {
    const { id, chainId, from, nonce } = transaction;
    const taken = [...this.#all.values()].some(
      (one) => one.id === id || (one.chainId === chainId && one.from === from && one.nonce === nonce),
    );
    if (!taken) this.#all.set(id, transaction);
    return !taken;
  }

  async addVersion(id: string, known: number, version: SignedVersion): Promise<boolean> {
    const present = this.#all.get(id);
    if (!present || present.outcome || present.versions.length !== known) return false;
    this.#all.set(id, { ...present, versions: [...present.versions, version] });
    return true;
  }

  async finish(id: string, outcome: Outcome): Promise<boolean> {
    const present = this.#all.get(id);
    if (!present || present.outcome) return false;
    this.#all.set(id, { ...present, outcome });
    return true;
  }
}
