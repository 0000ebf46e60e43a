import { privateKeyToAccount } from 'viem/accounts';
import { parseSiweMessage } from 'viem/siwe';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { signText } from '#chain/wallet-signature.ts';
import type { Database } from '#db/database.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { createProvider, ownerAddressOf } from '#identity/providers.ts';
import { Fault } from '#kit/fault.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { openTestChain, type TestChain } from '#support/chain.ts';
import { makeId } from '#support/parties.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { type WalletPurpose, Wallets } from './wallets.ts';

const MARKET = 'https://market.example:8443';
const HOUR_MS = 3_600_000;
const random = seededRandomness(5);

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(async () => {
  await fresh.drop();
});

let clock: VirtualClock;
let desk: Wallets;
let provider: string;
const open = (database: Database = fresh.database, chain?: TestChain['chain']) =>
  new Wallets({ database, chain, chainId: 254, market: MARKET, clock, random });
const newProvider = async (): Promise<string> => {
  const id = makeId('prov');
  await createProvider(fresh.database, { id, name: id, state: 'active', at: clock.wallMs() });
  await fresh.database
    .sql`insert into accounts (id, kind) values (${`provider:${id}`}, 'provider') on conflict do nothing`;
  return id;
};
const newWallet = () => {
  const key = new Sealed<Hex>(`0x${random.bytes(32).toString('hex')}`);
  return { key, address: privateKeyToAccount(key.open()).address.toLowerCase() as Address };
};
type Wallet = ReturnType<typeof newWallet>;
const prove = async (
  { key, address }: Wallet,
  about: { purpose?: WalletPurpose; providerId?: string; desk?: Wallets } = {},
) => {
  const { purpose = 'beneficiary', providerId = provider, desk: at = desk } = about;
  const { nonce, message } = await at.challenge({ providerId, purpose, address });
  return await at.prove({ providerId, nonce, signature: await signText(key, message), actor: 'test' });
};
const refusal = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => 'none',
    (error: unknown) => (error instanceof Fault ? error.code : String(error)),
  );
/** Where the provider is paid, as settlement asks for it. */
const wallets = async () => {
  const [row] = await fresh.database.sql<{ wallet: Address | null }[]>`
    select payout_wallet(${provider}, ${new Date(clock.wallMs())}) as wallet`;
  return row?.wallet ?? undefined;
};

beforeEach(async () => {
  clock = new VirtualClock();
  desk = open();
  provider = await newProvider();
});

test('the text names the market, the provider, the chain, and a moment when it is too old', async () => {
  const wallet = newWallet();
  const { message, nonce, expiresAt } = await desk.challenge({
    providerId: provider,
    purpose: 'owner',
    address: wallet.address,
  });
  expect(message).toMatch(/^market\.example:8443 wants you to sign in with your Ethereum account:\n0x/);
  expect(parseSiweMessage(message)).toMatchObject({
    domain: 'market.example:8443',
    uri: MARKET,
    chainId: 254,
    nonce,
    statement: `This wallet is the owner address of the provider ${provider}.`,
    expirationTime: new Date(expiresAt),
  });
});

test('a wallet that was only named is paid nothing; one that signed is paid at once', async () => {
  const [named, signed] = [newWallet(), newWallet()];
  await fresh.database
    .sql`update providers set beneficiary_address = ${named.address} where id = ${provider}`;
  expect(await wallets()).toBeUndefined();
  await prove(signed);
  expect(await wallets()).toBe(signed.address);
  expect(await desk.standing(provider)).toEqual({
    owner: undefined,
    payout: signed.address,
    next: undefined,
  });
});

test('an owner that signed is paid where no payout address did', async () => {
  const [owner, payout] = [newWallet(), newWallet()];
  await prove(owner, { purpose: 'owner' });
  expect(await wallets()).toBe(owner.address);
  // It was paid somewhere before, so the new place counts a day later.
  clock.jumpWall(HOUR_MS);
  await prove(payout);
  expect(await wallets()).toBe(owner.address);
  clock.jumpWall(24 * HOUR_MS);
  expect(await wallets()).toBe(payout.address);
});

test('another payout address counts a day later, and both are shown until then', async () => {
  const [first, second] = [newWallet(), newWallet()];
  await prove(first);
  clock.jumpWall(HOUR_MS);
  const from = clock.wallMs() + 24 * HOUR_MS;
  await prove(second);
  expect(await desk.standing(provider)).toMatchObject({
    payout: first.address,
    next: { address: second.address, from },
  });
  clock.jumpWall(24 * HOUR_MS - 1);
  expect((await desk.standing(provider)).payout).toBe(first.address);
  clock.jumpWall(1);
  expect(await desk.standing(provider)).toMatchObject({ payout: second.address, next: undefined });
});

test('a thief with the provider key is never paid when the old wallet signs again within the day', async () => {
  const [mine, thief] = [newWallet(), newWallet()];
  await prove(mine);
  clock.jumpWall(48 * HOUR_MS);
  await prove(thief);
  clock.jumpWall(23 * HOUR_MS);
  await prove(mine);
  for (const hours of [0, 1, 1, 24, 48]) {
    clock.jumpWall(hours * HOUR_MS);
    expect((await desk.standing(provider)).payout).toBe(mine.address);
  }
});

