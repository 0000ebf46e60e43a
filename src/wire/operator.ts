import { z } from 'zod';
import type { AppealAnswer, EndpointAnswer } from './console.ts';
import type { NodesAnswer } from './dashboard.ts';
import type { SlaReportBody } from './sla.ts';

/**
 * What operators ask and are told beside `dashboard.ts`: the shapes that the server's routes promise to the compiler, so that
 * pages read the same. Money is decimal text of dollars; moments are ISO 8601 in UTC.
 */
export type ProviderStatus =
  | 'pending'
  | 'under_review'
  | 'approved'
  | 'activating'
  | 'active'
  | 'suspended'
  | 'removed';

export interface OperatorProvider {
  readonly id: string;
  readonly name: string;
  readonly status: ProviderStatus;
  readonly reason: string;
  readonly since: string;
  readonly created_at: string;
  readonly nodes: number;
  /** Connected to this gateway's process now. */
  readonly online: number;
  readonly in_flight: number;
}
export interface OperatorProvidersAnswer {
  readonly providers: readonly OperatorProvider[];
}

export interface OperatorProviderAnswer {
  readonly provider: OperatorProvider & {
    readonly region: string | null;
    readonly description: string;
    readonly owner_address: string | null;
    readonly beneficiary_address: string | null;
    readonly last_connected_at: string | null;
    readonly asked: { readonly hardware: string; readonly contact: string; readonly at: string } | null;
  };
  /** Where an operator may move it from here. */
  readonly may_become: readonly ProviderStatus[];
  readonly nodes: NodesAnswer['nodes'];
  /** The latest benchmark runs, newest first. */
  readonly runs: readonly BenchmarkRun[];
  /** What credits for missed service levels took from its pledge. */
  readonly charges: readonly SlaCharge[];
}

export interface BenchmarkRun {
  readonly id: string;
  readonly provider_id: string;
  readonly node_id: string;
  readonly model_id: string;
  readonly at: string;
  readonly passed: boolean;
  readonly math: { readonly right: number; readonly asked: number };
  readonly code: { readonly right: number; readonly asked: number };
  readonly ttft_ms: number | null;
  readonly tokens_per_second: number;
  readonly hardware_tier: string;
  readonly shortcomings: readonly string[];
  /** What it led to. */
  readonly follows: string;
  readonly failures_in_a_row: number;
  readonly withheld_until: string | null;
  readonly appeal: { readonly decision: 'granted' | 'rejected'; readonly reason: string } | null;
  /** Whether its provider appealed. */
  readonly appeal_asked: boolean;
}
/** Appeals that wait for a decision. */
export interface OperatorAppealsAnswer {
  readonly appeals: readonly (AppealAnswer & { readonly provider_id: string })[];
}
export interface BenchmarksAnswer {
  readonly runs: readonly BenchmarkRun[];
}
export interface BenchmarkRunAnswer extends BenchmarkRun {
  /** Empty where they are kept no longer. */
  readonly papers: readonly {
    readonly seed: string;
    readonly answers: readonly {
      readonly kind: string;
      readonly prompt: string;
      readonly answer: string;
      readonly mark: string;
      readonly ttft_ms: number | null;
    }[];
  }[];
}

/** What was found of a node whose answers are unlike those of others that serve its model. */
export interface LikenessFinding {
  readonly id: string;
  readonly provider_id: string;
  readonly node_id: string;
  readonly model_id: string;
  readonly found_at: string;
  /** When it ends by itself. */
  readonly until: string;
  /** The checks that it rests on, and in how many of them the node was unlike. */
  readonly checks: number;
  readonly unlike: number;
  readonly because: string;
  /** Null while it stands. */
  readonly ended: { readonly at: string; readonly as: string; readonly because: string } | null;
}
export interface LikenessAnswer {
  readonly mode: 'off' | 'watch' | 'enforce';
  /** Newest first. */
  readonly findings: readonly LikenessFinding[];
  /** How each node did on each model in the checks that are kept. */
  readonly nodes: readonly {
    readonly provider_id: string;
    readonly node_id: string;
    readonly model_id: string;
    readonly alike: number;
    readonly unlike: number;
    readonly unclear: number;
    readonly last_at: string;
    readonly ttft_ms: number | null;
  }[];
}
export interface LikenessFindingAnswer extends LikenessFinding {
  readonly last_benchmark: Omit<BenchmarkRun, 'provider_id'> | null;
  /** The checks that it rests on and those since, newest first. */
  readonly checks_shown: readonly {
    readonly id: string;
    readonly at: string;
    readonly prompt: string;
    readonly answers: readonly {
      readonly node_id: string;
      readonly provider_id: string;
      readonly verdict: 'alike' | 'unlike' | 'unclear';
      /** How it began. */
      readonly opening: string;
      readonly ttft_ms: number | null;
    }[];
  }[];
}

