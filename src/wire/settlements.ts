import type { Address, Hex } from '#domain/hex.ts';

/** A batch, as the market lists it. Amounts are in the token's smallest unit. */
export interface SettlementAnswer {
  readonly batch: number;
  readonly day: string;
  readonly state: 'pending' | 'submitted' | 'confirmed' | 'revoked';
  readonly cut: string;
  readonly accounts: number;
  readonly increase: string;
  readonly total: string;
  readonly decimals: number;
  readonly root: Hex;
  readonly claims_hash: Hex;
  readonly made_at: string;
}

/** What `claim` of the contract is called with. */
export interface ProofAnswer {
  readonly chain_id: number;
  readonly contract: Address;
  readonly token: Address;
  readonly batch: number;
  readonly account: Address;
  readonly cumulative: string;
  readonly increase: string;
  readonly proof: readonly Hex[];
}