describe('a proof is refused', () => {
  test('when another wallet signed, and when nothing did', async () => {
    const [wallet, other] = [newWallet(), newWallet()];
    const { nonce, message } = await desk.challenge({
      providerId: provider,
      purpose: 'owner',
      address: wallet.address,
    });
    const hand = (signature: Hex) =>
      refusal(desk.prove({ providerId: provider, nonce, signature, actor: '' }));
    expect(await hand(await signText(other.key, message))).toBe('signature-invalid');
    expect(await hand(await signText(wallet.key, message.replace('owner', 'payout')))).toBe(
      'signature-invalid',
    );
    for (const nonsense of ['0x', '0x00', `0x${'ff'.repeat(65)}`, `0x${'00'.repeat(4_000)}`] as const)
      expect(await hand(nonsense)).toBe('signature-invalid');
    // None of it used the text up.
    expect(await hand(await signText(wallet.key, message))).toBe('none');
  });

  test('when the text was used, is too old, or is of another provider', async () => {
    const wallet = newWallet();
    const ask = () =>
      desk.challenge({ providerId: provider, purpose: 'beneficiary', address: wallet.address });
    const { nonce, message, expiresAt } = await ask();
    const signature = await signText(wallet.key, message);
    const stranger = await newProvider();
    expect(await refusal(desk.prove({ providerId: stranger, nonce, signature, actor: '' }))).toBe(
      'thing-unknown',
    );
    const rooms = [1, 2, 3, 4].map(() => open(fresh.another({ maxConnections: 1 })));
    const answers = await Promise.all(
      rooms.map((room) => refusal(room.prove({ providerId: provider, nonce, signature, actor: '' }))),
    );
    expect(answers.toSorted()).toEqual(['conflict', 'conflict', 'conflict', 'none']);
    const late = await ask();
    clock.jumpWall(expiresAt - clock.wallMs());
    const old = { nonce: late.nonce, signature: await signText(wallet.key, late.message), actor: '' };
    expect(await refusal(desk.prove({ providerId: provider, ...old }))).toBe('conflict');
  });

  test('when texts are asked for without end', async () => {
    const { address } = newWallet();
    const ask = () => desk.challenge({ providerId: provider, purpose: 'owner', address });
    for (let n = 0; n < 20; n++) await ask();
    expect(await refusal(ask())).toBe('conflict');
    clock.jumpWall(600_000);
    expect(await refusal(ask())).toBe('none');
  });
});

describe('an owner address', () => {
  test('that is only claimed gives way to whoever proves it, and a proven one to nobody', async () => {
    const wallet = newWallet();
    const squatter = await newProvider();
    await fresh.database.sql`update providers set owner_address = ${wallet.address} where id = ${squatter}`;
    expect(await ownerAddressOf(fresh.database, squatter)).toBeUndefined();
    await prove(wallet, { purpose: 'owner' });
    expect(await ownerAddressOf(fresh.database, provider)).toBe(wallet.address);
    const [row] = await fresh.database.sql`select owner_address from providers where id = ${squatter}`;
    expect(row).toEqual({ owner_address: null });
    const again = { purpose: 'owner', providerId: squatter } as const;
    expect(await refusal(prove(wallet, again))).toBe('conflict');
    expect(await refusal(prove(newWallet(), { purpose: 'owner' }))).toBe('conflict');
    await expect(
      fresh.database.sql`update providers set owner_address = null where id = ${provider}`,
    ).rejects.toThrow(/written once/);
  });

  test('that two providers prove at once belongs to one', async () => {
    const wallet = newWallet();
    const ids = [provider, await newProvider(), await newProvider()];
    const answers = await Promise.all(
      ids.map((providerId) =>
        refusal(
          prove(wallet, {
            purpose: 'owner',
            providerId,
            desk: open(fresh.another({ maxConnections: 2 })),
          }),
        ),
      ),
    );
    expect(answers.toSorted()).toEqual(['conflict', 'conflict', 'none']);
  });
});

describe('a wallet that is a contract', () => {
  let node: TestChain;
  beforeAll(async () => {
    node = await openTestChain();
  }, 60_000);
  afterAll(async () => {
    await node.close();
  });

  test('proves itself by its word, and one that says no, fails or is no contract does not', async () => {
    // Whatever it is asked: the word that ERC-1271 wants; the number one; a failure.
    const programs = {
      yes: '0x631626ba7e60e01b60005260206000f3',
      no: '0x600160005260206000f3',
      fails: '0x60006000fd',
      nothing: '0x',
    };
    const answers: Record<string, string> = {};
    for (const [name, code] of Object.entries(programs)) {
      const address: Address = `0x${random.bytes(20).toString('hex')}`;
      await node.ask('anvil_setCode', address, code);
      const room = open(fresh.database, node.chain);
      const providerId = await newProvider();
      const { nonce } = await room.challenge({ providerId, purpose: 'beneficiary', address });
      answers[name] = await refusal(room.prove({ providerId, nonce, signature: '0x1234', actor: '' }));
    }
    expect(answers).toEqual({
      yes: 'none',
      no: 'signature-invalid',
      fails: 'signature-invalid',
      nothing: 'signature-invalid',
    });
  });
});