export interface OperatorEndpoint extends EndpointAnswer {
  readonly provider: string;
  readonly provider_name: string | null;
}
export interface OperatorEndpointsAnswer {
  readonly endpoints: readonly OperatorEndpoint[];
}

/** An audit by hand. `balanced` is null while it goes on. */
export interface AuditNowAnswer {
  readonly balanced: boolean | null;
}
export interface AuditsAnswer {
  readonly audits: readonly {
    readonly at: string;
    readonly occasion: 'nightly' | 'command';
    readonly balanced: boolean;
    readonly chain_asked: boolean;
    readonly took_ms: number;
    readonly differences: readonly {
      readonly what: string;
      readonly where: string;
      readonly found: string;
      readonly expected: string;
    }[];
  }[];
  readonly unknown_to_the_ledger: readonly {
    readonly id: string;
    readonly what: string;
    readonly detail: string;
    readonly found_at: string;
  }[];
  /** Why nothing is paid out now. */
  readonly held_by: string | null;
}
export const explanationRequest = z.object({ resolution: z.string().trim().min(1).max(1_000) });

export interface OperatorCollateralAnswer {
  readonly pending: readonly {
    readonly provider: string;
    readonly provider_name: string | null;
    readonly id: string;
    readonly method: string;
    readonly asset: string | null;
    readonly amount: string | null;
    readonly chain_id: number | null;
    readonly tx_hash: string | null;
    readonly status: string;
    readonly reason: string | null;
    readonly created_at: string;
  }[];
}

export interface TreasuryAnswer {
  readonly treasury_usd: string;
  readonly burn_due_usd: string;
  readonly burned_usd: string;
  readonly fees_usd: string;
  readonly plans_usd: string;
  readonly slashed_usd: string;
  readonly given_away_usd: string;
  readonly sla_credits_usd: string;
  readonly from: string;
  readonly to: string;
  readonly movements: readonly {
    readonly month: string;
    readonly account: string;
    readonly kind: string;
    readonly entries: number;
    readonly amount_usd: string;
  }[];
  readonly burns: readonly {
    readonly chain_id: number;
    readonly transaction: string;
    readonly units: string;
    readonly spent_usd: string;
    readonly verified: boolean;
    readonly at: string;
  }[];
}

export interface LimitsAnswer {
  readonly limits: {
    readonly requests_per_minute: Readonly<Record<string, number>>;
    readonly concurrent_per_key: number;
    readonly body_bytes: number;
    readonly messages: number;
    readonly message_chars: number;
    readonly input_tokens: number;
    readonly output_tokens: number;
    readonly embedding_tokens: number;
    readonly request_timeout_ms: number;
  };
  readonly playground: {
    readonly enabled: boolean;
    readonly requests_per_hour: number;
    readonly output_tokens: number;
  };
  readonly tiers: readonly {
    readonly name: string;
    readonly title: string;
    readonly weight: number;
    readonly queue_deadline_ms: number;
  }[];
  readonly plans: readonly {
    readonly name: string;
    readonly title: string;
    readonly monthly_usd: number;
    readonly requests_per_minute: number | null;
    readonly requests_per_day: number | null;
    readonly concurrent: number | null;
    /** Null: all. */
    readonly model_tiers: readonly string[] | null;
  }[];
  readonly split: {
    readonly version: string;
    readonly fee_percent: number;
    readonly provider_percent: number;
    readonly treasury_percent: number;
    readonly burn_percent: number;
  };
  /** The batches that this market makes: of earnings, and of rewards. */
  readonly settles: readonly ('USD' | 'SWAN')[];
  readonly provider_demands: {
    readonly approval: 'automatic' | 'operator';
    readonly demandsCollateral: boolean;
    readonly demandsBenchmark: boolean;
  };
}

