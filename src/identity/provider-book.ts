import type { Database, Sql } from '#db/database.ts';
import { type Change, type Follower, follow } from '#db/follower.ts';
import type { Provider, ProviderState } from '#domain/party.ts';
import type { Price } from '#domain/price.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { type AskRow, askIn } from './asks.ts';

/**
 * Every provider and its state in memory, because the hub and routing ask at each registration and request. A change
 * made anywhere is known here as soon as PostgreSQL has announced it. What is withheld from a provider ends by itself: the
 * book tells its watchers when the moment has come.
 */
export class ProviderBook {
  readonly #database: Database;
  readonly #clock: Clock;
  #providers = new Map<string, Provider>();
  #follower: Follower | undefined;
  readonly #watchers = new Set<(provider: Provider) => void>();
  /** By provider: when to look again whether it is still withheld. */
  readonly #timers = new Map<string, Timer>();

  /** Loads every provider and follows changes until `close`. Throws when the database cannot be reached. */
  static async open(options: { database: Database; clock: Clock; log: Logger }): Promise<ProviderBook> {
    const book = new ProviderBook(options.database, options.clock);
    book.#follower = await follow(options.database, {
      channel: 'providers_changed',
      clock: options.clock,
      log: options.log,
      load: (change) => book.#load(change),
    });
    return book;
  }

  private constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  find(id: string): Provider | undefined {
    return this.#providers.get(id);
  }

  stateOf(id: string): ProviderState | undefined {
    return this.#providers.get(id)?.state;
  }

  /** Tells `changed` each provider that is new or of which something is another than before. Answers how to stop. */
  watch(changed: (provider: Provider) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Learns of a provider that was made or changed a moment ago. */
  async look(id: string): Promise<void> {
    await this.#follower?.look([id]);
  }

  async close(): Promise<void> {
    this.#watchers.clear();
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    await this.#follower?.close();
  }

  async #load(change: Change): Promise<void> {
    const { sql } = this.#database;
    // The table is small beside the keys: what is not a short list of ids is answered by all of it.
    const rows =
      typeof change === 'string'
        ? await sql<Row[]>`select ${columns(sql)} from providers`
        : await sql<Row[]>`select ${columns(sql)} from providers where id = any(${[...change]})`;
    for (const row of rows) this.#note(row);
  }

  #note({ withheld_until: until, asks: askRows, ...row }: Row): void {
    const before = this.#providers.get(row.id);
    const leftMs = (until?.getTime() ?? 0) - this.#clock.wallMs();
    const withheld = leftMs > 0;
    const provider: Provider = Object.freeze({
      ...row,
      ...(askRows && { asks: asksIn(askRows) }),
      ...(until && withheld && { withheldUntil: until.getTime() }),
    });
    this.#timers.get(row.id)?.cancel();
    this.#timers.delete(row.id);
    if (withheld) {
      // Looked at anew now and then: the wall clock may have jumped meanwhile.
      const again = (): void => this.#note({ ...row, asks: askRows, withheld_until: until });
      this.#timers.set(row.id, this.#clock.after(Math.min(leftMs, LOOK_AGAIN_MS), again));
    }
    if (before && sameProvider(before, provider)) return;
    this.#providers.set(row.id, provider);
    for (const changed of this.#watchers) changed(provider);
  }
}

const LOOK_AGAIN_MS = 3_600_000;

type Row = Omit<Provider, 'withheldUntil' | 'asks'> & {
  withheld_until: Date | null;
  asks: readonly (AskRow & { model: string })[] | null;
};

function columns(sql: Sql) {
  return sql`
    id, name, state, region, data_policy as "dataPolicy", state_reason as reason, withheld_until,
    (
      select json_agg(
        json_build_object(
          'model', a.model_id, 'id', a.id, 'unit', a.unit, 'input', a.input_pico::text, 'output', a.output_pico::text,
          'request', a.request_pico::text, 'minute', a.minute_pico::text
        )
        order by a.model_id
      )
      from (
        select distinct on (model_id) * from asks where provider_id = providers.id order by model_id, number desc
      ) a
    ) as asks`;
}

/** Models at the listed price are left out. */
function asksIn(rows: NonNullable<Row['asks']>): ReadonlyMap<string, Price> {
  return new Map(
    rows.flatMap((row) => {
      const ask = askIn(row);
      return ask ? [[row.model, ask] as const] : [];
    }),
  );
}

/** An ask never changes: its id says enough. */
function sameAsks(a: Provider['asks'], b: Provider['asks']): boolean {
  const [mine, theirs] = [[...(a ?? [])], b ?? new Map<string, Price>()];
  return mine.length === theirs.size && mine.every(([model, { id }]) => theirs.get(model)?.id === id);
}

function sameProvider(a: Provider, b: Provider): boolean {
  return (
    a.name === b.name &&
    a.state === b.state &&
    a.reason === b.reason &&
    a.region === b.region &&
    a.dataPolicy === b.dataPolicy &&
    a.withheldUntil === b.withheldUntil &&
    sameAsks(a.asks, b.asks)
  );
}
