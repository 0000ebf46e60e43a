import type { FinishedJob } from './recent-jobs.ts';
import type { AgentState } from './run.ts';

/**
 * What the Swan agent's own local interface says at its addresses, for scripts and dashboards that watch one: whether it is
 * connected, and its latest requests. Of these answers the Swan contract (part 7.3) names the fields `connected`,
 * `request_id`, `streaming`, `success` and the tokens; the rest is ours.
 */
export const SWAN_STATUS = '/api/v1/computing/inference/status';
export const SWAN_REQUESTS = '/api/v1/computing/inference/requests';

export function swanStatus(state: AgentState): object {
  const connected = !state.draining && state.hubs.every(({ registered }) => registered);
  return {
    connected,
    node_id: state.nodeId,
    node_name: state.name ?? '',
    version: state.version,
    models: state.models.map(({ id }) => id),
    active_requests: state.active,
    total_requests: state.total,
    failed_requests: state.failed,
  };
}

export function swanRequests(jobs: readonly FinishedJob[]): object {
  return {
    total: jobs.length,
    requests: jobs.map((job) => ({
      request_id: job.requestId,
      model_id: job.modelId,
      operation: job.operation,
      streaming: job.streaming,
      success: job.status === 200,
      status: job.status,
      tokens_in: job.tokensIn,
      tokens_out: job.tokensOut,
      total_tokens: job.tokensIn + job.tokensOut,
      latency_ms: Math.round(job.tookMs),
      timestamp: new Date(job.endedAt).toISOString(),
    })),
  };
}