export interface OperatorTier {
  readonly name: string;
  readonly title: string;
  readonly prompt_tokens_max: number | null;
  readonly output_tokens_max: number | null;
  readonly concurrent: number | null;
  readonly burst: number | null;
  readonly weight: number;
  readonly queue_deadline_ms: number;
  readonly retries_max: number | null;
  readonly smaller_model: 'before' | 'after' | 'never';
  /** In basis points of the list: 10,000 is the listed price. */
  readonly price_factor: number;
  readonly objectives: {
    readonly availability: number;
    readonly ttft_p95_ms: number;
    readonly ttlt_p95_ms: Readonly<Record<number, number>>;
    readonly server_errors: number;
    readonly too_many_requests: number;
  };
}
/** Objectives as they are set: shares in parts per million. */
export interface ObjectivesBody {
  readonly availability_ppm: number;
  readonly ttft_p95_ms: number;
  readonly ttlt_256_p95_ms: number;
  readonly ttlt_512_p95_ms: number;
  readonly server_errors_ppm: number;
  readonly too_many_ppm: number;
}
export interface ObjectiveTermsAnswer {
  readonly tier: string;
  readonly objectives: ObjectivesBody;
  /** Newest first; none where the tier has what a market begins with. */
  readonly versions: readonly (ObjectivesBody & {
    readonly by: string;
    readonly set_at: string;
    /** The first minute that is judged by it. */
    readonly from: string;
  })[];
}
export interface TiersAnswer {
  readonly tiers: readonly OperatorTier[];
}
export interface ReservationsAnswer {
  readonly reservations: readonly {
    readonly id: string;
    readonly consumer: string;
    readonly model: string;
    readonly slots: number | null;
    readonly share_basis_points: number | null;
    readonly release_idle_s: number | null;
    readonly by: string;
    readonly since: string;
  }[];
}

export interface SlaSummary {
  readonly consumer: string;
  readonly month: string;
  readonly state: SlaReportBody['state'];
  readonly uptime_ppm: number;
  readonly unavailable_minutes: number;
  readonly excluded_minutes: number;
  readonly fee_usd: string;
  readonly credit_usd: string;
  readonly made_at: string;
}
export interface SlaReportsAnswer {
  readonly reports: readonly SlaSummary[];
}
export interface SlaCharge {
  readonly provider: string;
  readonly finding: string;
  readonly month: string;
  readonly at: string;
  readonly minutes: number;
  readonly share_usd: string;
  readonly taken_usd: string;
  readonly appeal: 'granted' | 'rejected' | null;
  readonly appeal_reason: string | null;
  /** The provider's words; null while it has not appealed. */
  readonly appeal_asked: string | null;
  readonly appeal_asked_at: string | null;
  /** Until when it may ask. */
  readonly appeal_until: string;
}
/** What a charge rests on. Nothing in it names the consumer. */
export interface SlaEvidenceAnswer {
  readonly finding: string;
  readonly month: string;
  /** More than are told. */
  readonly more: boolean;
  readonly failures: readonly {
    readonly minute: string;
    readonly model: string;
    readonly error: string;
    readonly requests: number;
  }[];
}
export interface SlaChargesAnswer {
  readonly charges: readonly SlaCharge[];
}
export interface SlaExclusionsAnswer {
  readonly exclusions: readonly {
    readonly id: string;
    readonly consumer: string;
    readonly kind: string;
    readonly from: string;
    readonly until: string;
    readonly evidence: string;
    readonly entered_by: string;
    readonly entered_at: string;
  }[];
}
/** Closing a month. `dry_run` tells what it would come to and books nothing. */
export const slaRunRequest = z.strictObject({
  month: z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'is not a month such as 2026-11'),
  dry_run: z.boolean().default(false),
});
export interface SlaRunAnswer {
  readonly month: string;
  readonly dry_run: boolean;
  /** Reports that were made now; none of a dry run. */
  readonly made: number;
  /** Consumers whose month could not be closed. */
  readonly failed: readonly string[];
  readonly reports: readonly SlaSummary[];
}

export interface IncidentsAnswer {
  readonly incidents: readonly import('./incidents.ts').OperatorIncident[];
}
export interface MaintenanceAnswer {
  readonly windows: readonly {
    readonly id: string;
    readonly model: string;
    readonly words: string;
    readonly announced_at: string;
    readonly from: string;
    readonly until: string;
  }[];
}
export interface PostMortemAnswer {
  readonly id: string;
  readonly draft: string;
  readonly due_at: string | null;
  readonly published: string | null;
}
export interface ObjectivesAnswer {
  readonly from: string;
  readonly until: string;
  readonly objectives: readonly {
    readonly tier: string;
    readonly model: string;
    readonly region: string;
    /** The stretch of the window that was judged by the same objectives. */
    readonly from: string;
    readonly until: string;
    readonly requests: number;
    readonly budget_minutes: { readonly allowed: number; readonly spent: number; readonly left: number };
  }[];
}
