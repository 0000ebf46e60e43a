import type { Database, Sql } from '#db/database.ts';
import { noteEvent } from '#identity/account-events.ts';
import { type Account, type CheckVerdict, NEW_ACCOUNT } from './judge.ts';

/** Turns, checks, standings and findings of likeness, as questions asked of SQL. Migration 0049 says what they are. */

/** One answer of a check. */
export interface CheckedAnswer {
  readonly nodeId: string;
  readonly providerId: string;
  readonly verdict: CheckVerdict;
  /** How it began. */
  readonly opening: string;
  readonly ttftMs: number | null;
}

export interface Check {
  readonly id: string;
  readonly modelId: string;
  readonly at: number;
  readonly prompt: string;
  readonly answers: readonly CheckedAnswer[];
}

/** Times are wall milliseconds. */
export interface Finding {
  readonly id: string;
  readonly nodeId: string;
  readonly modelId: string;
  readonly providerId: string;
  readonly foundAt: number;
  readonly expiresAt: number;
  readonly checks: number;
  readonly unlike: number;
  /** Null while it stands. */
  readonly ended: {
    readonly at: number;
    readonly as: 'mended' | 'cleared' | 'expired';
    readonly by: string;
    readonly because: string;
  } | null;
}

/** How a node did on a model in the checks that are kept. */
export interface LikenessRecord {
  readonly nodeId: string;
  readonly modelId: string;
  readonly providerId: string;
  readonly alike: number;
  readonly unlike: number;
  readonly unclear: number;
  readonly lastAt: number;
  readonly ttftMs: number | null;
}

