import type { Database } from '#db/database.ts';
import { PROBER } from '#domain/prober.ts';

/** What a model was asked for and what one node of it made, measured from the usage of a stretch of time. */
export interface MeasuredDemand {
  readonly requests: number;
  /** Of the busiest minute. */
  readonly peakRequestsPerS: number;
  /** Averages per request; 0 when there was none. */
  readonly promptTokens: number;
  readonly outputTokens: number;
  /**
   * Tokens per second of the best minute of any node (prompt and answer together): a lower bound of what a node can do,
   * as good as the load was high. 0 when no node served.
   */
  readonly peakNodeTokensPerS: number;
  /** Tokens per second and node, over the minutes in which the node served anything. */
  readonly averageNodeTokensPerS: number;
}

/** Requests that were answered or cut short by their client (and were not the market's own probes), from `since` to `until` (wall milliseconds). */
export async function measuredDemand(
  database: Database,
  about: { modelId: string; since: number; until: number },
): Promise<MeasuredDemand> {
  const [row] = await database.sql<Row[]>`
    with served as (
      select date_trunc('minute', at) as minute, node_id, input_tokens, output_tokens from usage
      where model_id = ${about.modelId} and consumer_id <> ${PROBER.ownerId} and at >= ${new Date(about.since)} and at < ${new Date(about.until)}
        and outcome in ('completed', 'cancelled')
    ),
    by_minute as (select count(*) as requests from served group by minute),
    by_node as (
      select sum(input_tokens + output_tokens) as tokens from served where node_id is not null group by minute, node_id
    )
    select (select count(*) from served)::float8 as requests,
      coalesce((select avg(input_tokens) from served), 0)::float8 as prompt_tokens,
      coalesce((select avg(output_tokens) from served), 0)::float8 as output_tokens,
      coalesce((select max(requests) from by_minute), 0)::float8 as peak_requests,
      coalesce((select max(tokens) from by_node), 0)::float8 as peak_node_tokens,
      coalesce((select avg(tokens) from by_node), 0)::float8 as average_node_tokens`;
  const found = row as Row;
  return {
    requests: found.requests,
    peakRequestsPerS: found.peak_requests / 60,
    promptTokens: found.prompt_tokens,
    outputTokens: found.output_tokens,
    peakNodeTokensPerS: found.peak_node_tokens / 60,
    averageNodeTokensPerS: found.average_node_tokens / 60,
  };
}

interface Row {
  requests: number;
  prompt_tokens: number;
  output_tokens: number;
  peak_requests: number;
  peak_node_tokens: number;
  average_node_tokens: number;
}
