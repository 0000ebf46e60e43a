import type { Chain } from '#chain/rpc.ts';
import { signedBy, walletText } from '#chain/wallet-signature.ts';
import type { Database } from '#db/database.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { noteEvent } from '#identity/account-events.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Randomness } from '#kit/random.ts';

/**
 * Whose wallet an address is. An address counts, for payouts and for collateral, only when the wallet has signed a text of
 * ours (Sign-In with Ethereum, ERC-4361): it names this market, the provider, the purpose, the chain and a nonce, and is good
 * for ten minutes and for one proof. What a provider merely says of an address changes nothing, and takes it from nobody: a
 * wallet that is proven is taken from whoever had only claimed it.
 *
 * A payout address that follows another counts a day later (`payout_wallet` in the database), and both are shown meanwhile.
 */
export type WalletPurpose = 'owner' | 'beneficiary';

export interface WalletChallenge {
  readonly nonce: string;
  readonly message: string;
  /** Wall milliseconds. */
  readonly expiresAt: number;
}

export interface WalletStanding {
  readonly owner: Address | undefined;
  /** Where payouts go now. */
  readonly payout: Address | undefined;
  /** A payout address that was proven and does not count yet, and from when it does. Wall milliseconds. */
  readonly next: { readonly address: Address; readonly from: number } | undefined;
}

const GOOD_FOR_MS = 600_000;
const DAY_MS = 86_400_000;
/** Texts that one provider may ask for in the time that one is good for. */
const OPEN_MAX = 20;

export class Wallets {
  readonly #parts: WalletParts;

  constructor(parts: WalletParts) {
    this.#parts = parts;
  }

  /** Makes the text that a wallet signs. Throws `conflict` when too many are open. */
  async challenge(about: {
    providerId: string;
    purpose: WalletPurpose;
    address: Address;
  }): Promise<WalletChallenge> {
    const { database, clock, random, market, chainId } = this.#parts;
    const { providerId, purpose } = about;
    const address = about.address.toLowerCase() as Address;
    const at = clock.wallMs();
    const expiresAt = at + GOOD_FOR_MS;
    const nonce = random.bytes(16).toString('hex');
    const message = walletText({
      market,
      chainId,
      address,
      nonce,
      statement: `This wallet is the ${purpose === 'owner' ? 'owner address' : 'payout address'} of the provider ${providerId}.`,
      requestId: providerId,
      issuedAt: at,
      expiresAt,
    });
    await database.transaction(async (sql) => {
      await sql`select from providers where id = ${providerId} for update`;
      const [row] = await sql<{ open: bigint }[]>`
        select count(*) as open from wallet_challenges where provider_id = ${providerId} and expires_at > ${new Date(at)}`;
      if ((row?.open ?? 0n) >= OPEN_MAX) {
        throw new Fault('conflict', { outer: `At most ${OPEN_MAX} texts may wait for a signature.` });
      }
      await sql`
        insert into wallet_challenges (nonce, provider_id, purpose, address, message, issued_at, expires_at)
        values (${nonce}, ${providerId}, ${purpose}, ${address}, ${message}, ${new Date(at)}, ${new Date(expiresAt)})`;
    });
    return { nonce, message, expiresAt };
  }

