import type { KeyScope } from './key-scope.ts';
import type { DataPolicy } from './preferences.ts';
import type { Price } from './price.ts';

/** The parties of the market. */

/** Who pays for inference. */
export interface Consumer {
  readonly id: string;
  readonly name: string;
}

/**
 * A provider's life. `can_connect` stays true in every state but `removed`; a provider that may not earn is kept out by
 * routing, because an agent that is refused at the door never comes back by itself.
 */
export type ProviderState =
  | 'pending'
  | 'under_review'
  | 'approved'
  | 'activating'
  | 'active'
  | 'suspended'
  | 'removed';

/** Who is paid for inference. */
export interface Provider {
  readonly id: string;
  readonly name: string;
  readonly state: ProviderState;
  /** Where its machines are, in the operator's words (`eu-west`); null when not noted. */
  readonly region: string | null;
  readonly dataPolicy: DataPolicy;
  /** What its agents ask for models, by model, where that is not the listed price. */
  readonly asks?: ReadonlyMap<string, Price>;
  /** Why it is in its state, for its own eyes; absent or empty when nothing was said. */
  readonly reason?: string;
  /** Wall milliseconds until which a failure keeps it from requests; absent when nothing does. */
  readonly withheldUntil?: number;
}

/** A key as the house knows it: never the secret itself. */
export interface KeyRecord {
  readonly id: string;
  readonly kind: 'consumer' | 'provider';
  /** The consumer's or the provider's id. */
  readonly ownerId: string;
  readonly name: string;
  /** The first eight characters after `sk-swan-` or `sk-prov-`, for people to tell keys apart. */
  readonly prefix: string;
  readonly revoked: boolean;
  /** The first key of the line that rotation made this one from. Absent: the key is its own line. */
  readonly familyId?: string;
  /** What it may do; absent when it may do all that its owner may. */
  readonly scope?: KeyScope;
  /** Wall milliseconds; absent when it does not expire. */
  readonly expiresAt?: number;
  /** The plan of the consumer that owns it (`plan.ts`); absent when nobody chose one. */
  readonly plan?: string;
  /** Wall milliseconds until which its consumer wants a debug log; absent when it wants none. May be over. */
  readonly debugUntil?: number;
}

/**
 * Whose key a secret is, or why it is nobody's: never made, not a key at all (a typo, another house's), revoked, or past
 * its expiry.
 */
export type KeyAnswer = KeyRecord | 'unknown' | 'malformed' | 'revoked' | 'expired' | 'suspended';
