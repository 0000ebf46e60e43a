import { z } from 'zod';

/** Incidents, posture and maintenance as operators send and get them under `/api/v1/operator`. */
const severity = z.enum(['minor', 'major', 'critical']);
const words = z.string().trim().min(1).max(20_000);
const region = z.string().regex(/^[a-z0-9-]{0,32}$/, 'is at most 32 lower-case letters, digits and dashes');
/** With its time zone: an hour that everybody understands the same. */
const moment = z.iso.datetime({
  offset: true,
  error: 'is no time with its zone, such as 2026-12-01T22:00:00Z',
});

export const incidentsQuery = z.object({ days: z.coerce.number().int().min(1).max(3_650).default(30) });
export const objectivesQuery = z.object({ days: z.coerce.number().int().min(1).max(35).default(30) });
export const incidentOpenRequest = z.object({
  /** What is wrong, for everybody to read. */
  words,
  model: z.string().max(200).optional(),
  region: region.default(''),
  severity: severity.default('major'),
});
export const incidentNoteRequest = z.object({ words, internal: z.boolean().default(false) });
export const incidentSilenceRequest = z.object({
  minutes: z.int().min(1).max(525_600).default(60),
  words: words.default('Known.'),
});
export const incidentResolveRequest = z.object({ words });
export const postMortemRequest = z.object({ words });
export const maintenanceRequest = z.object({
  words: z.string().trim().min(1).max(500),
  from: moment,
  until: moment,
  /** Without it, the whole market. */
  model: z.string().max(200).optional(),
});

export const freezeRequest = z.object({
  /** Why, for operators to read. */
  words: z.string().trim().min(1).max(500),
  /** Without it, until it is lifted. */
  until: moment.optional(),
});

export interface FreezesAnswer {
  readonly freezes: readonly {
    readonly id: string;
    readonly words: string;
    readonly by: string;
    readonly from: string;
    readonly until: string | null;
    readonly in_force: boolean;
    readonly lifted_at: string | null;
    readonly lifted_by: string | null;
  }[];
}

export interface OperatorIncident {
  readonly id: string;
  /** Empty: the whole market. */
  readonly model: string;
  /** Empty: everywhere. */
  readonly region: string;
  readonly severity: z.output<typeof severity>;
  readonly worst: z.output<typeof severity>;
  readonly triggers: readonly string[];
  readonly because: string;
  readonly opened_by: 'rule' | 'operator';
  readonly opened_at: string;
  /** While nothing is done about it. */
  readonly silenced_until: string | null;
  readonly resolved_at: string | null;
  readonly post_mortem_due_at: string | null;
  readonly steps: readonly {
    readonly at: string;
    readonly kind: string;
    readonly actor: string;
    readonly words: string;
    readonly internal: boolean;
  }[];
}

export interface PostureAnswer {
  readonly changes_frozen: boolean;
  readonly frozen_because: readonly string[];
  readonly alerts: readonly {
    readonly tier: string;
    /** Empty: all models, everywhere, everybody. */
    readonly model: string;
    readonly region: string;
    readonly consumer: string;
    /** An incident, or whose budget this one follows from; empty where it stands for itself. */
    readonly explained_by: string;
    readonly rule: string;
    readonly severity: 'page' | 'ticket';
    /** How fast the long and the short window burn; 1 spends the budget exactly. */
    readonly long_rate: number;
    readonly short_rate: number;
  }[];
  /** What is different for every model, while the budget of a tier that pays burns. */
  readonly everywhere: PostureBody | null;
  /** What is different beside that; models that are not here are served as ever. */
  readonly models: readonly (PostureBody & { readonly model: string })[];
}

export interface PostureBody {
  /** By tier. */
  readonly output_tokens_max: Readonly<Record<string, number>>;
  readonly prompt_tokens_max: Readonly<Record<string, number>>;
  readonly avoid_regions: readonly string[];
  readonly fallback_model: string | null;
  readonly because: readonly string[];
}
