import { keccak256, type TransactionSerializableEIP1559 } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import type { Address, Hex } from '#domain/hex.ts';
import { type Clock, pause } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Sealed } from '#kit/sealed.ts';
import type { Chain, Receipt } from './rpc.ts';
import type { Intent, Outcome, SignedVersion, StoredTransaction, TransactionStore } from './transactions.ts';

/**
 * The one place that signs and sends. What must hold: an intent happens at most once, and when it was accepted, it
 * happens, whatever dies in between.
 *
 * 1. A transaction is signed and stored, with its nonce, before it is sent. A nonce belongs to one intent for ever.
 * 2. Sending is only a hint to the chain. Whatever a server answers to it (nothing, an error, a lie) changes nothing: what
 *    became of the transaction is looked up by its hash, which we computed.
 * 3. `advance` is called in rounds. It sends again what is in no block, so a crash between storing and sending, a
 *    dropped transaction and a reorganisation heal by themselves. What waits too long is signed anew with a higher fee
 *    and the same nonce: of all versions one at most can happen.
 * 4. A transaction is over only when its block is `confirmations` deep and still the one its receipt names. Until then a
 *    reorganisation simply makes it open again.
 */
export interface SenderSettings {
  /** The depth at which a block counts as final; 1 is the newest block. */
  readonly confirmations: number;
  /** No transaction offers more for a unit of gas, in wei. */
  readonly maxFeePerGas: bigint;
  /** How long a transaction may be in no block before a better-paid version is signed, in milliseconds. */
  readonly replaceAfterMs: number;
}

export interface Advance {
  /** Those that got their outcome in this round. */
  readonly finished: readonly { id: string; outcome: Outcome }[];
  /** How many have none yet. */
  readonly open: number;
  /** What servers said to what was sent. For the log only. */
  readonly complaints: readonly string[];
}

/** Better-paid means by an eighth at least: nodes ask for a tenth. */
const BUMP = { times: 9n, per: 8n };
const GAS_RESERVE = { times: 6n, per: 5n };
const ATTEMPTS = 50;

