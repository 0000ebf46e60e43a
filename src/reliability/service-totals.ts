import type { Metric, MetricValueWithName, Registry } from 'prom-client';
import { SPLIT_POLICIES, shareOut } from '#domain/policy.ts';
import type { TierName } from '#domain/tier.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { Blame } from './minute-book.ts';

/**
 * The golden signals of serving since the process began, for Prometheus. A request costs a few additions here; labels and
 * text are made when somebody reads. (prom-client's own histogram hashes its labels at each observation, which for the
 * seven figures of a request is more than its key check.)
 *
 * Labels are bounded: models come from the catalogue and tiers and codes from tables. Consumers and providers are no
 * labels; their figures are rows (`minute-table.ts`, the usage list).
 */
interface Series {
  readonly model: string;
  readonly tier: TierName;
  readonly outcomes: Record<Outcome, number>;
  readonly codes: Map<string, number>;
  tooMany: number;
  serverErrors: number;
  retries: number;
  fallbacks: number;
  inputTokens: number;
  outputTokens: number;
  /** What was charged, by split policy, what plans paid included. Pico-dollars. */
  readonly gross: Map<string, bigint>;
  readonly ttft: Buckets;
  readonly ttlt: Buckets;
  readonly queue: Buckets;
  readonly tokensPerS: Buckets;
}

type Outcome = UsageRecord['outcome'] | 'refused';

/** Seconds: from what a warm small model needs to what nobody waits for. */
const SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 35, 60, 120] as const;
const PER_SECOND = [1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 1_000] as const;
/** More models than the catalogue has can only come from a changing catalogue; they share a last series. */
const SERIES_MAX = 2_000;

export class ServiceTotals {
  readonly #blameOf: (code: string) => Blame;
  readonly #series = new Map<string, Series>();

  constructor(blameOf: (code: string) => Blame) {
    this.#blameOf = blameOf;
  }

  served(record: UsageRecord, about: { tier: TierName; queueMs?: number | undefined }): void {
    const series = this.#of(record.modelId, about.tier);
    series.outcomes[record.outcome] += 1;
    if (record.errorCode !== null) this.#blame(series, record.errorCode);
    series.retries += Math.max(0, record.attempts - 1);
    if (record.mode === 'external') series.fallbacks += 1;
    series.inputTokens += record.inputTokens;
    series.outputTokens += record.outputTokens;
    const gross = record.charge + (record.covered ?? 0n);
    if (gross > 0n) series.gross.set(record.policy, (series.gross.get(record.policy) ?? 0n) + gross);
    if (about.queueMs !== undefined) series.queue.add(about.queueMs / 1_000);
    if (record.ttftMs === null) return;
    series.ttft.add(record.ttftMs / 1_000);
    if (record.outcome !== 'completed') return;
    series.ttlt.add(record.totalMs / 1_000);
    const seconds = (record.totalMs - record.ttftMs) / 1_000;
    if (record.streamed && seconds > 0) series.tokensPerS.add(record.outputTokens / seconds);
  }

  refused(about: { modelId: string; tier: TierName; code: string }): void {
    const series = this.#of(about.modelId, about.tier);
    series.outcomes.refused += 1;
    this.#blame(series, about.code);
  }

