import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';

/**
 * Tells pages what changed, as server-sent events. Nothing that serves or pays knows of it: in rounds it asks what the
 * accounts that listen have now, and tells each what is not as it was told last. So a burst of requests costs a listener one
 * event and the market one question, and a market that nobody looks at is asked nothing.
 *
 * Everything is bounded: streams of one account, of the process, the bytes that wait for a slow reader (who is dropped: its
 * page comes back by itself and begins anew), and the life of a stream. A stream ends within a round of the session or the key
 * that it was opened with.
 */
export const TOPICS = ['balance', 'usage', 'nodes', 'incidents', 'settlement', 'operator'] as const;
export type Topic = (typeof TOPICS)[number];

/** Who listens, and so to what it may. */
export interface Listener {
  /** Whose streams are counted together. */
  readonly account: string;
  readonly consumerId: string | undefined;
  readonly providerId: string | undefined;
  readonly isOperator: boolean;
  /** The session that it came with, which may end meanwhile. */
  readonly sessionId: string | undefined;
  /** Whether the key that it came with, if any, may still do what it might. */
  readonly keyHolds: () => boolean;
  readonly topics: ReadonlySet<Topic>;
}

/** The way to a reader. */
export interface EventSink {
  write(text: string): void;
  /** Bytes that were written and not taken yet. */
  readonly waitingBytes: number;
  /** After what was written, or at once. */
  end(how: 'in-order' | 'now'): void;
}

/** What things are now. Each is asked at most once in a round, for all who listen. */
export interface LiveSources {
  /** Those that last, and whether their users are operators. */
  sessions(ids: readonly string[]): Promise<ReadonlyMap<string, { isOperator: boolean }>>;
  balances(consumerIds: readonly string[]): Promise<ReadonlyMap<string, object>>;
  usage(consumerIds: readonly string[]): Promise<ReadonlyMap<string, object>>;
  nodes(providerIds: readonly string[]): ReadonlyMap<string, object>;
  incidents(): Promise<object>;
  settlement(): Promise<object>;
  operator(): Promise<object>;
}

export interface LiveLimits {
  readonly perAccount: number;
  readonly perProcess: number;
  readonly waitingBytesMax: number;
  readonly lifeMs: number;
  readonly heartbeatMs: number;
}

export const LIVE_LIMITS: LiveLimits = {
  perAccount: 6,
  perProcess: 500,
  waitingBytesMax: 65_536,
  lifeMs: 300_000,
  heartbeatMs: 15_000,
};

const ROUND_EVERY_MS = 2_000;

interface Stream {
  readonly listener: Listener;
  readonly sink: EventSink;
  /** Told how things are, and not kept. */
  readonly isOnce: boolean;
  readonly beganAtMs: number;
  /** What it was told last, by topic. */
  readonly told: Map<Topic, string>;
  wroteAtMs: number;
}

export class LiveEvents {
  readonly #clock: Clock;
  readonly #sources: LiveSources;
  readonly #limits: LiveLimits;
  readonly #streams = new Set<Stream>();
  readonly #rounds: Rounds;
  #closed = false;