export class Sender {
  readonly address: Address;
  readonly #chain: Chain;
  readonly #store: TransactionStore;
  readonly #account: PrivateKeyAccount;
  readonly #clock: Clock;
  readonly #settings: SenderSettings;
  readonly #beforeFinal: (() => Promise<void>) | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: {
    chain: Chain;
    store: TransactionStore;
    key: Sealed<Hex>;
    clock: Clock;
    settings: SenderSettings;
    /** Runs before an outcome is stored: a local chain makes itself durable here. */
    beforeFinal?: () => Promise<void>;
  }) {
    this.#chain = parts.chain;
    this.#store = parts.store;
    this.#account = privateKeyToAccount(parts.key.open());
    this.address = this.#account.address.toLowerCase() as Address;
    this.#clock = parts.clock;
    this.#settings = parts.settings;
    this.#beforeFinal = parts.beforeFinal;
  }

  /**
   * Accepts an intent: signed, stored, sent. From here on it happens, unless it reverts. Asking again with the same id
   * answers the stored transaction and sends nothing; with other terms it throws. Throws `chain-reverted`, with nothing
   * stored, when it would fail as things stand.
   */
  send(intent: Intent): Promise<StoredTransaction> {
    // One after another, so that only other processes compete for a nonce.
    const result = this.#last.then(() => this.#send(intent));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #send(intent: Intent): Promise<StoredTransaction> {
    const known = await this.#store.find(intent.id);
    if (known) return this.#same(known, intent);
    await this.#chain.checkId();
    const value = intent.value ?? 0n;
    const call = { from: this.address, to: intent.to, data: intent.data, value };
    const gas = ((await this.#chain.estimateGas(call)) * GAS_RESERVE.times) / GAS_RESERVE.per;
    const fees = await this.#fees();
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const [last, onChain] = await Promise.all([
        this.#store.lastNonce(this.#chain.id, this.address),
        this.#chain.nonce(this.address),
      ]);
      const transaction = {
        id: intent.id,
        chainId: this.#chain.id,
        from: this.address,
        nonce: Math.max(onChain, (last ?? -1) + 1),
        to: intent.to,
        data: intent.data,
        value,
        gas,
        outcome: undefined,
      };
      const version = await this.#sign(transaction, fees);
      const stored: StoredTransaction = { ...transaction, versions: [version] };
      if (await this.#store.add(stored)) {
        await this.#chain.broadcast(version.raw);
        return stored;
      }
      // Another process took the nonce, or has sent this very intent.
      const present = await this.#store.find(intent.id);
      if (present) return this.#same(present, intent);
    }
    throw new Fault('internal', { inner: `No nonce was to be had for ${intent.id}.` });
  }

  /** Whether an intent of this name was accepted before. */
  async knows(id: string): Promise<boolean> {
    return (await this.#store.find(id)) !== undefined;
  }

  /** One round over what is open, in the order of the nonces. Throws when the chain cannot be asked; nothing is lost. */
  async advance(): Promise<Advance> {
    await this.#chain.checkId();
    const finished: { id: string; outcome: Outcome }[] = [];
    const complaints: string[] = [];
    const open = await this.#store.open(this.#chain.id, this.address);
    if (open.length === 0) return { finished, open: 0, complaints };
    const head = await this.#chain.head();
    for (const transaction of open) {
      const receipt = await this.#receiptOf(transaction);
      const outcome = receipt
        ? await this.#outcomeOf(receipt, head)
        : await this.#displacedBy(transaction, head);
      if (outcome) {
        await this.#beforeFinal?.();
        await this.#store.finish(transaction.id, outcome);
        finished.push({ id: transaction.id, outcome });
      } else if (!receipt) {
        complaints.push(...(await this.#sendAgain(transaction)));
      }
    }
    return { finished, open: open.length - finished.length, complaints };
  }

  /** Advances until the intent has its outcome. For commands and tests; the market advances in its own rounds. */
  async settled(id: string, pollMs: number, signal?: AbortSignal): Promise<Outcome> {
    for (;;) {
      await this.advance();
      const outcome = (await this.#store.find(id))?.outcome;
      if (outcome) return outcome;
      if (signal?.aborted) throw new Fault('chain-unreachable', { inner: `${id} has no outcome yet.` });
      await pause(this.#clock, pollMs, signal);
    }
  }

  #same(present: StoredTransaction, intent: Intent): StoredTransaction {
    const { to, data, value, chainId, from } = present;
    const alike = to === intent.to && data === intent.data && value === (intent.value ?? 0n);
    if (alike && chainId === this.#chain.id && from === this.address) return present;
    throw new Fault('internal', { inner: `${intent.id} was sent before with other terms.` });
  }

  async #receiptOf(transaction: StoredTransaction): Promise<Receipt | undefined> {
    for (const { hash } of transaction.versions.toReversed()) {
      const receipt = await this.#chain.receipt(hash);
      if (receipt) return receipt;
    }
    return undefined;
  }

  async #outcomeOf(receipt: Receipt, head: bigint): Promise<Outcome | undefined> {
    if (head - receipt.block + 1n < BigInt(this.#settings.confirmations)) return undefined;
    // A receipt can be older than the chain it is now asked of.
    if ((await this.#chain.block(receipt.block))?.hash !== receipt.blockHash) return undefined;
    const { hash, block, created } = receipt;
    return { status: receipt.succeeded ? 'done' : 'reverted', hash, block, created };
  }

  /** Whether another transaction with this nonce is deep in the chain. */
  async #displacedBy(transaction: StoredTransaction, head: bigint): Promise<Outcome | undefined> {
    const deep = head - BigInt(this.#settings.confirmations) + 1n;
    if (deep < 0n || (await this.#chain.nonce(this.address, deep)) <= transaction.nonce) return undefined;
    // Asked again: it may have come into a block since.
    return (await this.#receiptOf(transaction)) ? undefined : { status: 'displaced' };
  }

  async #sendAgain(transaction: StoredTransaction): Promise<string[]> {
    const last = transaction.versions.at(-1) as SignedVersion;
    const complaints = await this.#chain.broadcast(last.raw);
    if (this.#clock.wallMs() - last.signedAtMs < this.#settings.replaceAfterMs) return complaints;
    const market = await this.#fees();
    const raised = (fee: bigint): bigint => (fee * BUMP.times + BUMP.per - 1n) / BUMP.per;
    const fees = {
      maxFeePerGas: greater(market.maxFeePerGas, raised(last.maxFeePerGas)),
      maxPriorityFeePerGas: greater(market.maxPriorityFeePerGas, raised(last.maxPriorityFeePerGas)),
    };
    // At the limit it waits for cheaper times.
    if (fees.maxFeePerGas > this.#settings.maxFeePerGas) return complaints;
    const version = await this.#sign(transaction, fees);
    if (await this.#store.addVersion(transaction.id, transaction.versions.length, version)) {
      complaints.push(...(await this.#chain.broadcast(version.raw)));
    }
    return complaints;
  }

  async #fees(): Promise<{ maxFeePerGas: bigint; maxPriorityFeePerGas: bigint }> {
    const { baseFee, tip } = await this.#chain.fees();
    const limit = this.#settings.maxFeePerGas;
    const maxFeePerGas = lesser(2n * baseFee + tip, limit);
    return { maxFeePerGas, maxPriorityFeePerGas: lesser(tip, maxFeePerGas) };
  }

  async #sign(
    transaction: Omit<StoredTransaction, 'versions'>,
    fees: { maxFeePerGas: bigint; maxPriorityFeePerGas: bigint },
  ): Promise<SignedVersion> {
    const { chainId, nonce, to, data, value, gas } = transaction;
    const body: TransactionSerializableEIP1559 = {
      type: 'eip1559',
      chainId,
      nonce,
      data,
      value,
      gas,
      ...(to && { to }),
      ...fees,
    };
    const raw = await this.#account.signTransaction(body);
    return { hash: keccak256(raw), raw, ...fees, signedAtMs: this.#clock.wallMs() };
  }
}

function lesser(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