export class LikenessStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** When a model's next check is due; the first time, at `first`. */
  async dueAt(modelId: string, first: number): Promise<number> {
    const { sql } = this.#database;
    await sql`
      insert into likeness_turns (model_id, due_at) values (${modelId}, ${new Date(first)}) on conflict do nothing`;
    const [row] = await sql<
      { due_at: Date }[]
    >`select due_at from likeness_turns where model_id = ${modelId}`;
    return row?.due_at.getTime() ?? first;
  }

  /** Takes a turn that is due, and sets the next. Of two processes at once, one gets it. */
  async claim(modelId: string, about: { at: number; next: number }): Promise<boolean> {
    const rows = await this.#database.sql`
      update likeness_turns set due_at = ${new Date(about.next)}
      where model_id = ${modelId} and due_at <= ${new Date(about.at)} returning model_id`;
    return rows.length > 0;
  }

  /**
   * Writes a check and moves the accounts of whoever it says something of by `weigh`, in one transaction. Answers the
   * findings that began and those that ended.
   */
  async finish(
    check: Check,
    about: {
      weigh: (before: Account, verdict: 'alike' | 'unlike') => Account;
      findingId: () => string;
      validMs: number;
    },
  ): Promise<{ found: Finding[]; mended: Finding[] }> {
    const found: Finding[] = [];
    const mended: Finding[] = [];
    await this.#database.transaction(async (sql) => {
      const at = new Date(check.at);
      await sql`
        insert into likeness_checks (id, model_id, at, prompt)
        values (${check.id}, ${check.modelId}, ${at}, ${check.prompt})`;
      // In one order, so that two processes never wait for one another.
      for (const answer of check.answers.toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1))) {
        const { nodeId, providerId, verdict } = answer;
        await sql`
          insert into likeness_answers (check_id, node_id, provider_id, verdict, opening, ttft_ms)
          values (${check.id}, ${nodeId}, ${providerId}, ${verdict}, ${answer.opening}, ${answer.ttftMs})`;
        if (verdict === 'unclear') continue;
        await sql`
          insert into likeness_standings (node_id, model_id, provider_id, checks, unlike, evidence, checked_at)
          values (${nodeId}, ${check.modelId}, ${providerId}, 0, 0, 0, ${at}) on conflict do nothing`;
        const [row] = await sql<StandingRow[]>`
          select checks, unlike, evidence, finding_id from likeness_standings
          where node_id = ${nodeId} and model_id = ${check.modelId} for update`;
        const expired =
          row?.finding_id == null
            ? false
            : await this.#expire(sql, { findingId: row.finding_id, at: check.at });
        const findingId = expired ? null : (row?.finding_id ?? null);
        const before = row && !expired ? { ...row, found: findingId !== null } : NEW_ACCOUNT;
        const after = about.weigh(before, verdict);
        let standing = findingId;
        if (after.found && findingId === null) {
          standing = about.findingId();
          found.push(
            await this.#find(sql, {
              id: standing,
              nodeId,
              providerId,
              modelId: check.modelId,
              foundAt: check.at,
              expiresAt: check.at + about.validMs,
              checks: after.checks,
              unlike: after.unlike,
              ended: null,
            }),
          );
        } else if (!after.found && findingId !== null) {
          standing = null;
          const because = 'Its answers were like those of others again.';
          const ended = await this.#end(sql, {
            id: findingId,
            at: check.at,
            as: 'mended',
            by: 'market',
            because,
          });
          if (ended) mended.push(ended);
        }
        await sql`
          update likeness_standings set checks = ${after.checks}, unlike = ${after.unlike},
            evidence = ${after.evidence}, finding_id = ${standing}, checked_at = ${at}
          where node_id = ${nodeId} and model_id = ${check.modelId}`;
      }
    });
    return { found, mended };
  }

  /** The operator ends a finding; the node's account begins anew. Undefined when there is none; a repeat answers the first. */
  async clear(id: string, about: { at: number; by: string; because: string }): Promise<Finding | undefined> {
    return await this.#database.transaction(async (sql) => {
      const [held] = await sql<
        { node_id: string; model_id: string; provider_id: string; ended_at: Date | null }[]
      >`
        select node_id, model_id, provider_id, ended_at from likeness_findings where id = ${id}`;
      if (!held) return undefined;
      // Standing before finding, as a check takes them.
      await sql`
        select node_id from likeness_standings
        where node_id = ${held.node_id} and model_id = ${held.model_id} for update`;
      const ended = await this.#end(sql, { id, ...about, as: 'cleared' });
      if (!ended) return (await this.#findings(sql, sql`where id = ${id}`))[0];
      await sql`
        update likeness_standings set checks = 0, unlike = 0, evidence = 0, finding_id = null where finding_id = ${id}`;
      await noteEvent(sql, {
        at: about.at,
        actor: about.by,
        what: 'likeness-cleared',
        about: held.provider_id,
        detail: { finding: id, reason: about.because },
      });
      return ended;
    });
  }

  /** Ends what is too old to count, and drops checks from before `keptSince`. */
  async forget(at: number, keptSince: number): Promise<void> {
    const { sql } = this.#database;
    const old = await sql<{ node_id: string; model_id: string; finding_id: string }[]>`
      select s.node_id, s.model_id, s.finding_id from likeness_standings s
      join likeness_findings f on f.id = s.finding_id where f.expires_at <= ${new Date(at)}`;
    for (const { node_id: nodeId, model_id: modelId, finding_id: findingId } of old) {
      // oxlint-disable-next-line no-await-in-loop -- a handful a month.
      await this.#database.transaction(async (tx) => {
        await tx`
          select node_id from likeness_standings where node_id = ${nodeId} and model_id = ${modelId} for update`;
        await this.#expire(tx, { findingId, at });
        await tx`
          update likeness_standings set checks = 0, unlike = 0, evidence = 0, finding_id = null
          where finding_id = ${findingId}`;
      });
    }
    await sql`delete from likeness_checks where at < ${new Date(keptSince)}`;
  }

  /** Findings, newest first: all, of one provider, of these nodes, or those that stand. */
  async findings(which: {
    providerId?: string | undefined;
    nodeIds?: readonly string[] | undefined;
    standing?: boolean;
    limit?: number;
  }): Promise<Finding[]> {
    const { sql } = this.#database;
    const { providerId, nodeIds, standing = false, limit = FINDINGS_MAX } = which;
    return await this.#findings(
      sql,
      sql`where ${providerId === undefined ? sql`true` : sql`provider_id = ${providerId}`}
        and ${nodeIds === undefined ? sql`true` : sql`node_id = any(${[...nodeIds]})`}
        and ${standing ? sql`ended_at is null` : sql`true`}
        order by found_at desc, id desc limit ${limit}`,
    );
  }

  /** A finding with the checks that it rests on and those since, newest first. */
  async show(id: string): Promise<{ finding: Finding; checks: Check[] } | undefined> {
    const { sql } = this.#database;
    const [finding] = await this.#findings(sql, sql`where id = ${id}`);
    if (!finding) return undefined;
    const rows = await sql<CheckRow[]>`
      select c.id, c.at, c.prompt, a.node_id, a.provider_id, a.verdict, a.opening, a.ttft_ms
      from (
        select c.* from likeness_checks c join likeness_answers mine on mine.check_id = c.id
        where mine.node_id = ${finding.nodeId} and c.model_id = ${finding.modelId}
        order by c.at desc limit ${CHECKS_SHOWN}
      ) c join likeness_answers a on a.check_id = c.id
      order by c.at desc, c.id, a.node_id`;
    const checks = new Map<string, Check & { answers: CheckedAnswer[] }>();
    for (const row of rows) {
      const check = checks.get(row.id) ?? {
        id: row.id,
        modelId: finding.modelId,
        at: row.at.getTime(),
        prompt: row.prompt,
        answers: [],
      };
      checks.set(row.id, check);
      check.answers.push({
        nodeId: row.node_id,
        providerId: row.provider_id,
        verdict: row.verdict,
        opening: row.opening,
        ttftMs: row.ttft_ms,
      });
    }
    return { finding, checks: [...checks.values()] };
  }

  /** How nodes did in the checks that are kept: all of them, or a provider's. */
  async records(providerId?: string): Promise<LikenessRecord[]> {
    const { sql } = this.#database;
    const rows = await sql<RecordRow[]>`
      select a.node_id, c.model_id, a.provider_id, max(c.at) as last_at,
        count(*) filter (where verdict = 'alike')::float8 as alike,
        count(*) filter (where verdict = 'unlike')::float8 as unlike,
        count(*) filter (where verdict = 'unclear')::float8 as unclear,
        percentile_cont(0.5) within group (order by a.ttft_ms) as ttft_ms
      from likeness_answers a join likeness_checks c on c.id = a.check_id
      where ${providerId === undefined ? sql`true` : sql`a.provider_id = ${providerId}`}
      group by a.node_id, c.model_id, a.provider_id
      order by 6 desc, 1 limit ${RECORDS_MAX}`;
    return rows.map((row) => ({
      nodeId: row.node_id,
      modelId: row.model_id,
      providerId: row.provider_id,
      alike: row.alike,
      unlike: row.unlike,
      unclear: row.unclear,
      lastAt: row.last_at.getTime(),
      ttftMs: row.ttft_ms,
    }));
  }

  async #find(sql: Sql, finding: Finding): Promise<Finding> {
    await sql`
      insert into likeness_findings (id, node_id, model_id, provider_id, found_at, expires_at, checks, unlike)
      values (${finding.id}, ${finding.nodeId}, ${finding.modelId}, ${finding.providerId}, ${new Date(finding.foundAt)},
        ${new Date(finding.expiresAt)}, ${finding.checks}, ${finding.unlike})`;
    return finding;
  }

  async #expire(sql: Sql, { findingId, at }: { findingId: string; at: number }): Promise<boolean> {
    const rows = await sql`
      update likeness_findings set ended_at = ${new Date(at)}, ended_as = 'expired', ended_by = 'market',
        ended_because = 'It was too old to count.'
      where id = ${findingId} and ended_at is null and expires_at <= ${new Date(at)} returning id`;
    return rows.length > 0;
  }

  async #end(
    sql: Sql,
    end: { id: string; at: number; as: 'mended' | 'cleared'; by: string; because: string },
  ): Promise<Finding | undefined> {
    const rows = await sql<FindingRow[]>`
      update likeness_findings set ended_at = ${new Date(end.at)}, ended_as = ${end.as}, ended_by = ${end.by},
        ended_because = ${end.because}
      where id = ${end.id} and ended_at is null returning *`;
    return rows.map(findingOf)[0];
  }

  async #findings(sql: Sql, rest: ReturnType<Sql>): Promise<Finding[]> {
    return (await sql<FindingRow[]>`select * from likeness_findings ${rest}`).map(findingOf);
  }
}

const FINDINGS_MAX = 500;
const CHECKS_SHOWN = 60;
const RECORDS_MAX = 500;

function findingOf(row: FindingRow): Finding {
  return {
    id: row.id,
    nodeId: row.node_id,
    modelId: row.model_id,
    providerId: row.provider_id,
    foundAt: row.found_at.getTime(),
    expiresAt: row.expires_at.getTime(),
    checks: row.checks,
    unlike: row.unlike,
    ended:
      row.ended_at && row.ended_as
        ? {
            at: row.ended_at.getTime(),
            as: row.ended_as,
            by: row.ended_by ?? '',
            because: row.ended_because ?? '',
          }
        : null,
  };
}

interface FindingRow {
  id: string;
  node_id: string;
  model_id: string;
  provider_id: string;
  found_at: Date;
  expires_at: Date;
  checks: number;
  unlike: number;
  ended_at: Date | null;
  ended_as: 'mended' | 'cleared' | 'expired' | null;
  ended_by: string | null;
  ended_because: string | null;
}
interface StandingRow {
  checks: number;
  unlike: number;
  evidence: number;
  finding_id: string | null;
}
interface CheckRow {
  id: string;
  at: Date;
  prompt: string;
  node_id: string;
  provider_id: string;
  verdict: CheckVerdict;
  opening: string;
  ttft_ms: number | null;
}
interface RecordRow {
  node_id: string;
  model_id: string;
  provider_id: string;
  last_at: Date;
  alike: number;
  unlike: number;
  unclear: number;
  ttft_ms: number | null;
}
