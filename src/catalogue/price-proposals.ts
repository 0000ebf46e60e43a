import { hash } from 'node:crypto';
import type { Database } from '#db/database.ts';
import type { Amounts } from '#domain/price.ts';
import type { Clock } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { type PriceVersion, priceHistory, priceOutOfBounds, suspiciousChange, writePrice } from './prices.ts';

/**
 * Prices in two steps: one proposes and is shown what would change, and whoever has the word of the proposal confirms it
 * within a quarter of an hour. A slip of the hand so takes two slips. A proposal is decided on once, however many confirm
 * it at the same time.
 */
export interface Proposal {
  readonly id: string;
  readonly modelId: string;
  readonly amounts: Amounts;
  /** Wall milliseconds; undefined: from the moment of its confirmation. */
  readonly effectiveFrom: number | undefined;
  readonly proposedBy: string;
  readonly proposedAt: number;
  readonly expiresAt: number;
}

export interface ProposalParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly makeId: IdMaker;
  /** The cryptographic one. */
  readonly random: Randomness;
}

const GOOD_FOR_MS = 900_000;
const LISTED = 100;

export class PriceProposals {
  readonly #parts: ProposalParts;

  constructor(parts: ProposalParts) {
    this.#parts = parts;
  }

  /** `refused` with a sentence where it could never be a price, or would change too much without being forced. */
  async propose(wish: {
    modelId: string;
    amounts: Amounts;
    effectiveFrom: number | undefined;
    forced: boolean;
    actor: string;
  }): Promise<
    | {
        proposal: Proposal;
        token: Sealed<string>;
        before: PriceVersion | undefined;
        warning: string | undefined;
      }
    | { refused: string }
  > {
    const { database, clock, makeId, random } = this.#parts;
    const { modelId, amounts, effectiveFrom, forced, actor } = wish;
    const at = clock.wallMs();
    const outOfBounds = priceOutOfBounds(amounts);
    if (outOfBounds !== undefined) return { refused: outOfBounds };
    if (effectiveFrom !== undefined && effectiveFrom < at)
      return { refused: 'A price cannot be set for the past.' };
    const history = await priceHistory(database, { modelId, limit: LISTED });
    const before = history.find((each) => each.effectiveFrom <= (effectiveFrom ?? at));
    const warning = before && suspiciousChange(before, amounts);
    if (warning !== undefined && !forced) return { refused: warning };
    const token = random.bytes(16).toString('hex');
    const proposal: Proposal = {
      id: makeId('prop'),
      modelId,
      amounts,
      effectiveFrom,
      proposedBy: actor,
      proposedAt: at,
      expiresAt: at + GOOD_FOR_MS,
    };
    const { sql } = database;
    await sql`
      insert into price_proposals (
        id, model_id, amounts, effective_from, forced, proposed_by, proposed_at, expires_at, token_hash
      ) values (
        ${proposal.id}, ${modelId}, ${sql.json(keptAmounts(amounts))},
        ${effectiveFrom === undefined ? null : new Date(effectiveFrom)}, ${forced}, ${actor}, ${new Date(at)},
        ${new Date(proposal.expiresAt)}, decode(${hash('sha256', token, 'hex')}, 'hex')
      )`;
    return { proposal, token: new Sealed(token), before, warning };
  }

  /**
   * Sets the price, in one transaction with the decision: a price that is refused, or a process that dies, leaves the proposal
   * waiting. `unknown`: no such proposal waits, or the word is not its.
   */
  async confirm(which: {
    id: string;
    token: Sealed<string>;
  }): Promise<
    { modelId: string; priceId: string; effectiveFrom: number } | 'unknown' | 'expired' | { refused: string }
  > {
    const { database, clock, makeId } = this.#parts;
    const at = clock.wallMs();
    return await database.transaction(async (sql) => {
      // Whoever confirms at the same time waits here, and then finds it decided.
      const [row] = await sql<(Row & { ours: boolean })[]>`
        select *, token_hash = decode(${hash('sha256', which.token.open(), 'hex')}, 'hex') as ours
        from price_proposals where id = ${which.id} and decided_at is null for update`;
      if (!row) return 'unknown';
      if (row.expires_at.getTime() <= at) return 'expired';
      if (!row.ours) return 'unknown';
      const { model_id: modelId } = row;
      const effectiveFrom = Math.max(at, row.effective_from?.getTime() ?? at);
      const priceId = makeId('price');
      const answer = await writePrice(sql, {
        id: priceId,
        modelId,
        amounts: amountsOf(row.amounts),
        effectiveFrom,
        source: 'operator',
        forced: row.forced,
        at,
      });
      if (typeof answer === 'object') return answer;
      await sql`
        update price_proposals set decided_at = ${new Date(at)}, decision = 'confirmed', price_id = ${priceId}
        where id = ${which.id}`;
      return { modelId, priceId, effectiveFrom };
    });
  }

  /** False when no such proposal waits. */
  async withdraw(id: string): Promise<boolean> {
    const { database, clock } = this.#parts;
    const [row] = await database.sql`
      update price_proposals set decided_at = ${new Date(clock.wallMs())}, decision = 'withdrawn'
      where id = ${id} and decided_at is null returning id`;
    return row !== undefined;
  }

  /** Proposals that wait, oldest first. */
  async waiting(): Promise<Proposal[]> {
    const rows = await this.#parts.database.sql<Row[]>`
      select * from price_proposals where decided_at is null and expires_at > ${new Date(this.#parts.clock.wallMs())}
      order by proposed_at, id limit ${LISTED}`;
    return rows.map((row) => ({
      id: row.id,
      modelId: row.model_id,
      amounts: amountsOf(row.amounts),
      effectiveFrom: row.effective_from?.getTime(),
      proposedBy: row.proposed_by,
      proposedAt: row.proposed_at.getTime(),
      expiresAt: row.expires_at.getTime(),
    }));
  }
}

interface Row {
  id: string;
  model_id: string;
  amounts: KeptAmounts;
  effective_from: Date | null;
  forced: boolean;
  proposed_by: string;
  proposed_at: Date;
  expires_at: Date;
}

type KeptAmounts =
  | { unit: 'token'; input: string; output: string }
  | { unit: 'request'; request: string; minute: string | null };

/** Pico-dollars as decimal texts: JSON's numbers would round. */
function keptAmounts(amounts: Amounts): KeptAmounts {
  return amounts.unit === 'token'
    ? { unit: 'token', input: `${amounts.inputPico}`, output: `${amounts.outputPico}` }
    : {
        unit: 'request',
        request: `${amounts.requestPico}`,
        minute: amounts.minutePico === undefined ? null : `${amounts.minutePico}`,
      };
}

function amountsOf(kept: KeptAmounts): Amounts {
  return kept.unit === 'token'
    ? { unit: 'token', inputPico: BigInt(kept.input), outputPico: BigInt(kept.output) }
    : {
        unit: 'request',
        requestPico: BigInt(kept.request),
        ...(kept.minute !== null && { minutePico: BigInt(kept.minute) }),
      };
}
