import type { OperationSet } from '#domain/operation.ts';
import type { DataPolicy } from '#domain/preferences.ts';
import type { Price } from '#domain/price.ts';

/** What routing sees of somebody who could serve a model. Plain data; the hub keeps it current. */
export interface Candidate {
  /** Names the link and the model, unique among the candidates of a model. */
  readonly id: string;
  readonly linkId: string;
  readonly nodeId: string;
  readonly providerId: string;
  /** By what a consumer may name the provider: its id and its name, in lower case. */
  providerNames: readonly string[];
  readonly mode: 'websocket' | 'external';
  /** The agent's own word on this model; checked by outcomes. */
  health: 'healthy' | 'degraded' | 'unhealthy' | 'unknown';
  /** False while the provider's state, a benchmark or an operator keeps it from earning; `ineligibleBecause` says why. */
  eligible: boolean;
  ineligibleBecause: string | undefined;
  /**
   * Why it stands behind others of its kind, as a degraded one does: its provider's record of a month, or that it comes and
   * goes. Undefined for most.
   */
  behind: string | undefined;
  draining: boolean;
  /** Attempts under way: of this model on this link, and of the link. */
  inFlight: number;
  linkInFlight: number;
  /** The most attempts at once: of this model, and of the link. */
  capacity: number;
  linkCapacity: number;
  /** What it can be asked to do with this model. */
  operations: OperationSet;
  /** The largest message the agent can take, in bytes. */
  maxRequestBytes: number;
  /** GPU memory of one GPU times their number, in GB; null when unknown. */
  vramGb: number | null;
  /** As the agent states it, in lower case (`fp8`); null when it does not. */
  quantization: string | null;
  /** The parameters that the agent states to support; null when it states none. */
  parameters: ReadonlySet<string> | null;
  /** The weights that the agent states to serve, by hash; null when it states none. */
  version: string | null;
  /** Where the provider is, as the operator notes it; null when unknown. */
  region: string | null;
  dataPolicy: DataPolicy;
  /** What the provider asks; null: the listed price. Whoever asks more than that is passed over. */
  ask: Price | null;
  /** What a call that is being gathered for it still takes, of requests with this key; it has its place already. */
  gathering?: GatherRoom | undefined;
  readonly connectedAtMs: number;
  readonly breaker: Breaker;
  readonly record: ServiceRecord;
}

/** Of requests that may share a call (`hub/gather.ts`): what one takes, or what a call has room for. */
export interface GatherRoom {
  readonly key: string;
  readonly inputs: number;
  readonly bytes: number;
}

/** The circuit of one candidate, as `routing/breaker.ts` moves it. Times are monotonic milliseconds. */
export interface Breaker {
  state: 'closed' | 'open' | 'half-open';
  consecutiveFailures: number;
  /** When an open circuit may be tried again. */
  openUntilMs: number;
  /** How often it opened since it was last closed for good: the opening time rises with it. */
  openings: number;
  trialsUnderWay: number;
  /** Probes opened it: what is wrong with it no attempt can show, so the first trials are theirs. */
  byProbes: boolean;
}

/** What was measured of one candidate, as `routing/score.ts` moves it. Exponentially weighted. */
export interface ServiceRecord {
  /** 0 to 1; starts neutral. */
  success: number;
  ttftMs: number | null;
  tokensPerSecond: number | null;
  outcomes: number;
  lastOutcomeMs: number | null;
  /** When it last answered in full: its backend had the model loaded then. */
  lastServedMs: number | null;
  /** 0 to 1: how often this provider claimed more than we counted. */
  overclaim: number;
}

/** What a request needs of a candidate. */
export interface Need {
  readonly modelId: string;
  /** One of these is enough. */
  readonly operations: OperationSet;
  /** The size of the message an agent would receive. */
  readonly requestBytes: number;
  /** The most it may cost: the listed price that it was admitted with. Absent: nobody is too dear. */
  readonly price?: Price | undefined;
  /** No external endpoint may serve: the consumer's plan has no fallback. */
  readonly agentsOnly?: boolean | undefined;
  /** It may join a call that is being gathered. */
  readonly gather?: GatherRoom | undefined;
}