  /** Shows the totals in a registry. */
  register(registry: Registry): void {
    const counter = (name: string, help: string, labels: readonly string[], read: Read): void =>
      this.#show(registry, { name, help, type: 'counter', labels, read });
    counter('cygnet_requests_total', 'Requests that were admitted, by how they ended.', ['outcome'], (one) =>
      Object.entries(one.outcomes).map(([outcome, value]) => [{ outcome }, value]),
    );
    counter(
      'cygnet_errors_total',
      'Requests that did not end well, by code of the error table.',
      ['code'],
      (one) => [...one.codes].map(([code, value]) => [{ code }, value]),
    );
    const totals: [name: string, help: string, of: (one: Series) => number][] = [
      ['cygnet_server_errors_total', 'Requests that spent the error budget.', (one) => one.serverErrors],
      ['cygnet_too_many_requests_total', 'Requests refused with 429.', (one) => one.tooMany],
      ['cygnet_retries_total', 'Attempts beyond the first.', (one) => one.retries],
      ['cygnet_fallbacks_total', 'Requests served by an external endpoint.', (one) => one.fallbacks],
      ['cygnet_disconnects_total', 'Streams that broke after they had begun.', (one) => one.outcomes.broken],
      ['cygnet_input_tokens_total', 'Tokens of prompts, as billed.', (one) => one.inputTokens],
      ['cygnet_output_tokens_total', 'Tokens of answers, as billed.', (one) => one.outputTokens],
    ];
    totals.push(
      [
        'cygnet_charged_usd_total',
        'Charged before corrections, what plans paid included.',
        (one) => partOf(one, 'all'),
      ],
      ['cygnet_provider_usd_total', 'Of it, the part of providers.', (one) => partOf(one, 'provider')],
      ['cygnet_market_usd_total', 'Of it, what the market kept: its margin.', (one) => partOf(one, 'market')],
    );
    for (const [name, help, of] of totals) counter(name, help, [], (one) => [[{}, of(one)]]);
    const histograms: [name: string, help: string, of: (one: Series) => Buckets][] = [
      ['cygnet_ttft_seconds', 'From acceptance to the first content.', (one) => one.ttft],
      ['cygnet_ttlt_seconds', 'From acceptance to the end of a whole answer.', (one) => one.ttlt],
      ['cygnet_queue_seconds', 'From acceptance to the first attempt.', (one) => one.queue],
      ['cygnet_tokens_per_second', 'Of a streamed answer, after its first content.', (one) => one.tokensPerS],
    ];
    for (const [name, help, of] of histograms) {
      this.#show(registry, {
        name,
        help,
        type: 'histogram',
        labels: [],
        read: (one) => of(one).values(name),
      });
    }
  }

  #show(
    registry: Registry,
    about: {
      name: string;
      help: string;
      type: 'counter' | 'histogram';
      labels: readonly string[];
      read: Read;
    },
  ): void {
    const { name, help, type, labels, read } = about;
    const metric = {
      name,
      help,
      type,
      aggregator: 'sum',
      labelNames: ['model', 'tier', ...labels],
      get: async () => ({
        name,
        help,
        type,
        aggregator: 'sum',
        values: [...this.#series.values()].flatMap((one) =>
          read(one).map(([more, value, metricName]) => ({
            labels: { model: one.model, tier: one.tier, ...more },
            value,
            ...(metricName !== undefined && { metricName }),
          })),
        ) as MetricValueWithName<string>[],
      }),
      reset: () => {},
    };
    registry.registerMetric(metric as unknown as Metric);
  }

  #blame(series: Series, code: string): void {
    series.codes.set(code, (series.codes.get(code) ?? 0) + 1);
    const { status, spendsBudget } = this.#blameOf(code);
    if (status === 429) series.tooMany += 1;
    else if (spendsBudget) series.serverErrors += 1;
  }

  #of(modelId: string, tier: TierName): Series {
    const model = this.#series.size < SERIES_MAX ? modelId : 'other';
    const key = `${modelId}\n${tier}`;
    let series = this.#series.get(key) ?? this.#series.get(`${model}\n${tier}`);
    if (!series) {
      series = emptySeries(model, tier);
      this.#series.set(`${model}\n${tier}`, series);
    }
    return series;
  }
}

type Read = (one: Series) => [labels: Record<string, string>, value: number, metricName?: string][];

/** Observations counted by upper bounds, as a Prometheus histogram shows them. */
class Buckets {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  add(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] as number)) at += 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += value;
  }

  values(name: string): ReturnType<Read> {
    let below = 0;
    const rows: ReturnType<Read> = this.#counts.map((count, at) => {
      below += count;
      return [{ le: at < this.#bounds.length ? `${this.#bounds[at]}` : '+Inf' }, below, `${name}_bucket`];
    });
    rows.push([{}, this.#sum, `${name}_sum`], [{}, below, `${name}_count`]);
    return rows;
  }
}

/** In dollars, for a graph: the books are exact, and a float is not. */
function partOf(one: Series, part: 'all' | 'provider' | 'market'): number {
  let sum = 0n;
  for (const [name, gross] of one.gross) {
    const policy = SPLIT_POLICIES[name];
    if (part === 'all') sum += gross;
    else if (policy) {
      const { provider } = shareOut(gross, policy);
      sum += part === 'provider' ? provider : gross - provider;
    }
  }
  return Number(sum) / 1e12;
}

function emptySeries(model: string, tier: TierName): Series {
  return {
    model,
    tier,
    outcomes: { completed: 0, cancelled: 0, broken: 0, failed: 0, refused: 0 },
    codes: new Map(),
    tooMany: 0,
    serverErrors: 0,
    retries: 0,
    fallbacks: 0,
    inputTokens: 0,
    outputTokens: 0,
    gross: new Map(),
    ttft: new Buckets(SECONDS),
    ttlt: new Buckets(SECONDS),
    queue: new Buckets(SECONDS),
    tokensPerS: new Buckets(PER_SECOND),
  };
}
