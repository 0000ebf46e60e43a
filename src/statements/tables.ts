import type { Pico } from '#domain/money.ts';
import type { DayVolume, Earned, NodeRevenue } from '#ledger/revenue-reading.ts';
import { type Cell, csvOf } from './csv.ts';

/** Earnings and revenue as tables for people's spreadsheets. Amounts are exact decimals of dollars. */

/** What a provider earned: a row for each period and model, and the sum. */
export function earningsCsv(rows: readonly Earned[]): string {
  const total = rows.reduce(
    (sum, row) => ({
      requests: sum.requests + row.requests,
      inputTokens: sum.inputTokens + row.inputTokens,
      outputTokens: sum.outputTokens + row.outputTokens,
      gross: sum.gross + row.gross,
      earned: sum.earned + row.earned,
    }),
    { requests: 0, inputTokens: 0, outputTokens: 0, gross: 0n, earned: 0n },
  );
  const cells = (row: typeof total): Cell[] => [
    row.requests,
    row.inputTokens,
    row.outputTokens,
    row.gross,
    row.earned,
  ];
  return csvOf([
    ['period', 'model', 'requests', 'input_tokens', 'output_tokens', 'paid_by_consumers_usd', 'earned_usd'],
    ...rows.map((row): Cell[] => [row.period, row.modelId, ...cells(row)]),
    ['total', null, ...cells(total)],
  ]);
}

export function volumeCsv(days: readonly DayVolume[]): string {
  return csvOf([
    [
      'day',
      'paid_requests',
      'paid_tokens',
      'paid_usd',
      'given_requests',
      'given_tokens',
      'given_usd',
      'covered_requests',
      'covered_tokens',
      'covered_usd',
      'free_requests',
      'free_tokens',
    ],
    ...days.map((each): Cell[] => [
      each.day,
      each.paidRequests,
      each.paidTokens,
      each.paid,
      each.givenRequests,
      each.givenTokens,
      each.given,
      each.coveredRequests,
      each.coveredTokens,
      each.covered,
      each.freeRequests,
      each.freeTokens,
    ]),
  ]);
}

export function nodesCsv(nodes: readonly NodeRevenue[]): string {
  return csvOf([
    [
      'provider',
      'node',
      'mode',
      'gpu',
      'gpus',
      'requests',
      'input_tokens',
      'output_tokens',
      'revenue_usd',
      'earned_usd',
    ],
    ...nodes.map((each): Cell[] => [
      each.providerId,
      each.nodeId,
      each.mode,
      each.gpu,
      each.gpus,
      each.requests,
      each.inputTokens,
      each.outputTokens,
      each.gross,
      each.earned,
    ]),
  ]);
}

/** What machines of one kind of GPU brought in together. */
export interface GpuRevenue {
  /** Null: machines that named none, and external endpoints. */
  readonly gpu: string | null;
  readonly nodes: number;
  readonly gpus: number;
  readonly requests: number;
  readonly revenue: Pico;
  readonly earned: Pico;
  /** Of the revenue, for each GPU, rounded down; null where there is none. */
  readonly revenuePerGpu: Pico | null;
}

/** Machines grouped by the GPU that they say they have; most revenue first. */
export function byGpu(nodes: readonly NodeRevenue[]): GpuRevenue[] {
  const groups = new Map<string | null, NodeRevenue[]>();
  for (const node of nodes) {
    const known = groups.get(node.gpu);
    if (known) known.push(node);
    else groups.set(node.gpu, [node]);
  }
  return [...groups]
    .map(([gpu, own]) => {
      // A machine that served both ways, or for one node id none, is counted once.
      const machines = new Map(own.map((node) => [node.nodeId, node.gpus]));
      const gpus = [...machines.values()].reduce((sum, count) => sum + count, 0);
      const revenue = own.reduce((sum, { gross }) => sum + gross, 0n);
      return {
        gpu,
        nodes: machines.size,
        gpus,
        requests: own.reduce((sum, { requests }) => sum + requests, 0),
        revenue,
        earned: own.reduce((sum, { earned }) => sum + earned, 0n),
        revenuePerGpu: gpus === 0 ? null : revenue / BigInt(gpus),
      };
    })
    .toSorted((a, b) => (a.revenue === b.revenue ? 0 : a.revenue > b.revenue ? -1 : 1));
}

export function gpusCsv(gpus: readonly GpuRevenue[]): string {
  return csvOf([
    ['gpu', 'nodes', 'gpus', 'requests', 'revenue_usd', 'earned_usd', 'revenue_per_gpu_usd'],
    ...gpus.map((each): Cell[] => [
      each.gpu,
      each.nodes,
      each.gpus,
      each.requests,
      each.revenue,
      each.earned,
      each.revenuePerGpu,
    ]),
  ]);
}

/** A consumer's own minutes, as their service level is computed from them. */
export interface ServiceMinute {
  /** ISO 8601 */
  readonly minute: string;
  /** Null for requests that were refused before it was known which. */
  readonly model: string | null;
  readonly requests: number;
  readonly failures: number;
  readonly failures_of_providers: number;
  readonly failures_of_market: number;
  readonly not_counted: number;
  readonly ttft_p95_ms: number | null;
  readonly input_tokens: number;
  readonly output_tokens: number;
}

export function serviceMinutesCsv(rows: readonly ServiceMinute[]): string {
  return csvOf([
    [
      'minute',
      'model',
      'requests',
      'failures',
      'failures_of_providers',
      'failures_of_market',
      'not_counted',
      'ttft_p95_ms',
      'input_tokens',
      'output_tokens',
    ],
    ...rows.map((each): Cell[] => [
      each.minute,
      each.model,
      each.requests,
      each.failures,
      each.failures_of_providers,
      each.failures_of_market,
      each.not_counted,
      each.ttft_p95_ms,
      each.input_tokens,
      each.output_tokens,
    ]),
  ]);
}
