import type { Database } from '#db/database.ts';
import { type Follower, follow } from '#db/follower.ts';
import type { Canary, Category, Model } from '#domain/model.ts';
import type { Price } from '#domain/price.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';

/**
 * What can be called now and at what price, in memory. Changes made anywhere are known here as soon as PostgreSQL has
 * announced them. Prices of the future are held as well and come into force by themselves, at the first look after their
 * instant: no timer, and no request is priced with yesterday's list because one fired late.
 *
 * A model without a price in force is not on sale, and neither is one that was switched off.
 */
export class CatalogueView {
  readonly #database: Database;
  readonly #clock: Clock;
  #offers: readonly Offer[] = [];
  #byName: ReadonlyMap<string, Model> = new Map();
  #list: readonly Model[] = [];
  /** Between these wall times the lists hold: no price begins within. */
  #holdsFrom = 0;
  #holdsUntil = 0;
  #follower: Follower | undefined;

  /** Loads the catalogue and follows changes until `close`. Throws when the database cannot be reached. */
  static async open(options: { database: Database; clock: Clock; log: Logger }): Promise<CatalogueView> {
    const view = new CatalogueView(options.database, options.clock);
    view.#follower = await follow(options.database, {
      channel: 'catalogue_changed',
      clock: options.clock,
      log: options.log,
      load: () => view.#load(),
    });
    return view;
  }

  private constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** The model that `name` means: an id (case-sensitive), a slug, or an alias, in that order of precedence. */
  resolve(name: string): Model | undefined {
    this.#keepTime();
    return this.#byName.get(name);
  }

  /** Every model on sale, by id. */
  list(): readonly Model[] {
    this.#keepTime();
    return this.#list;
  }

  async close(): Promise<void> {
    await this.#follower?.close();
  }

  #keepTime(): void {
    const now = this.#clock.wallMs();
    // A wall clock that was set back finds the earlier prices again.
    if (now < this.#holdsFrom || now >= this.#holdsUntil) this.#price(now);
  }

  #price(now: number): void {
    let from = Number.NEGATIVE_INFINITY;
    let until = Number.POSITIVE_INFINITY;
    const list: Model[] = [];
    for (const { model, prices } of this.#offers) {
      let inForce: Price | undefined;
      for (const { at, price } of prices) {
        if (at <= now) {
          inForce = price;
          from = Math.max(from, at);
        } else {
          until = Math.min(until, at);
          break;
        }
      }
      if (inForce) list.push(Object.freeze({ ...model, price: inForce }));
    }
    const byName = new Map<string, Model>();
    for (const model of list) for (const alias of model.aliases) byName.set(alias, model);
    for (const model of list) byName.set(model.slug, model);
    for (const model of list) byName.set(model.id, model);
    this.#list = list;
    this.#byName = byName;
    this.#holdsFrom = from;
    this.#holdsUntil = until;
  }

  async #load(): Promise<void> {
    const { sql } = this.#database;
    const now = this.#clock.wallMs();
    // The price in force, those to come, and (for a clock that is set back a little) those of the last day.
    const rows = await sql<Row[]>`
      select m.id, m.slug, m.aliases, m.name, m.category, m.context_tokens, m.max_output_tokens, m.min_vram_gb, m.tier,
        m.canary_version, m.canary_share, m.stand_in, m.requirements,
        p.id as price_id, p.effective_from, p.unit, p.input_pico, p.output_pico, p.request_pico,
        p.minute_pico
      from models m
      join prices p on p.model_id = m.id
      where m.active and p.effective_from >= coalesce(
        (
          select max(effective_from) from prices
          where model_id = m.id and effective_from <= ${new Date(now - DAY_MS)}
        ),
        '-infinity'
      )
      order by m.id collate "C", p.effective_from`;
    const offers = new Map<string, { model: Omit<Model, 'price'>; prices: Dated[] }>();
    for (const row of rows) {
      let offer = offers.get(row.id);
      if (!offer) {
        offer = { model: modelOf(row), prices: [] };
        offers.set(row.id, offer);
      }
      offer.prices.push({ at: row.effective_from.getTime(), price: priceOfRow(row) });
    }
    this.#offers = [...offers.values()];
    this.#price(this.#clock.wallMs());
  }
}

