import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Sealed } from '#kit/sealed.ts';

/**
 * How two gateways prove to each other that they belong to one market: both know `CYGNET_LINK_SECRET`, and neither says it.
 *
 *     listener → dialler   challenge { from, nonce }
 *     dialler → listener   proof { from, nonce, mac }      mac over the address dialled, both names and both nonces
 *     listener → dialler   welcome { mac }                 likewise, under another word
 *
 * The word keeps a proof from being sent back as a welcome, the nonces keep an old one from being sent again. The address
 * keeps it from being passed on: where others are found is what Redis says, and one that lies could send the dialler to a
 * third party, which would stand between the two from then on. The listener takes a proof only for the address that it gave
 * itself. The frames that follow are not signed: the network between gateways is private, or the URL is `wss://`.
 */
export const challengeSchema = z.object({
  type: z.literal('challenge'),
  from: z.string().min(1).max(200),
  nonce: z.string().min(16).max(200),
});
export const proofSchema = z.object({
  type: z.literal('proof'),
  from: z.string().min(1).max(200),
  nonce: z.string().min(16).max(200),
  mac: z.string().max(200),
});
export const welcomeSchema = z.object({ type: z.literal('welcome'), mac: z.string().max(200) });

export interface Meeting {
  readonly listener: string;
  readonly dialler: string;
  readonly listenerNonce: string;
  readonly diallerNonce: string;
  /** As the listener says it and the dialler dialled it, to the letter. */
  readonly address: string;
}

/** What the dialler (`proof`) or the listener (`welcome`) shows. */
export function macOf(word: 'proof' | 'welcome', secret: Sealed<string>, meeting: Meeting): string {
  const { listener, dialler, listenerNonce, diallerNonce, address } = meeting;
  const said = [word, address, listener, dialler, listenerNonce, diallerNonce];
  return createHmac('sha256', secret.open()).update(JSON.stringify(said)).digest('base64url');
}

/** Compares in the same time whatever is wrong. */
export function isMac(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
