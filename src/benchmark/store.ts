import type { Database, Sql } from '#db/database.ts';
import { noteEvent } from '#identity/account-events.ts';
import type { Score } from './grade.ts';
import type { PastRun, Verdict } from './verdict.ts';

/** Turns, runs and decisions, as questions asked of SQL. What a turn and a run are is told in migration 0024. */

/** A node and a model that it serves. */
export interface Place {
  readonly nodeId: string;
  readonly modelId: string;
  readonly providerId: string;
}

/** Times are wall milliseconds. */
export interface Turn extends Place {
  readonly dueAt: number;
  readonly passedAt: number | null;
  readonly withheldUntil: number | null;
  /** Until when a run is under way; null when none is. */
  readonly claimedUntil: number | null;
}

/** What was asked and what came back, for the operator. */
export interface KeptAnswer {
  readonly kind: string;
  readonly prompt: string;
  readonly answer: string;
  readonly why: string;
  readonly ttftMs: number | null;
}
export interface KeptPaper {
  readonly seed: string;
  readonly answers: readonly KeptAnswer[];
}

export interface Run extends Place {
  readonly id: string;
  readonly beganAt: number;
  readonly endedAt: number;
  readonly verdict: Verdict;
  readonly score: Score;
  readonly shortcomings: readonly string[];
  readonly tier: string;
  /** Undefined in lists. */
  readonly papers?: readonly KeptPaper[];
  /** Whether its provider asked for an appeal. */
  readonly appealAsked?: boolean;
  readonly appeal?: { readonly decision: 'granted' | 'rejected'; readonly reason: string } | undefined;
}

const HISTORY_MAX = 500;

