import { type Database, databaseGone, type Sql, savepoint } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import type { CorrectionRecord, JournalRecord, UsageRecord } from '#domain/usage-record.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { consumerAccount } from './chart.ts';
import { depositEntry, type Entry, grantEntry } from './entries.ts';
import { OutcomeTable, outcomeMembers, unstorable } from './outcome-table.ts';
import type { UsagePosting } from './ports.ts';
import { type CorrectedUsage, type PostingPlan, partiesOf, planPosting, sumsOf } from './posting.ts';
import { encodeRecord, encodeUsage, usageWithin } from './record-text.ts';

/** What a consumer has, in pico-USD. `held` is set aside for running requests; `available` can be set aside still. */
export interface Balance {
  total: Pico;
  held: Pico;
  available: Pico;
}

/** A movement on one account. */
export interface StatementLine {
  id: string;
  kind: Entry['kind'];
  at: Date;
  amount: Pico;
}

const BATCH_MAX = 5_000;
const NOBODY: ReadonlySet<string> = new Set();

/**
 * The only writer of the ledger. Everything is idempotent by id, whoever repeats it and from however many processes at
 * once. Locks are always taken in the same order (accounts by id, then leases), so that writers wait and never deadlock.
 */
export class Book implements UsagePosting {
  readonly #database: Database;
  readonly #instance: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** How requests were served, for a while. */
  readonly outcomes: OutcomeTable;

