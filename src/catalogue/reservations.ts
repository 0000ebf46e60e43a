import type { Database } from '#db/database.ts';
import { type Follower, follow } from '#db/follower.ts';
import type { Reservation } from '#domain/reservation.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';

/** What is reserved for whom, in memory, and the table it comes from. */
export class ReservationView {
  readonly #database: Database;
  #byModel: ReadonlyMap<string, readonly Reservation[]> = new Map();
  #follower: Follower | undefined;

  /** Loads what stands and follows changes until `close`. Throws when the database cannot be reached. */
  static async open(options: { database: Database; clock: Clock; log: Logger }): Promise<ReservationView> {
    const view = new ReservationView(options.database);
    view.#follower = await follow(options.database, {
      channel: 'reservations_changed',
      clock: options.clock,
      log: options.log,
      load: () => view.#load(),
    });
    return view;
  }

  private constructor(database: Database) {
    this.#database = database;
  }

  /** Those at a model; undefined when there are none. */
  readonly of = (modelId: string): readonly Reservation[] | undefined => this.#byModel.get(modelId);

  async list(): Promise<StandingReservation[]> {
    return await standingReservations(this.#database);
  }

  async add(about: NewReservation): Promise<AddAnswer> {
    const answer = await addReservation(this.#database, about);
    await this.#follower?.look([about.id]);
    return answer;
  }

  async end(id: string, at: number): Promise<boolean> {
    const ended = await endReservation(this.#database, id, at);
    await this.#follower?.look([id]);
    return ended;
  }

  async close(): Promise<void> {
    await this.#follower?.close();
  }

  async #load(): Promise<void> {
    const byModel = new Map<string, Reservation[]>();
    for (const { actor: _actor, createdAt: _createdAt, ...each } of await standingReservations(
      this.#database,
    )) {
      const known = byModel.get(each.modelId);
      if (known) known.push(each);
      else byModel.set(each.modelId, [each]);
    }
    this.#byModel = byModel;
  }
}

export interface NewReservation extends Reservation {
  readonly actor: string;
  /** Wall milliseconds. */
  readonly at: number;
}

export interface StandingReservation extends Reservation {
  readonly actor: string;
  readonly createdAt: number;
}

/**
 * `not-business`: reserved places are for Business. `twice`: the consumer has some at this model. `too-much`: shares of a
 * model may come to nine tenths, so that something is left for everybody else.
 */
export type AddAnswer = 'added' | 'unknown-consumer' | 'not-business' | 'twice' | 'too-much';

const SHARES_MAX = 9_000;

export async function addReservation(database: Database, about: NewReservation): Promise<AddAnswer> {
  const { id, consumerId, modelId, slots, share, releaseIdleS, actor, at } = about;
  return await database.transaction(async (sql) => {
    await sql`lock table reservations in share row exclusive mode`;
    const [consumer] = await sql<{ plan: string }[]>`select plan from consumers where id = ${consumerId}`;
    if (!consumer) return 'unknown-consumer';
    if (consumer.plan !== 'business') return 'not-business';
    const others = await sql<{ consumer_id: string; share: number | null }[]>`
      select consumer_id, share_basis_points as share from reservations
      where model_id = ${modelId} and ended_at is null`;
    if (others.some((each) => each.consumer_id === consumerId)) return 'twice';
    const shares = others.reduce((sum, each) => sum + (each.share ?? 0), share ?? 0);
    if (shares > SHARES_MAX) return 'too-much';
    await sql`
      insert into reservations (
        id, consumer_id, model_id, slots, share_basis_points, release_idle_s, actor, created_at
      ) values (
        ${id}, ${consumerId}, ${modelId}, ${slots}, ${share}, ${releaseIdleS}, ${actor}, ${new Date(at)}
      )`;
    return 'added';
  });
}

/** False when there is no such reservation, or it was ended before. */
export async function endReservation(database: Database, id: string, at: number): Promise<boolean> {
  const [row] = await database.sql`
    update reservations set ended_at = ${new Date(at)} where id = ${id} and ended_at is null returning id`;
  return row !== undefined;
}

/** Those that were not ended, oldest first. One stands for as long as its consumer's plan is Business. */
export async function standingReservations(database: Database): Promise<StandingReservation[]> {
  const rows = await database.sql<
    {
      id: string;
      consumer_id: string;
      model_id: string;
      slots: number | null;
      share_basis_points: number | null;
      release_idle_s: number | null;
      actor: string;
      created_at: Date;
    }[]
  >`
    select r.* from reservations r join consumers c on c.id = r.consumer_id
    where r.ended_at is null and c.plan = 'business' order by r.created_at, r.id limit 10000`;
  return rows.map((row) => ({
    id: row.id,
    consumerId: row.consumer_id,
    modelId: row.model_id,
    slots: row.slots,
    share: row.share_basis_points,
    releaseIdleS: row.release_idle_s,
    actor: row.actor,
    createdAt: row.created_at.getTime(),
  }));
}
