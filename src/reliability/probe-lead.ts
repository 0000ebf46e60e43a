import { z } from 'zod';
import type { Database } from '#db/database.ts';
import type { Once } from '#db/round-terms.ts';
import type { Clock } from '#kit/clock.ts';
import type { Logger } from '#kit/log.ts';
import { Rounds } from '#kit/rounds.ts';

/**
 * Of several gateways one probes, and all learn what it found. The one holds the term `probes` (`db/round-terms.ts`) and renews it
 * every five seconds; when it dies, another takes it within twenty: fifteen until the term is over, and five until somebody looks.
 * For as long as no renewal was answered it counts its lead from before it asked, so it stops by itself before another begins.
 *
 * What is found is announced by PostgreSQL. An announcement that a gateway misses is made good by the next one, since each says
 * everything that is known of the one candidate it is about.
 */
export class ProbeLead {
  readonly #parts: ProbeLeadParts;
  readonly #rounds: Rounds;
  #listening: { stop: () => Promise<void> } | undefined;
  #leadsUntilMs = Number.NEGATIVE_INFINITY;
  #left = false;
  #looking: Promise<void> | undefined;

  constructor(parts: ProbeLeadParts) {
    this.#parts = parts;
    this.#rounds = new Rounds(parts.clock, {
      periodMs: ASK_EVERY_MS,
      work: () => this.look(),
      failed: (error) => parts.log.warn({ err: error }, 'It could not be asked who probes; probing waits.'),
    });
  }

  get leads(): boolean {
    return !this.#left && this.#parts.clock.nowMs() < this.#leadsUntilMs;
  }

  /** Listens where it does not yet, and takes the lead or keeps it where nobody else has it. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    if (this.#left) return;
    const { clock, once, database, shared } = this.#parts;
    if (shared) this.#listening ??= await database.listen(CHANNEL, (payload) => this.#hear(payload));
    const askedMs = clock.nowMs();
    await once('probes', async () => {
      this.#leadsUntilMs = askedMs + LEAD_MS;
    });
  }

  /** Tells every other gateway what was found. */
  tell(finding: ProbeFinding): void {
    const { shared, database, instance, log } = this.#parts;
    if (!shared) return;
    const payload = JSON.stringify({ ...finding, from: instance });
    void database.sql`select pg_notify(${CHANNEL}, ${payload})`.catch((error: unknown) =>
      log.warn({ err: error }, 'What a probe found could not be told; the next one is.'),
    );
  }

  /** No more probes by this process. Whoever is next need not wait for the term when `RoundTerms` is closed. */
  leave(): void {
    this.#left = true;
    void this.#rounds.close();
  }

  async close(): Promise<void> {
    this.leave();
    await this.#rounds.close();
    await this.#looking?.catch(() => {});
    await this.#listening?.stop();
  }

  #hear(payload: string): void {
    const heard = read(payload);
    if (heard && heard.from !== this.#parts.instance) this.#parts.heard(heard);
  }
}

const ASK_EVERY_MS = 5_000;
/** The length of a term. */
const LEAD_MS = 15_000;
const CHANNEL = 'probes_found';

const findingSchema = z.object({
  model: z.string(),
  /** The candidate that was asked; absent: it was the public door. */
  to: z.object({ link: z.string(), node: z.string() }).optional(),
  ok: z.boolean(),
  /** In a row, up to now. */
  failures: z.number().int().min(0),
  because: z.string().optional(),
  ttftMs: z.number().nullable(),
  /** Whether the answer was right; absent: there was none to judge. */
  right: z.boolean().optional(),
});

/** What one probe found, and all that follows from it for whoever did not ask. */
export type ProbeFinding = z.output<typeof findingSchema>;

const announcementSchema = findingSchema.extend({ from: z.string() });

function read(payload: string): z.output<typeof announcementSchema> | undefined {
  try {
    return announcementSchema.parse(JSON.parse(payload));
  } catch {
    // Of a newer version, or of somebody else: no word of ours.
    return undefined;
  }
}

export interface ProbeLeadParts {
  readonly database: Pick<Database, 'sql' | 'listen'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly once: Once;
  /** Names this process. */
  readonly instance: string;
  /** There may be other gateways. */
  readonly shared: boolean;
  /** Another gateway found something. */
  readonly heard: (finding: ProbeFinding) => void;
}
