import { ECDH } from 'node:crypto';
import { bytesToHex, keccak256 } from 'viem';
import { HDKey, publicKeyToAddress } from 'viem/accounts';
import type { Address, Hex } from '#domain/hex.ts';
import { Sealed } from '#kit/sealed.ts';

/**
 * Addresses by BIP-32. The market knows an extended public key and derives address after address from it; whoever has the
 * private key (on another machine, in a wallet) can derive their keys and move what is there. The public key is the one of
 * the account, `m/44'/60'/0'`, and the address of index n is at `0/n` below it: where common wallets show their accounts.
 */
export class AddressTree {
  /** Names the key, for ever. */
  readonly id: string;
  readonly #external: HDKey;

  /** Throws `RangeError` for a text that is no extended public key. */
  constructor(xpub: string) {
    let account: HDKey;
    try {
      account = HDKey.fromExtendedKey(xpub);
    } catch {
      throw new RangeError('This is no extended public key.');
    }
    if (account.privateKey) throw new RangeError('This is a private key: only the public one belongs here.');
    this.#external = account.deriveChild(0);
    this.id = keccak256(Buffer.from(xpub)).slice(2, 18);
  }

  /** The address of an index from 0 to 2³¹ − 1. */
  address(index: number): Address {
    const { publicKey } = this.#external.deriveChild(index);
    const whole = ECDH.convertKey(publicKey as Uint8Array, 'secp256k1', undefined, 'hex', 'uncompressed');
    return publicKeyToAddress(`0x${whole as string}`).toLowerCase() as Address;
  }
}

/** An extended private key of the account, as wallets export it (`xprv…`), from a seed of 16 to 64 random bytes. */
export function depositKeyFrom(seed: Uint8Array): Sealed<string> {
  return new Sealed(HDKey.fromMasterSeed(seed).derive("m/44'/60'/0'").privateExtendedKey);
}

/** The extended public key of an extended private key. Throws `RangeError` when it is none. */
export function xpubOf(key: Sealed<string>): string {
  return privateTree(key).publicExtendedKey;
}

/** The private key of an index. Throws `RangeError` when `key` is no extended private key. */
export function keyAt(key: Sealed<string>, index: number): Sealed<Hex> {
  const { privateKey } = privateTree(key).deriveChild(0).deriveChild(index);
  return new Sealed(bytesToHex(privateKey as Uint8Array));
}

function privateTree(key: Sealed<string>): HDKey {
  try {
    const tree = HDKey.fromExtendedKey(key.open());
    if (tree.privateKey) return tree;
  } catch {
    // Told below, without quoting it.
  }
  throw new RangeError('This is no extended private key.');
}
