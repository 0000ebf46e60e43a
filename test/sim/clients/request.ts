import type { Pico } from '#domain/money.ts';
import type { Price } from '#domain/price.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { type ReplyWatch, SimulatedReply } from './reply.ts';

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

/** What a client decided to send. */
export interface Drawn {
  readonly kind: RequestKind;
  readonly consumerId: string;
  readonly secret: string | undefined;
  readonly modelId: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly maxTokens: number | undefined;
  readonly promptWords: number;
  readonly body: Buffer;
}

/** One request of a client, and everything that is known of it. */
export class SimulatedRequest {
  readonly n: number;
  readonly drawn: Drawn;
  readonly host: string;
  readonly requestId: string;
  readonly startedMs: number;
  /** The price in force when it was admitted. */
  readonly price: Price | undefined;
  /** Sent when the world is calm: it must succeed. */
  readonly calm: boolean;
  readonly reply: SimulatedReply;
  /** When its client hung up. */
  leftMs: number | undefined = undefined;
  /** When the gateway had done with it. */
  overMs: number | undefined = undefined;
  /** Reserved and not yet settled or released; the reservation; how often it was settled or released. */
  held: Pico = 0n;
  heldMost: Pico = 0n;
  settles = 0;
  readonly records: UsageRecord[] = [];
  /** It came past its key and its limits at once; from there on it leaves a usage record or a refusal. */
  isAdmitted = false;
  /** How often it was noted that it ends without a record. */
  refusals = 0;
  /** An append of its record was refused by the disk. */
  refusedByDisk = false;
  /** And it may be on the disk all the same. */
  inDoubt = false;
  attempts = 0;

  constructor(
    n: number,
    drawn: Drawn,
    about: Pick<SimulatedRequest, 'host' | 'requestId' | 'startedMs' | 'price' | 'calm'>,
    watch: ReplyWatch,
  ) {
    this.n = n;
    this.drawn = drawn;
    this.host = about.host;
    this.requestId = about.requestId;
    this.startedMs = about.startedMs;
    this.price = about.price;
    this.calm = about.calm;
    this.reply = new SimulatedReply(watch);
  }
}