export class BenchmarkStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The turns of all nodes, or of these. */
  async turns(nodeIds: readonly string[] | 'all'): Promise<Turn[]> {
    const { sql } = this.#database;
    const rows = await sql<TurnRow[]>`
      select * from benchmark_turns where ${nodeIds === 'all' ? sql`true` : sql`node_id = any(${[...nodeIds]})`}`;
    return rows.map((row) => ({
      nodeId: row.node_id,
      modelId: row.model_id,
      providerId: row.provider_id,
      dueAt: row.due_at.getTime(),
      passedAt: row.passed_at?.getTime() ?? null,
      withheldUntil: row.withheld_until?.getTime() ?? null,
      claimedUntil: row.claimed_until?.getTime() ?? null,
    }));
  }

  /** Notes a place that was never seen; one that was keeps its turn. */
  async enter(place: Place, dueAt: number): Promise<void> {
    await this.#database.sql`
      insert into benchmark_turns (node_id, model_id, provider_id, due_at)
      values (${place.nodeId}, ${place.modelId}, ${place.providerId}, ${new Date(dueAt)})
      on conflict do nothing`;
  }

  /** Takes a turn that is due and that nobody has taken. Of two processes at once, one gets it. */
  async claim(place: Place, claim: { runId: string; at: number; until: number }): Promise<boolean> {
    const at = new Date(claim.at);
    const [claimed] = await this.#database.sql`
      update benchmark_turns set run_id = ${claim.runId}, claimed_until = ${new Date(claim.until)}
      where node_id = ${place.nodeId} and model_id = ${place.modelId} and due_at <= ${at}
        and (claimed_until is null or claimed_until <= ${at})
      returning node_id`;
    return claimed !== undefined;
  }

  /** Gives a turn back without a result: nothing was learnt. */
  async giveBack(place: Place, { runId, dueAt }: { runId: string; dueAt: number }): Promise<void> {
    await this.#database.sql`
      update benchmark_turns set run_id = null, claimed_until = null, due_at = ${new Date(dueAt)}
      where node_id = ${place.nodeId} and model_id = ${place.modelId} and run_id = ${runId}`;
  }

  /** Of these questions' digests, those that were asked of nobody yet; from now on they are asked. */
  async markAsked(digests: readonly string[], at: number): Promise<Set<string>> {
    const rows = await this.#database.sql<{ digest: string }[]>`
      insert into benchmark_asked (digest, asked_at)
      select decode(each, 'hex'), ${new Date(at)} from unnest(${[...digests]}::text[]) as each
      on conflict do nothing returning encode(digest, 'hex') as digest`;
    return new Set(rows.map(({ digest }) => digest));
  }

  /**
   * Writes a run and moves its turn, in one transaction, in which `judge` sees the provider's history with no other run of
   * it being written. Undefined when the turn is not this run's any more: somebody else took it, and the run counts for
   * nothing.
   */
  async finish(
    run: Omit<Run, 'verdict'>,
    judge: (history: readonly PastRun[], activatedAt: number | null) => Verdict,
    nextDueAt: (verdict: Verdict) => number,
  ): Promise<Verdict | undefined> {
    return await this.#database.transaction(async (sql) => {
      const [provider] = await sql<{ activated_at: Date | null }[]>`
        select activated_at from providers where id = ${run.providerId} for update`;
      const [turn] = await sql`
        select node_id from benchmark_turns
        where node_id = ${run.nodeId} and model_id = ${run.modelId} and run_id = ${run.id} for update`;
      if (!turn || !provider) return undefined;
      const history = await sql<{ ended_at: Date; passed: boolean; counted: boolean }[]>`
        select ended_at, passed, counted from benchmark_runs r
        where provider_id = ${run.providerId} and not exists (
          select from benchmark_appeals a where a.run_id = r.id and a.decision = 'granted'
        )
        order by ended_at desc, id desc limit ${HISTORY_MAX}`;
      const verdict = judge(
        history.map(({ ended_at, passed, counted }) => ({ endedAt: ended_at.getTime(), passed, counted })),
        provider.activated_at?.getTime() ?? null,
      );
      const { score } = run;
      const until = verdict.withheldUntil === null ? null : new Date(verdict.withheldUntil);
      await sql`
        insert into benchmark_runs (
          id, node_id, model_id, provider_id, began_at, ended_at, passed, counted, failures, step, withheld_until,
          shortcomings, math_right, math_asked, code_right, code_asked, ttft_ms, tokens_per_second, tier, papers
        ) values (
          ${run.id}, ${run.nodeId}, ${run.modelId}, ${run.providerId}, ${new Date(run.beganAt)},
          ${new Date(run.endedAt)}, ${verdict.passed}, ${verdict.counted}, ${verdict.failures}, ${verdict.step},
          ${until}, ${[...run.shortcomings]}, ${score.math[0]}, ${score.math[1]}, ${score.code[0]}, ${score.code[1]},
          ${score.ttftMs}, ${score.tokensPerSecond}, ${run.tier}, ${sql.json((run.papers ?? []) as never)}
        )`;
      await sql`
        update benchmark_turns set
          run_id = null, claimed_until = null, due_at = ${new Date(nextDueAt(verdict))}, withheld_until = ${until},
          passed_at = ${verdict.passed ? new Date(run.endedAt) : null}
        where node_id = ${run.nodeId} and model_id = ${run.modelId}`;
      return verdict;
    });
  }

  /** Counted failures whose consequences were not drawn yet, oldest first. */
  async toActOn(limit: number): Promise<Run[]> {
    const { sql } = this.#database;
    return await this.#runs(sql`where r.counted and r.acted_at is null order by r.ended_at limit ${limit}`);
  }

  async acted(runId: string, at: number): Promise<void> {
    await this.#database.sql`
      update benchmark_runs set acted_at = ${new Date(at)} where id = ${runId} and acted_at is null`;
  }

  /** The latest runs, newest first, of everybody or of one provider. */
  async latest(which: { providerId?: string | undefined; limit: number }): Promise<Run[]> {
    const { sql } = this.#database;
    const { providerId, limit } = which;
    return await this.#runs(sql`
      where ${providerId === undefined ? sql`true` : sql`r.provider_id = ${providerId}`}
      order by r.ended_at desc, r.id desc limit ${limit}`);
  }

  /** The last run of each of these nodes on each of these models, and of the provider on each model, whatever the node. */
  async lastOf(
    providerId: string,
    places: { nodeIds: readonly string[]; modelIds: readonly string[] },
  ): Promise<{ byNode: Run[]; byModel: Run[] }> {
    const { sql } = this.#database;
    const [nodeIds, modelIds] = [[...places.nodeIds], [...places.modelIds]];
    const [byNode, byModel] = await Promise.all([
      this.#runs(sql`
        join (
          select last.id as last_id from unnest(${nodeIds}::text[]) as node, unnest(${modelIds}::text[]) as model,
          lateral (
            select id from benchmark_runs where node_id = node and model_id = model and provider_id = ${providerId}
            order by ended_at desc limit 1
          ) as last
        ) as chosen on chosen.last_id = r.id`),
      this.#runs(sql`
        join (
          select last.id as last_id from unnest(${modelIds}::text[]) as model, lateral (
            select id from benchmark_runs where provider_id = ${providerId} and model_id = model
            order by ended_at desc limit 1
          ) as last
        ) as chosen on chosen.last_id = r.id`),
    ]);
    return { byNode, byModel };
  }

  /** One run with what was asked and answered. */
  async find(id: string): Promise<Run | undefined> {
    const { sql } = this.#database;
    const [run] = await this.#runs(sql`where r.id = ${id}`);
    if (!run) return undefined;
    const [row] = await sql<{ papers: KeptPaper[] }[]>`select papers from benchmark_runs where id = ${id}`;
    return { ...run, papers: row?.papers ?? [] };
  }

  /** Makes turns due now: of a provider, one node, or one model. Answers how many. */
  async hurry(which: {
    providerId: string;
    nodeId?: string | undefined;
    modelId?: string | undefined;
    at: number;
  }): Promise<number> {
    const { nodeId = null, modelId = null } = which;
    const rows = await this.#database.sql`
      update benchmark_turns set due_at = ${new Date(which.at)}
      where provider_id = ${which.providerId} and due_at > ${new Date(which.at)}
        and (${nodeId}::text is null or node_id = ${nodeId}) and (${modelId}::text is null or model_id = ${modelId})
      returning node_id`;
    return rows.length;
  }

  /**
   * Writes down what the operator decided about a failed run, once, within the caller's transaction. Granted: the run is set
   * aside, its node may be routed to again as after the pass before, and is asked anew.
   */
  async decide(
    sql: Sql,
    appeal: { runId: string; decision: 'granted' | 'rejected'; reason: string; actor: string; at: number },
  ): Promise<
    'unknown' | { state: 'decided' | 'known' | 'passed' | { decidedAs: string }; providerId: string }
  > {
    const { runId, decision, reason, actor } = appeal;
    const at = new Date(appeal.at);
    const [run] = await sql<{ node_id: string; model_id: string; provider_id: string; passed: boolean }[]>`
      select node_id, model_id, provider_id, passed from benchmark_runs where id = ${runId}`;
    if (!run) return 'unknown';
    const { provider_id: providerId } = run;
    if (run.passed) return { state: 'passed', providerId };
    const [made] = await sql`
      insert into benchmark_appeals (run_id, decision, reason, decided_by, decided_at)
      values (${runId}, ${decision}, ${reason}, ${actor}, ${at}) on conflict do nothing returning run_id`;
    if (!made) {
      const [first] = await sql<{ decision: string }[]>`
        select decision from benchmark_appeals where run_id = ${runId}`;
      return {
        state: first?.decision === decision ? 'known' : { decidedAs: first?.decision ?? '' },
        providerId,
      };
    }
    if (decision === 'granted') {
      await sql`
        update benchmark_turns t set withheld_until = null, due_at = ${at}, passed_at = coalesce(passed_at, (
          select max(ended_at) from benchmark_runs p
          where p.node_id = t.node_id and p.model_id = t.model_id and p.passed
        ))
        where node_id = ${run.node_id} and model_id = ${run.model_id} and not exists (
          -- A later failure still stands.
          select from benchmark_runs later
          where later.node_id = t.node_id and later.model_id = t.model_id and not later.passed
            and later.ended_at > (select ended_at from benchmark_runs where id = ${runId})
        )`;
      // What was withheld from the whole provider for this run ends with it.
      await sql`
        update providers set withheld_until = null, withheld_because = ''
        where id = ${providerId} and position(${runId} in withheld_because) > 0`;
    }
    const detail = { run: runId, decision, reason };
    await noteEvent(sql, {
      at: appeal.at,
      actor,
      what: 'benchmark-appeal-decided',
      about: providerId,
      detail,
    });
    return { state: 'decided', providerId };
  }

  /** Drops the digests of questions asked before this moment. */
  async forgetAsked(before: number): Promise<void> {
    await this.#database.sql`delete from benchmark_asked where asked_at < ${new Date(before)}`;
  }

  async #runs(rest: ReturnType<Sql>): Promise<Run[]> {
    const rows = await this.#database.sql<RunRow[]>`
      select r.id, r.node_id, r.model_id, r.provider_id, r.began_at, r.ended_at, r.passed, r.counted, r.failures,
        r.step, r.withheld_until, r.shortcomings, r.math_right, r.math_asked, r.code_right, r.code_asked, r.ttft_ms,
        r.tokens_per_second, r.tier, a.decision, a.reason, q.subject is not null as appeal_asked
      from benchmark_runs r left join benchmark_appeals a on a.run_id = r.id
      left join appeals q on q.subject = r.id ${rest}`;
    return rows.map((row) => ({
      id: row.id,
      nodeId: row.node_id,
      modelId: row.model_id,
      providerId: row.provider_id,
      beganAt: row.began_at.getTime(),
      endedAt: row.ended_at.getTime(),
      verdict: {
        passed: row.passed,
        counted: row.counted,
        failures: row.failures,
        step: row.step,
        withheldUntil: row.withheld_until?.getTime() ?? null,
      },
      score: {
        math: [row.math_right, row.math_asked],
        code: [row.code_right, row.code_asked],
        ttftMs: row.ttft_ms,
        tokensPerSecond: row.tokens_per_second,
      },
      shortcomings: row.shortcomings,
      tier: row.tier,
      appealAsked: row.appeal_asked,
      appeal: row.decision === null ? undefined : { decision: row.decision, reason: row.reason ?? '' },
    }));
  }
}

interface TurnRow {
  node_id: string;
  model_id: string;
  provider_id: string;
  due_at: Date;
  passed_at: Date | null;
  withheld_until: Date | null;
  claimed_until: Date | null;
}

interface RunRow {
  id: string;
  node_id: string;
  model_id: string;
  provider_id: string;
  began_at: Date;
  ended_at: Date;
  passed: boolean;
  counted: boolean;
  failures: number;
  step: Verdict['step'];
  withheld_until: Date | null;
  shortcomings: string[];
  math_right: number;
  math_asked: number;
  code_right: number;
  code_asked: number;
  ttft_ms: number | null;
  tokens_per_second: number;
  tier: string;
  decision: 'granted' | 'rejected' | null;
  reason: string | null;
  appeal_asked: boolean;
}