const DAY_MS = 86_400_000;

interface Dated {
  readonly at: number;
  readonly price: Price;
}

interface Offer {
  readonly model: Omit<Model, 'price'>;
  /** By the instant they begin, earliest first. */
  readonly prices: readonly Dated[];
}

interface Row {
  id: string;
  slug: string;
  aliases: string[];
  name: string;
  category: Category;
  context_tokens: number | null;
  max_output_tokens: number | null;
  min_vram_gb: number;
  tier: string;
  canary_version: string | null;
  canary_share: number | null;
  stand_in: string | null;
  requirements: Record<string, string | number> | null;
  price_id: string;
  effective_from: Date;
  unit: 'token' | 'request';
  input_pico: bigint | null;
  output_pico: bigint | null;
  request_pico: bigint | null;
  minute_pico: bigint | null;
}

function modelOf(row: Row): Omit<Model, 'price'> {
  return {
    id: row.id,
    slug: row.slug,
    aliases: Object.freeze(row.aliases),
    name: row.name,
    category: row.category,
    contextTokens: row.context_tokens,
    maxOutputTokens: row.max_output_tokens,
    minVramGb: row.min_vram_gb,
    active: true,
    tier: row.tier,
    canary:
      row.canary_version === null ? null : { version: row.canary_version, share: row.canary_share ?? 0 },
    ...(row.stand_in !== null && { standIn: row.stand_in }),
    ...(row.requirements !== null && { requirements: Object.freeze(row.requirements) }),
  };
}

function priceOfRow(row: Row): Price {
  return Object.freeze(
    row.unit === 'token'
      ? {
          id: row.price_id,
          unit: 'token',
          inputPico: row.input_pico ?? 0n,
          outputPico: row.output_pico ?? 0n,
        }
      : {
          id: row.price_id,
          unit: 'request',
          requestPico: row.request_pico ?? 0n,
          ...(row.minute_pico !== null && { minutePico: row.minute_pico }),
        },
  );
}

/** Puts a version of a model on trial, or ends the trial. Answers the model's id; undefined when there is no such model. */
export async function setCanary(
  database: Database,
  wish: { name: string; canary: Canary | null },
): Promise<string | undefined> {
  const { name, canary } = wish;
  const [model] = await database.sql<{ id: string }[]>`
    update models set canary_version = ${canary?.version ?? null}, canary_share = ${canary?.share ?? null}
    where id = ${name} or slug = ${name} returning id`;
  return model?.id;
}

/** Pins a model, or (null) to nothing. Answers the model's id; undefined when there is no such model. */
export async function setRequirements(
  database: Database,
  wish: { name: string; requirements: Readonly<Record<string, string | number>> | null },
): Promise<string | undefined> {
  const { name, requirements } = wish;
  const { sql } = database;
  const [model] = await sql<{ id: string }[]>`
    update models set requirements = ${requirements === null ? null : sql.json(requirements)}
    where id = ${name} or slug = ${name} returning id`;
  return model?.id;
}

/**
 * Names the smaller model that may answer in a model's place while that is in trouble, or (null) none. Answers both ids;
 * undefined when either is no model.
 */
export async function setStandIn(
  database: Database,
  wish: { name: string; by: string | null },
): Promise<{ modelId: string; by: string | null } | undefined> {
  const { name, by } = wish;
  const [row] = await database.sql<{ id: string; stand_in: string | null }[]>`
    update models set stand_in = small.id
    from (
      select id from models where id = ${by} or slug = ${by} union all select null where ${by}::text is null
    ) small
    where (models.id = ${name} or models.slug = ${name}) and models.id is distinct from small.id
    returning models.id, models.stand_in`;
  return row && { modelId: row.id, by: row.stand_in };
}
