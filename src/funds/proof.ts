import type { DepositFinding } from '#chain/collateral.ts';
import type { TokenAsset } from '#domain/asset.ts';
import type { ChainAsset } from '#domain/chain-settings.ts';
import type { Address } from '#domain/hex.ts';

/** What a transaction that a provider submitted proves: pure. */
export type ProofVerdict =
  | { readonly state: 'pending'; readonly reason: string }
  | { readonly state: 'rejected'; readonly reason: string }
  | { readonly state: 'confirmed'; readonly asset: TokenAsset; readonly amount: bigint };

/** A transaction that came into no block by then never will. */
export const PROOF_PATIENCE_MS = 24 * 3_600_000;

export function judgeProof(
  finding: DepositFinding,
  about: { owner: Address; assets: readonly ChainAsset[]; confirmations: number; waitedMs: number },
): ProofVerdict {
  switch (finding.state) {
    case 'absent':
      return about.waitedMs < PROOF_PATIENCE_MS
        ? { state: 'pending', reason: 'The transaction is in no block yet.' }
        : { state: 'rejected', reason: 'The transaction came into no block within a day.' };
    case 'shallow':
      return {
        state: 'pending',
        reason: `The transaction has ${finding.depth} of ${about.confirmations} confirmations.`,
      };
    case 'failed':
      return { state: 'rejected', reason: 'The transaction failed.' };
    case 'other':
      return { state: 'rejected', reason: 'The transaction deposited nothing in the collateral contract.' };
    default: {
      const own = finding.deposits.filter(({ account }) => account === about.owner);
      if (own.length === 0) {
        return { state: 'rejected', reason: 'The deposit is of another account than the owner address.' };
      }
      for (const { asset, token } of about.assets) {
        const amount = own.reduce((sum, each) => (each.token === token ? sum + each.received : sum), 0n);
        if (amount > 0n) return { state: 'confirmed', asset, amount };
      }
      return { state: 'rejected', reason: 'This market does not take that token.' };
    }
  }
}