  /**
   * Takes a signature. Throws `thing-unknown` for a nonce that is not this provider's, `conflict` for one that was used or is
   * too old and for an owner address that is another's or cannot change, and `signature-invalid`.
   */
  async prove(proof: {
    providerId: string;
    nonce: string;
    signature: Hex;
    actor: string;
  }): Promise<{ purpose: WalletPurpose; address: Address }> {
    const { database, clock, chain } = this.#parts;
    const { providerId, nonce, actor } = proof;
    const signature = proof.signature.toLowerCase() as Hex;
    const [row] = await database.sql<ChallengeRow[]>`
      select purpose, address, message, expires_at from wallet_challenges
      where nonce = ${nonce} and provider_id = ${providerId}`;
    if (!row) throw new Fault('thing-unknown', { outer: 'No such text waits for a signature.' });
    const { purpose, address, message } = row;
    const at = clock.wallMs();
    if (row.expires_at.getTime() <= at)
      throw new Fault('conflict', { outer: 'This text is too old: ask for another.' });
    const kind = await signedBy(chain, { address, message, signature });
    if (!kind)
      throw new Fault('signature-invalid', { outer: `The signature is not of the wallet ${address}.` });
    await database.transaction(async (sql) => {
      // One at a time for a provider, and for an owner address.
      await sql`select from providers where id = ${providerId} for update`;
      await sql`select pg_advisory_xact_lock(hashtextextended(${`owner ${address}`}, 0))`;
      const [used] = await sql`select from wallet_proofs where nonce = ${nonce}`;
      if (used) throw new Fault('conflict', { outer: 'This text was used before: ask for another.' });
      if (purpose === 'owner') {
        const taken = await sql<{ provider_id: string; address: Address }[]>`
          select provider_id, address from wallet_proofs
          where purpose = 'owner' and (provider_id = ${providerId} or address = ${address})`;
        if (taken.some((each) => each.provider_id !== providerId)) {
          throw new Fault('conflict', { outer: 'This wallet is the owner of another provider.' });
        }
        if (taken.some((each) => each.address !== address)) {
          throw new Fault('conflict', { outer: 'The owner address is proven and cannot be changed.' });
        }
        if (taken.length > 0) throw new Fault('conflict', { outer: 'The owner address is proven already.' });
        await sql`update providers set owner_address = null where owner_address = ${address} and id <> ${providerId}`;
        await sql`update providers set owner_address = ${address} where id = ${providerId}`;
      } else {
        await sql`update providers set beneficiary_address = ${address} where id = ${providerId}`;
      }
      await sql`
        insert into wallet_proofs (nonce, provider_id, purpose, address, kind, message, signature, proven_at)
        values (${nonce}, ${providerId}, ${purpose}, ${address}, ${kind}, ${message}, ${signature}, ${new Date(at)})`;
      await noteEvent(sql, {
        at,
        actor,
        what: 'wallet-proven',
        about: providerId,
        detail: { purpose, address, kind },
      });
    });
    return { purpose, address };
  }

  /** What a provider has proven, and where it is paid. */
  async standing(providerId: string): Promise<WalletStanding> {
    const at = this.#parts.clock.wallMs();
    const [row] = await this.#parts.database.sql<
      { owner: Address | null; payout: Address | null; newest: Address | null; newest_at: Date | null }[]
    >`
      select
        (select address from wallet_proofs where provider_id = ${providerId} and purpose = 'owner') as owner,
        payout_wallet(${providerId}, ${new Date(at)}) as payout,
        n.address as newest, n.proven_at as newest_at
      from (select 1) as one left join lateral (
        select address, proven_at from wallet_proofs
        where provider_id = ${providerId} and purpose = 'beneficiary' order by proven_at desc, nonce limit 1
      ) n on true`;
    const from = (row?.newest_at?.getTime() ?? 0) + DAY_MS;
    const waits = row?.newest != null && row.newest !== row.payout && from > at;
    return {
      owner: row?.owner ?? undefined,
      payout: row?.payout ?? undefined,
      next: waits ? { address: row.newest as Address, from } : undefined,
    };
  }
}

interface WalletParts {
  readonly database: Database;
  /** Asked about wallets that are contracts; without it only wallets with keys can prove themselves. */
  readonly chain: Chain | undefined;
  readonly chainId: number;
  /** The market's public URL: a wallet shows its host to whoever signs. */
  readonly market: string;
  readonly clock: Clock;
  readonly random: Randomness;
}

interface ChallengeRow {
  purpose: WalletPurpose;
  address: Address;
  message: string;
  expires_at: Date;
}
