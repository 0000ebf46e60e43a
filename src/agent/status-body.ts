import type { AgentState } from './run.ts';
import type { ModelState } from './shelf.ts';

/** What the local REST interface says of the agent at `GET /status`. */
export interface StatusBody {
  readonly version: string;
  readonly pid: number;
  readonly node_id: string;
  readonly node_name: string | null;
  readonly started_at: string;
  readonly uptime_s: number;
  readonly draining: boolean;
  /** True while every hub has it registered. */
  readonly connected: boolean;
  readonly hubs: readonly {
    readonly url: string;
    readonly registered: boolean;
    readonly accepted: readonly string[];
    readonly refusal: string | null;
  }[];
  readonly hardware: {
    readonly gpu: string;
    readonly count: number;
    readonly vram_gb: number;
    readonly compute_capability: string | null;
  } | null;
  readonly processor: { readonly model: string; readonly cores: number; readonly memory_gb: number };
  readonly gpu_figures: Readonly<Record<string, number>>;
  readonly limits: { readonly concurrency: number; readonly requests_per_minute: number | null };
  readonly active: number;
  readonly waiting: number;
  readonly total: number;
  readonly failed: number;
  readonly avg_latency_ms: number;
  readonly requests_per_minute: number;
  readonly models: readonly ModelBody[];
}

export interface ModelBody {
  readonly id: string;
  readonly source: string;
  readonly state: ModelState['state'];
  readonly reasons: readonly string[];
  readonly engine: string | null;
  readonly context_length: number | null;
  readonly concurrency: number;
  readonly requests_per_minute: number | null;
  readonly active: number;
  readonly waiting: number;
  readonly total: number;
  readonly failed: number;
  readonly refused: number;
  readonly tokens_in: number;
  readonly tokens_out: number;
}

export function statusBody(state: AgentState, about: { pid: number; wallMs: number }): StatusBody {
  const { hardware } = state;
  return {
    version: state.version,
    pid: about.pid,
    node_id: state.nodeId,
    node_name: state.name ?? null,
    started_at: new Date(state.startedAt).toISOString(),
    uptime_s: Math.max(0, Math.floor((about.wallMs - state.startedAt) / 1_000)),
    draining: state.draining,
    connected: state.hubs.every(({ registered }) => registered),
    hubs: state.hubs.map(({ url, registered, accepted, refusal }) => ({
      url,
      registered,
      accepted,
      refusal: refusal ?? null,
    })),
    hardware: hardware
      ? {
          gpu: hardware.gpu_model ?? hardware.gpu_type ?? 'GPU',
          count: hardware.gpu_count ?? 1,
          vram_gb: hardware.vram_gb ?? 0,
          compute_capability: hardware.compute_capability || null,
        }
      : null,
    processor: {
      model: state.processor.model,
      cores: state.processor.cores,
      memory_gb: state.processor.memoryGb,
    },
    gpu_figures: state.gpu,
    limits: {
      concurrency: state.limits.concurrency,
      requests_per_minute: state.limits.requestsPerMinute ?? null,
    },
    active: state.active,
    waiting: state.waiting,
    total: state.total,
    failed: state.failed,
    avg_latency_ms: Math.round(state.latencyMs),
    requests_per_minute: Math.round(state.requestsPerMinute * 10) / 10,
    models: state.models.map(modelBody),
  };
}

export function modelBody(model: ModelState): ModelBody {
  return {
    id: model.id,
    source: model.source,
    state: model.state,
    reasons: model.reasons,
    engine: model.engine ?? null,
    context_length: model.contextLength ?? null,
    concurrency: model.concurrency,
    requests_per_minute: model.requestsPerMinute ?? null,
    active: model.active,
    waiting: model.waiting,
    total: model.total,
    failed: model.failed,
    refused: model.refused,
    tokens_in: model.tokensIn,
    tokens_out: model.tokensOut,
  };
}