  constructor(parts: { clock: Clock; log: Logger; sources: LiveSources; limits?: LiveLimits }) {
    this.#clock = parts.clock;
    this.#sources = parts.sources;
    this.#limits = parts.limits ?? LIVE_LIMITS;
    this.#rounds = new Rounds(parts.clock, {
      periodMs: ROUND_EVERY_MS,
      work: () => this.round(),
      failed: (error) =>
        parts.log.warn({ err: error }, 'Pages could not be told what changed; the next round will.'),
    });
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Begins a stream. Answers how to end it; `full` where this account or the process has as many as it may. */
  join(listener: Listener, sink: EventSink): (() => void) | 'full' {
    if (this.#closed || this.#streams.size >= this.#limits.perProcess) return 'full';
    let own = 0;
    for (const stream of this.#streams) if (stream.listener.account === listener.account) own += 1;
    if (own >= this.#limits.perAccount) return 'full';
    const nowMs = this.#clock.nowMs();
    const stream = { listener, sink, isOnce: false, beganAtMs: nowMs, told: new Map(), wroteAtMs: nowMs };
    this.#streams.add(stream);
    // How long a page waits before it comes back, and that there is a stream at all.
    sink.write('retry: 3000\n\n');
    return () => this.#streams.delete(stream);
  }

  /** How things are for this listener, in the form of a stream. Nobody else is asked about, or told. */
  async once(listener: Listener): Promise<string> {
    let text = '';
    const sink: EventSink = {
      write: (more) => {
        text += more;
      },
      waitingBytes: 0,
      end: () => undefined,
    };
    const nowMs = this.#clock.nowMs();
    const isOnce = true;
    await this.#tellAll([{ listener, sink, isOnce, beganAtMs: nowMs, told: new Map(), wroteAtMs: nowMs }]);
    return text;
  }

  /** Tells everybody what is not as it was told. */
  async round(): Promise<void> {
    this.#sweep();
    await this.#endThoseWithoutRight();
    await this.#tellAll([...this.#streams]);
  }

  async #tellAll(streams: readonly Stream[]): Promise<void> {
    if (streams.length === 0) return;
    const wanted = (topic: Topic): Stream[] => streams.filter(({ listener }) => listener.topics.has(topic));
    const sources = this.#sources;
    await this.#ofAccounts('balance', wanted('balance'), 'consumerId', (ids) => sources.balances(ids));
    await this.#ofAccounts('usage', wanted('usage'), 'consumerId', (ids) => sources.usage(ids));
    await this.#ofAccounts('nodes', wanted('nodes'), 'providerId', async (ids) => sources.nodes(ids));
    await this.#ofAll('incidents', wanted('incidents'), () => sources.incidents());
    await this.#ofAll('settlement', wanted('settlement'), () => sources.settlement());
    await this.#ofAll(
      'operator',
      wanted('operator').filter(({ listener }) => listener.isOperator),
      () => sources.operator(),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const stream of this.#streams) stream.sink.end('in-order');
    this.#streams.clear();
    await this.#rounds.close();
  }

  async #ofAccounts(
    topic: Topic,
    streams: readonly Stream[],
    by: 'consumerId' | 'providerId',
    ask: (ids: readonly string[]) => Promise<ReadonlyMap<string, object>>,
  ): Promise<void> {
    const ids = new Set<string>();
    for (const { listener } of streams) if (listener[by] !== undefined) ids.add(listener[by]);
    if (ids.size === 0) return;
    const answers = await ask([...ids]);
    for (const stream of streams) {
      const answer = answers.get(stream.listener[by] ?? '');
      if (answer) this.#tell(stream, topic, answer);
    }
  }

  async #ofAll(topic: Topic, streams: readonly Stream[], ask: () => Promise<object>): Promise<void> {
    if (streams.length === 0) return;
    const answer = await ask();
    for (const stream of streams) this.#tell(stream, topic, answer);
  }

  #tell(stream: Stream, topic: Topic, answer: object): void {
    // It may have left while the answer was found.
    if (!stream.isOnce && !this.#streams.has(stream)) return;
    const text = JSON.stringify(answer);
    if (stream.told.get(topic) === text) return;
    stream.told.set(topic, text);
    this.#write(stream, `event: ${topic}\ndata: ${text}\n\n`);
  }

  #write(stream: Stream, text: string): void {
    if (stream.sink.waitingBytes > this.#limits.waitingBytesMax) {
      this.#streams.delete(stream);
      stream.sink.end('now');
      return;
    }
    stream.wroteAtMs = this.#clock.nowMs();
    stream.sink.write(text);
  }

  async #endThoseWithoutRight(): Promise<void> {
    const ids = new Set<string>();
    for (const { listener } of this.#streams)
      if (listener.sessionId !== undefined) ids.add(listener.sessionId);
    const asked = [...this.#streams];
    const lasting = ids.size === 0 ? undefined : await this.#sources.sessions([...ids]);
    for (const stream of asked) {
      const { sessionId, isOperator, keyHolds } = stream.listener;
      const session = sessionId === undefined ? undefined : lasting?.get(sessionId);
      const holds =
        sessionId === undefined ? keyHolds() : session !== undefined && session.isOperator === isOperator;
      if (holds || !this.#streams.delete(stream)) continue;
      stream.sink.end('in-order');
    }
  }

  /** Ends what is old, and shows the others that there is still somebody. */
  #sweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const stream of this.#streams) {
      if (nowMs - stream.beganAtMs >= this.#limits.lifeMs) {
        this.#streams.delete(stream);
        stream.sink.end('in-order');
      } else if (nowMs - stream.wroteAtMs >= this.#limits.heartbeatMs)
        this.#write(stream, ': still here\n\n');
    }
  }
}