  /** `instance` names this process's leases: what it posts was served under them. */
  constructor(options: {
    database: Database;
    instance: string;
    clock: Clock;
    log: Logger;
    outcomes?: OutcomeTable;
  }) {
    this.outcomes = options.outcomes ?? new OutcomeTable(options.database);
    this.#database = options.database;
    this.#instance = options.instance;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /**
   * Posts journal records (at most 5,000) in one transaction and a dozen statements, however many they are. Repeating
   * changes nothing. A record that cannot be posted goes to `rejected_usage` with an alarm in the log and the rest is
   * posted. How a request was served is written beside it and can hold nothing up: what of it is refused goes to
   * `rejected_outcomes`, also with an alarm. Throws when the database did not answer: then it is not known whether the batch was posted, and repeating is
   * the way to find out.
   */
  async post(
    records: readonly JournalRecord[],
    texts: readonly string[] = records.map(encodeRecord),
  ): Promise<void> {
    if (records.length === 0) return;
    if (records.length > BATCH_MAX) throw new RangeError(`A batch has at most ${BATCH_MAX} records.`);
    const usage = records.flatMap((line) => (line.kind === 'usage' ? [line.record] : []));
    const ready = await this.#readyForOutcomes(usage);
    try {
      const { plan, refused } = await this.#database.transaction(
        async (sql) => await this.#post(sql, { records, texts, ready }),
      );
      for (const { id, reason } of refused) {
        this.#log.error(
          { record: id, reason },
          'How a request was served could not be stored; its charge is booked. See rejected_outcomes.',
        );
      }
      for (const { id, reason } of plan.rejected) {
        this.#log.error(
          { record: id, reason },
          'A usage record was rejected by the ledger; a person must look at it.',
        );
      }
    } catch (error) {
      if (!refusedByData(error)) throw error;
      // The plan let something pass that the tables refuse. Halve until the culprit stands alone.
      if (records.length > 1) {
        const middle = records.length >> 1;
        await this.post(records.slice(0, middle), texts.slice(0, middle));
        await this.post(records.slice(middle), texts.slice(middle));
        return;
      }
      const record = records[0] as JournalRecord;
      const reason = `refused by the database (${(error as { code: string }).code})`;
      await this.#reject(this.#database.sql, [{ id: record.record.id, reason, record }]);
      this.#log.error(
        { record: record.record.id, reason },
        'A usage record was rejected by the ledger; a person must look at it.',
      );
    }
  }

  /** Which records leave a row, with the days for them made. Without a day nothing is stored, and everything is kept. */
  async #readyForOutcomes(usage: readonly UsageRecord[]): Promise<ReadonlySet<string>> {
    try {
      return await this.outcomes.ready(usage, this.#clock.wallMs());
    } catch (error) {
      if (databaseGone(error)) throw error;
      this.#log.error({ err: error }, 'No place could be made for how requests were served.');
      return new Set(usage.flatMap(({ id, serving }) => (serving ? [id] : [])));
    }
  }

  /**
   * Writes what was used and how it was served in one statement. Where the tables refuse that, what was used alone: how it was
   * served is no reason to lose a charge. Answers what of it was refused; throws when a charge itself is.
   */
  async #writeUsage(sql: Sql, plan: PostingPlan, { texts, ready }: Batch): Promise<RefusedOutcome[]> {
    const lines = plan.usage.map((record, i) => ({
      record,
      text: texts[plan.usageAt[i] as number] as string,
    }));
    try {
      await savepoint(sql, (inner) => insertUsage(inner, usageList(lines, ready), this.#instance));
      return [];
    } catch (error) {
      if (!refusedByTables(error)) throw error;
      await insertUsage(sql, usageList(lines, NOBODY), this.#instance);
      return await this.#writeOutcomes(
        sql,
        lines.filter(({ record }) => ready.has(record.id)),
        ready,
      );
    }
  }

  /** Halves until whatever is refused stands alone: that is kept apart. What was used is there already. */
  async #writeOutcomes(
    sql: Sql,
    lines: readonly UsageLine[],
    ready: ReadonlySet<string>,
  ): Promise<RefusedOutcome[]> {
    if (lines.length === 0) return [];
    try {
      await savepoint(sql, (inner) => insertUsage(inner, usageList(lines, ready), this.#instance));
      return [];
    } catch (error) {
      if (!refusedByTables(error)) throw error;
      if (lines.length > 1) {
        const middle = lines.length >> 1;
        return [
          ...(await this.#writeOutcomes(sql, lines.slice(0, middle), ready)),
          ...(await this.#writeOutcomes(sql, lines.slice(middle), ready)),
        ];
      }
      const { record, text } = lines[0] as UsageLine;
      const reason = `refused by the database (${(error as { code: string }).code})`;
      await sql`
        insert into rejected_outcomes (request_id, instance, reason, record)
        values (${record.id}, ${this.#instance}, ${reason}, ${text})
        on conflict do nothing`;
      return [{ id: record.id, reason }];
    }
  }

  async #post(sql: Sql, batch: Batch): Promise<{ plan: PostingPlan; refused: RefusedOutcome[] }> {
    const { records } = batch;
    const { accounts: accountIds, providers, consumers } = partiesOf(records);
    const ids: string[] = [];
    const requests: string[] = [];
    for (const line of records) {
      ids.push(line.record.id.replaceAll('\0', ''));
      if (line.kind === 'correction') requests.push(line.record.requestId.replaceAll('\0', ''));
    }

    if (providers.length > 0) {
      await sql`
        insert into accounts (id, kind) select id, 'provider' from unnest(${providers}::text[]) as t(id)
        on conflict (id) do nothing`;
    }
    // From here on no other writer can post for these parties, so what is read below stays true until the commit.
    await sql`select from accounts where id = any(${accountIds}::text[]) order by id for no key update`;
    const leases = await sql<{ consumer_id: string; amount: Pico }[]>`
      select consumer_id, amount from leases
      where instance = ${this.#instance} and consumer_id = any(${consumers}::text[])
      order by consumer_id for no key update`;
    const known = await sql<{ id: string }[]>`
      select id from usage where id = any(${ids}::text[])
      union all select id from corrections where id = any(${ids}::text[])
      union all select id from rejected_usage where id = any(${ids}::text[])`;
    const originals =
      requests.length === 0
        ? []
        : await sql<(CorrectedUsage & { id: string })[]>`
            select id, consumer_id as "consumerId", provider_id as "providerId", policy, charge, covered
            from usage where id = any(${requests}::text[])`;

    const plan = planPosting(records, {
      known: new Set(known.map((row) => row.id)),
      leased: new Map(leases.map((row) => [row.consumer_id, row.amount])),
      originals: new Map(originals.map((row) => [row.id, row])),
    });

    const refused = plan.usage.length > 0 ? await this.#writeUsage(sql, plan, batch) : [];
    if (plan.corrections.length > 0) {
      // Columns by name: during an upgrade the tables may have more of them than this version knows, each with a default.
      const rows = plan.corrections.map(correctionRow);
      const columns = sql(Object.keys(rows[0] as object));
      await sql`
        insert into corrections (${columns})
        select ${columns} from json_populate_recordset(null::corrections, ${JSON.stringify(rows)}::text::json)`;
    }
    await insertEntries(sql, plan.entries);
    if (plan.charged.size > 0) {
      const charged = [...plan.charged];
      const who = charged.map(([id]) => id);
      const much = charged.map(([, amount]) => amount);
      // What is charged leaves the balance and what is held of it in one step, so available money never moves.
      await sql`
        update leases l set amount = l.amount - t.charged
        from unnest(${who}::text[], ${much}::numeric[]) as t(id, charged)
        where l.instance = ${this.#instance} and l.consumer_id = t.id`;
      await moveBalances(
        sql,
        sumsOf(plan.entries),
        new Map(charged.map(([id, amount]) => [consumerAccount(id), amount])),
      );
    } else if (plan.entries.length > 0) {
      await moveBalances(sql, sumsOf(plan.entries), new Map());
    }
    await this.#reject(sql, plan.rejected);
    return { plan, refused };
  }

  async #reject(sql: Sql, rejected: PostingPlan['rejected']): Promise<void> {
    if (rejected.length === 0) return;
    const ids = rejected.map(({ id }) => id.replaceAll('\0', ''));
    const reasons = rejected.map(({ reason }) => reason);
    const texts = rejected.map(({ record }) => encodeRecord(record));
    await sql`
      insert into rejected_usage (id, instance, reason, record)
      select id, ${this.#instance}::text, reason, record
      from unnest(${ids}::text[], ${reasons}::text[], ${texts}::text[]) as t(id, reason, record)
      on conflict (id) do nothing`;
  }

  /** Gives a consumer credit. `id` is the giver's; a repeat with the same terms changes nothing, with others it throws `conflict`. */
  async grant(consumerId: string, amount: Pico, id: string): Promise<'booked' | 'known'> {
    return await this.#receive(grantEntry({ id, at: this.#clock.wallMs(), consumerId, amount }), consumerId);
  }

  /** Books money that arrived for a consumer. `id` is the payment's; a repeat changes nothing, with other terms it throws `conflict`. */
  async deposit(consumerId: string, amount: Pico, id: string): Promise<'booked' | 'known'> {
    return await this.#receive(
      depositEntry({ id, at: this.#clock.wallMs(), consumerId, amount }),
      consumerId,
    );
  }

  async #receive(entry: Entry, consumerId: string): Promise<'booked' | 'known'> {
    try {
      return await this.#database.transaction(async (sql) => {
        await openAccount(sql, { account: consumerAccount(consumerId), kind: 'consumer' });
        return (await writeEntries(sql, [entry])) === 0 ? 'known' : 'booked';
      });
    } catch (error) {
      if (!(error instanceof EntryDiffers)) throw error;
      const outer = 'This reference was used before, for another account or amount.';
      throw new Fault('conflict', { inner: error.message, outer, cause: error });
    }
  }

  /** What the consumer has; zeros for one that never had anything. */
  async balance(consumerId: string): Promise<Balance> {
    const [row] = await this.#database.sql<{ balance: Pico; held: Pico }[]>`
      select balance, held from accounts where id = ${consumerAccount(consumerId)}`;
    const total = row?.balance ?? 0n;
    const held = row?.held ?? 0n;
    return { total, held, available: total - held };
  }

  /** The latest movements of a consumer, newest first. */
  async statement(consumerId: string, limit: number): Promise<StatementLine[]> {
    const account = consumerAccount(consumerId);
    return await this.#database.sql<StatementLine[]>`
      select id, kind, at, amount from postings
      where seq in (
        select seq from entries where accounts @> array[${account}::text] order by seq desc limit ${limit}
      ) and account = ${account}
      order by seq desc`;
  }
}

/**
 * Writes entries within the caller's transaction, for rooms that keep a record of their own beside them. Their accounts
 * exist. An entry that is there already is left alone; one that is there with other terms throws.
 */
export async function writeEntries(sql: Sql, entries: readonly Entry[]): Promise<number> {
  if (entries.length === 0) return 0;
  const accounts = [...sumsOf(entries).keys()].toSorted();
  await sql`select from accounts where id = any(${accounts}::text[]) order by id for no key update`;
  const known = new Map<string, { accounts: string[]; amounts: Pico[] }>();
  const rows = await sql<{ id: string; accounts: string[]; amounts: Pico[] }[]>`
    select id, accounts, amounts from entries where id = any(${entries.map(({ id }) => id)}::text[])`;
  for (const row of rows) known.set(row.id, row);
  const fresh = entries.filter((entry) => {
    const there = known.get(entry.id);
    if (!there) return true;
    const same =
      there.accounts.length === entry.legs.length &&
      entry.legs.every(
        ({ account, amount }, i) => there.accounts[i] === account && there.amounts[i] === amount,
      );
    if (same) return false;
    throw new EntryDiffers(`The entry ${entry.id} exists with other amounts or parties.`);
  });
  if (fresh.length === 0) return 0;
  await insertEntries(sql, fresh);
  await moveBalances(sql, sumsOf(fresh), new Map());
  return fresh.length;
}

/** Somebody repeats an entry with other terms. Whoever lets callers choose the id says what that means for them. */
class EntryDiffers extends Fault {
  constructor(inner: string) {
    super('internal', { inner });
  }
}

/** Makes an account, where it is missing, for entries that come within the caller's transaction. */
export async function openAccount(
  sql: Sql,
  { account, kind }: { account: string; kind: 'consumer' | 'provider' | 'collateral' },
): Promise<void> {
  await sql`insert into accounts (id, kind) values (${account}, ${kind}) on conflict (id) do nothing`;
}

/**
 * What a consumer has that is not set aside, with its account locked within the caller's transaction: it stays so until
 * the commit. Undefined when it never had anything.
 */
export async function lockAvailable(sql: Sql, consumerId: string): Promise<Pico | undefined> {
  const [row] = await sql<{ available: Pico }[]>`
    select balance - held as available from accounts where id = ${consumerAccount(consumerId)} for no key update`;
  return row?.available;
}

/** Adds grouped sums to the balances, and takes what was charged out of what is held. The accounts exist and are locked. */
async function moveBalances(
  sql: Sql,
  sums: ReadonlyMap<string, Pico>,
  released: ReadonlyMap<string, Pico>,
): Promise<void> {
  const accounts = [...sums.keys()];
  const moved = await sql`
    update accounts a set balance = a.balance + t.amount, held = a.held - t.released
    from unnest(
      ${accounts}::text[],
      ${[...sums.values()]}::numeric[],
      ${accounts.map((account) => released.get(account) ?? 0n)}::numeric[]
    ) as t(id, amount, released)
    where a.id = t.id`;
  if (moved.count !== accounts.length) {
    throw new Fault('internal', { inner: 'An entry names an account that does not exist.' });
  }
}

async function insertEntries(sql: Sql, entries: readonly Entry[]): Promise<void> {
  if (entries.length === 0) return;
  const rows = entries.map(({ id, kind, at, legs, memo }) => ({
    id,
    kind,
    at: new Date(at).toISOString(),
    accounts: legs.map(({ account }) => account),
    amounts: legs.map(({ amount }) => amount.toString()),
    memo,
  }));
  await sql`
    insert into entries (id, kind, at, accounts, amounts, memo)
    select id, kind, at, accounts, amounts, memo from json_to_recordset(${JSON.stringify(rows)}::text::json)
      as t(id text, kind text, at timestamptz, accounts text[], amounts numeric[], memo jsonb)`;
}

/** What is posted together, with the texts of the records and the ids of those that leave an outcome. */
interface Batch {
  readonly records: readonly JournalRecord[];
  readonly texts: readonly string[];
  readonly ready: ReadonlySet<string>;
}

/** A posted record with its text as the journal has it. */
interface UsageLine {
  readonly record: UsageRecord;
  readonly text: string;
}

interface RefusedOutcome {
  readonly id: string;
  readonly reason: string;
}

/** Posted records as one JSON list: their texts as the journal has them, so that nothing is written twice. */
function usageList(lines: readonly UsageLine[], ready: ReadonlySet<string>): string {
  const rows = lines.map((line) => {
    const text = usageWithin(line.text);
    const members = ready.has(line.record.id) ? outcomeMembers(line.record, text) : undefined;
    if (members !== undefined) return `{${members},${text.slice(1)}`;
    if (!unstorable(text)) return text;
    // What the plan let pass can be stored; of how it was served nothing was looked at.
    const { serving: _, ...rest } = line.record;
    return encodeUsage(rest);
  });
  return `[${rows.join(',')}]`;
}

/**
 * Writes the rows of usage, and beside them those of how it was served (`outcome-table.ts`), from one list that is sent and
 * read once. What a column is made of stands here alone; during an upgrade the tables may have more columns than this version
 * knows, each with a default.
 */
async function insertUsage(sql: Sql, list: string, instance: string): Promise<void> {
  await sql`
    with r as materialized (
      select *, timestamptz 'epoch' + trunc(at) * interval '1 millisecond' as moment
      from json_to_recordset(${list}::text::json) as t(
        id text, at double precision, "consumerId" text, "keyId" text, "modelId" text, operation text, "providerId" text,
        "nodeId" text, "attemptId" text, mode text, streamed boolean, outcome text, "errorCode" text, "inputTokens" bigint,
        "outputTokens" bigint, units bigint, seconds bigint, "claimedInputTokens" bigint, "claimedOutputTokens" bigint,
        events bigint, bytes bigint, attempts bigint, "ttftMs" double precision, "totalMs" double precision, "priceId" text,
        policy text, charge numeric, covered numeric, "coveredTokens" bigint, "coveredUnits" bigint, "priceFactor" bigint,
        "providerPart" numeric, "marketPart" numeric, serving jsonb
      )
    ), posted as (
      insert into usage (
        id, at, consumer_id, key_id, model_id, operation, provider_id, node_id, attempt_id, mode, streamed, outcome,
        error_code, input_tokens, output_tokens, units, seconds, claimed_input_tokens, claimed_output_tokens, events, bytes,
        attempts, ttft_ms, total_ms, price_id, policy, charge, covered, covered_tokens, covered_units, price_factor, instance
      )
      select
        id, moment, "consumerId", "keyId", "modelId", operation, "providerId", "nodeId", "attemptId", mode, streamed, outcome,
        "errorCode", "inputTokens", "outputTokens", units, seconds, "claimedInputTokens", "claimedOutputTokens", events, bytes,
        attempts, "ttftMs", "totalMs", "priceId", policy, charge, coalesce(covered, 0), coalesce("coveredTokens", 0),
        coalesce("coveredUnits", 0), coalesce("priceFactor", 10000), ${instance}::text
      from r
      on conflict (id) do nothing
    )
    insert into request_outcomes (
      at, request_id, consumer_id, model_id, provider_id, tier, region, queue_ms, whose, fallback, provider_part,
      market_part, tries
    )
    select
      moment, id, "consumerId", "modelId", "providerId", serving->>'tier', serving->>'region',
      (serving->>'queueMs')::double precision, serving->>'whose', serving->>'fallback', "providerPart", "marketPart",
      serving->'tries'
    from r where "providerPart" is not null
    on conflict do nothing`;
}

function correctionRow(record: CorrectionRecord): Record<string, unknown> {
  return {
    id: record.id,
    at: new Date(record.at).toISOString(),
    request_id: record.requestId,
    consumer_id: record.consumerId,
    provider_id: record.providerId,
    policy: record.policy,
    input_tokens: record.inputTokens,
    output_tokens: record.outputTokens,
    refund: record.refund.toString(),
    original_charge: record.originalCharge.toString(),
    covered_refund: (record.coveredRefund ?? 0n).toString(),
    original_covered: (record.originalCovered ?? 0n).toString(),
  };
}

/** Whatever the database said no to, as against not answering. */
function refusedByTables(error: unknown): boolean {
  return !databaseGone(error) && typeof (error as { code?: unknown } | null)?.code === 'string';
}

/** Errors that the same rows would meet again: SQLSTATE classes 22 (data) and 23 (constraints). */
export function refusedByData(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^2[23]...$/.test(code);
}
