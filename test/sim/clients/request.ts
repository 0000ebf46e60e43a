import type { Pico } from '#domain/money.ts';
import type { Price } from '#domain/price.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { SimulatedReply } from './reply.ts';

/** What kind of request a client sends, good ones and others. */
export type RequestKind =
  | 'good'
  | 'key-unknown'
  | 'key-missing'
  | 'key-of-provider'
  | 'body-broken'
  | 'body-wrong'
  | 'tokens-oversized'
  | 'model-unknown'
  | 'model-of-pictures'
  | 'poison'
  | 'huge-prompt';

/** One request of a client, and everything that is known of it. */
export interface SimulatedRequest {
  readonly n: number;
  readonly kind: RequestKind;
  readonly consumerId: string;
  readonly secret: string | undefined;
  readonly modelId: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly maxTokens: number | undefined;
  readonly promptWords: number;
  readonly body: Buffer;
  readonly reply: SimulatedReply;
  readonly host: string;
  readonly startedMs: number;
  /** The price in force when it was admitted. */
  readonly price: Price | undefined;
  requestId: string;
  /** When its client hung up. */
  leftMs: number | undefined;
  /** The gateway has done with it. */
  overMs: number | undefined;
  /** Its process died first. */
  reset: boolean;
  /** Reserved and not yet settled or released; how often each was called. */
  held: Pico;
  heldMost: Pico;
  settles: number;
  records: UsageRecord[];
  /** An append of its record was refused by the disk. */
  refusedByDisk: boolean;
  attempts: number;
  /** Sent when the world is calm: it must succeed. */
  readonly calm: boolean;
}
