import { privateKeyToAccount } from 'viem/accounts';
import { expect, test } from 'vitest';
import { Sealed } from '#kit/sealed.ts';
import { AddressTree, depositKeyFrom, keyAt, xpubOf } from './derived-address.ts';

const seed = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const key = depositKeyFrom(seed);

test('every address of the public key is that of the private key with the same index', () => {
  const tree = new AddressTree(xpubOf(key));
  for (const index of [0, 1, 2, 77, 2 ** 31 - 1]) {
    const address = privateKeyToAccount(keyAt(key, index).open()).address.toLowerCase();
    expect(tree.address(index)).toBe(address);
  }
});

test('the addresses are those that common wallets show for the well-known test phrase', () => {
  // "test test … junk" of the development nodes, as its account key.
  const known = new AddressTree(
    xpubOf(
      depositKeyFrom(
        Buffer.from(
          '9dfc3c64c2f8bede1533b6a79f8570e5943e0b8fd1cf77107adf7b72cef42185d564a3aee24cab43f80e3c4538087d70fc824eabbad596a23c97b6ee8322ccc0',
          'hex',
        ),
      ),
    ),
  );
  expect(known.address(0)).toBe('0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266');
  expect(known.address(1)).toBe('0x70997970c51812dc3a010c7d01b50e0d17dc79c8');
});

test('a private key is refused where the public one belongs, and nothing quotes it', () => {
  expect(() => new AddressTree(key.open())).toThrow('only the public one belongs here');
  expect(() => new AddressTree('xpub-nonsense')).toThrow('This is no extended public key.');
  expect(() => keyAt(new Sealed(xpubOf(key)), 0)).toThrow('This is no extended private key.');
  expect(() => xpubOf(new Sealed('secret words'))).toThrow(/^This is no extended private key\.$/);
});
