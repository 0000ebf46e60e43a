import type { Address, Hex } from '#domain/hex.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Sealed } from '#kit/sealed.ts';
import { Sender } from './client.ts';
import { transferIntent } from './distributor.ts';
import type { Chain } from './rpc.ts';
import { MemoryTransactionStore } from './transactions.ts';

/**
 * Hands out the test tokens of a local chain, which are worth nothing anywhere, so that a newcomer's own wallet can pledge,
 * collect and pay in. They come from a demo wallet: when its million is gone, that is all there was.
 */
export class TestTokens {
  readonly #sender: Sender;
  readonly #fuel: (account: Address) => Promise<void>;
  readonly #persist: () => Promise<void>;
  #gifts = 0;

  constructor(parts: {
    chain: Chain;
    /** The demo wallet. */
    key: Sealed<Hex>;
    clock: Clock;
    maxFeePerGas: bigint;
    /** Gives an account what it needs for the fees of its transactions. */
    fuel: (account: Address) => Promise<void>;
    persist: () => Promise<void>;
  }) {
    const { chain, key, clock, maxFeePerGas } = parts;
    this.#sender = new Sender({
      chain,
      store: new MemoryTransactionStore(),
      key,
      clock,
      settings: { confirmations: 1, maxFeePerGas, replaceAfterMs: REPLACE_AFTER_MS },
    });
    this.#fuel = parts.fuel;
    this.#persist = parts.persist;
  }

  /** Resolves when all of it is there. Throws `chain-reverted` when the demo wallet has not so much left. */
  async give(
    to: Address,
    amounts: readonly { token: Address; amount: bigint }[],
    { withFees = false } = {},
  ): Promise<void> {
    if (withFees) await this.#fuel(to);
    const id = `gift ${++this.#gifts}`;
    for (const { token, amount } of amounts) {
      // One nonce after the other.
      // oxlint-disable-next-line no-await-in-loop
      await this.#sender.send(transferIntent(`${id} ${token}`, { token, to, amount }));
    }
    for (const { token } of amounts) {
      // oxlint-disable-next-line no-await-in-loop
      const { status } = await this.#sender.settled(`${id} ${token}`, POLL_MS);
      if (status !== 'done') throw new Fault('internal', { inner: `A gift of ${token} was ${status}.` });
    }
    await this.#persist();
  }
}

const POLL_MS = 20;
const REPLACE_AFTER_MS = 60_000;
