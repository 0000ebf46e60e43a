import { Sender, type SenderSettings } from '#chain/client.ts';
import { type AddressTree, keyAt } from '#chain/derived-address.ts';
import type { Chain } from '#chain/rpc.ts';
import type { TransactionStore } from '#chain/transactions.ts';
import { sendIntent, unitsOf } from '#chain/transfers.ts';
import type { TokenAsset } from '#domain/asset.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { type Clock, pause } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Sealed } from '#kit/sealed.ts';
import type { DerivedAddress } from './deposit-addresses.ts';

/**
 * Moves what lies at deposit addresses to a wallet of the operator's. Run by hand, by whoever has the private key of the
 * addresses; the market itself never has it. An address owns tokens and no ether, so the operator's wallet first sends it
 * what the transfer costs. What a run that died left open is seen through before anything new is sent, and what is moved is
 * what is there: running it again moves nothing twice.
 */
export interface Swept {
  readonly address: Address;
  readonly consumerId: string;
  readonly asset: TokenAsset;
  readonly units: bigint;
}

/** What lies where, at least `unitsMin` of it. */
export async function lyingAt(
  chain: Chain,
  addresses: readonly DerivedAddress[],
  assets: readonly ChainAsset[],
): Promise<(Swept & { index: number; token: Address })[]> {
  const found = [];
  for (const { index, address, consumerId } of addresses) {
    for (const { asset, token } of assets) {
      const units = await unitsOf(chain, { token, account: address });
      if (units > 0n) found.push({ index, address, consumerId, asset, token, units });
    }
  }
  return found;
}

export async function sweep(parts: {
  chain: Chain;
  tree: AddressTree;
  /** The extended private key of the addresses. */
  key: Sealed<string>;
  /** Pays for the gas. */
  operatorKey: Sealed<Hex>;
  store: TransactionStore;
  clock: Clock;
  settings: SenderSettings;
  addresses: readonly DerivedAddress[];
  assets: readonly ChainAsset[];
  to: Address;
  pollMs: number;
  beforeFinal?: () => Promise<void>;
}): Promise<Swept[]> {
  const { chain, tree, key, store, clock, settings, to, pollMs, beforeFinal } = parts;
  const more = beforeFinal ? { beforeFinal } : {};
  const payer = new Sender({ chain, store, key: parts.operatorKey, clock, settings, ...more });
  const done: Swept[] = [];
  for (const { index, address, consumerId, asset, token, units } of await lyingAt(
    chain,
    parts.addresses,
    parts.assets,
  )) {
    const sender = new Sender({ chain, store, key: keyAt(key, index), clock, settings, ...more });
    if (sender.address !== address || tree.address(index) !== address) {
      throw new Fault('internal', { inner: `The key given is not that of the address ${address}.` });
    }
    while ((await sender.advance()).open > 0) await pause(clock, pollMs);
    const left = await unitsOf(chain, { token, account: address });
    if (left === 0n) continue;
    const nonce = await chain.nonce(address);
    const intent = sendIntent(`sweep:${chain.id}:${address}:${nonce}`, { token, to, units: left });
    const { baseFee, tip } = await chain.fees();
    const gas = await chain.estimateGas({ from: address, to: token, data: intent.data, value: 0n });
    const price = 2n * baseFee + tip < settings.maxFeePerGas ? 2n * baseFee + tip : settings.maxFeePerGas;
    // A margin of a half on top of a sender's own: prices move between the two transactions.
    const needed = (gas * price * 9n) / 5n;
    const has = await chain.balance(address);
    if (has < needed) {
      const gift = { id: `sweep-gas:${chain.id}:${address}:${nonce}:${has}`, to: address, data: '0x' as Hex };
      const known = await store.find(gift.id);
      const { id } = await payer.send({ ...gift, value: known?.value ?? needed - has });
      await finished(payer, id, pollMs);
    }
    await sender.send(intent);
    await finished(sender, intent.id, pollMs);
    done.push({ address, consumerId, asset, units: left === units ? units : left });
  }
  return done;
}

async function finished(sender: Sender, id: string, pollMs: number): Promise<void> {
  const { status } = await sender.settled(id, pollMs);
  if (status !== 'done') throw new Fault('chain-reverted', { inner: `${id} was ${status}.` });
}
