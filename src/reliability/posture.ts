import type { TierName } from '#domain/tier.ts';
import { isOfTier } from './burn-causes.ts';
import type { GroupAlert } from './burn-watch.ts';
import type { Severity, TriggerName } from './triggers.ts';

/**
 * What is done while something is wrong, by rule and before anybody is awake: paid service is protected before every last
 * free request is. Pure: open incidents and burning budgets in, a posture out. Serving reads it (`gateway/posture`), the
 * status page shows it, and it ends by itself when its reasons do.
 */
export interface Posture {
  /**
   * Changes to the market wait: an error budget burns, an incident is severe, or an operator said so. A flag for deploys;
   * nothing of the market reads it.
   */
  readonly freeze: boolean;
  /** Why, in words; none while nothing is frozen. */
  readonly frozenBecause: readonly string[];
  /** By model: what is different now. Models without an entry are served as ever. */
  readonly models: ReadonlyMap<string, ModelPosture>;
  /** What is different for every model: the budget of a tier that pays burns. */
  readonly everywhere: ModelPosture | undefined;
}

export interface ModelPosture {
  /** The most tokens an answer may have, by tier; absent: as ever. */
  readonly outputTokensMax: Partial<Record<TierName, number>>;
  /** Longer prompts are refused with 503, by tier, in tokens; absent: as ever. */
  readonly promptTokensMax: Partial<Record<TierName, number>>;
  /** Regions that are left alone as long as another can serve: paid tiers go elsewhere. */
  readonly avoidRegions: readonly string[];
  /** The smaller model answers instead, where the customer's agreement allows it; the answer says so. */
  readonly fallbackModel: string | undefined;
  /** Why, in the words of the triggers. */
  readonly because: readonly string[];
}

export interface OpenIncident {
  readonly modelId: string;
  /** `''`: everywhere. */
  readonly region: string;
  readonly severity: Severity;
  readonly triggers: readonly TriggerName[];
  readonly because: string;
  /** Silenced by an operator: it is shown, and nothing is done about it. */
  readonly silenced: boolean;
}

/** How far Hobby is cut back while paid tiers suffer, in tokens. */
const HOBBY_OUTPUT_MAX = 256;
const HOBBY_PROMPT_MAX = 2_048;
/** Nobody's very long prompts while nothing else helps. */
const ANY_PROMPT_MAX = 16_384;

/**
 * @param fallbackOf the smaller model that may stand in for one; undefined where there is none
 * @param declared why operators froze changes by hand
 */
export function postureOf(
  incidents: readonly OpenIncident[],
  alerts: readonly GroupAlert[],
  fallbackOf: (modelId: string) => string | undefined,
  declared: readonly string[] = [],
): Posture {
  const models = new Map<string, ModelPosture>();
  for (const incident of incidents) {
    // What is open of the whole market is shown; what is done about it follows from the budgets that burn.
    if (incident.silenced || incident.modelId === '') continue;
    const before = models.get(incident.modelId);
    models.set(incident.modelId, joined(before, modelPosture(incident, fallbackOf(incident.modelId))));
  }
  const paging = alerts.filter(({ rule }) => rule.severity === 'page');
  const frozenBecause = [
    ...new Set([
      ...declared,
      ...incidents.filter(isSevere).map(({ because }) => because),
      ...paging.map(({ tier, consumerId }) =>
        consumerId === ''
          ? `The error budget of ${tier} burns.`
          : 'The error budget of a consumer with a contract burns.',
      ),
    ]),
  ];
  return {
    freeze: frozenBecause.length > 0,
    frozenBecause,
    models,
    everywhere: burningPosture(paging.filter((alert) => isOfTier(alert) && alert.tier !== 'hobby')),
  };
}

/** Stricter admission for whoever pays nothing, so that what burns the budget of others finds less load. */
function burningPosture(alerts: readonly GroupAlert[]): ModelPosture | undefined {
  if (alerts.length === 0) return undefined;
  return {
    outputTokensMax: { hobby: HOBBY_OUTPUT_MAX },
    promptTokensMax: { hobby: HOBBY_PROMPT_MAX },
    avoidRegions: [],
    fallbackModel: undefined,
    because: [...new Set(alerts.map(({ tier }) => `The error budget of ${tier} burns.`))],
  };
}

/** What is different for a model. While a budget burns its smaller one may stand in, as in severe trouble. */
export function postureFor(
  { models, everywhere }: Posture,
  modelId: string,
  fallbackOf: (modelId: string) => string | undefined,
): ModelPosture | undefined {
  const own = models.get(modelId);
  return everywhere ? joined(own, { ...everywhere, fallbackModel: fallbackOf(modelId) }) : own;
}

function modelPosture(incident: OpenIncident, fallback: string | undefined): ModelPosture {
  const { triggers, region, because } = incident;
  const burns = triggers.includes('budget-burns');
  const loaded =
    burns || triggers.some((name) => name === 'slow' || name === 'pool-shrinks' || name === 'errors-rise');
  const severe = isSevere(incident);
  return {
    outputTokensMax: loaded || severe ? { hobby: HOBBY_OUTPUT_MAX } : {},
    promptTokensMax: severe
      ? { hobby: HOBBY_PROMPT_MAX, pro: ANY_PROMPT_MAX, business: ANY_PROMPT_MAX }
      : loaded
        ? { hobby: HOBBY_PROMPT_MAX }
        : {},
    avoidRegions: region === '' ? [] : [region],
    fallbackModel: severe || burns ? fallback : undefined,
    because: [because],
  };
}

function isSevere({ severity, silenced }: OpenIncident): boolean {
  return !silenced && severity !== 'minor';
}

/** Two incidents of one model: the stricter of each. */
function joined(a: ModelPosture | undefined, b: ModelPosture): ModelPosture {
  if (!a) return b;
  return {
    outputTokensMax: least(a.outputTokensMax, b.outputTokensMax),
    promptTokensMax: least(a.promptTokensMax, b.promptTokensMax),
    avoidRegions: [...new Set([...a.avoidRegions, ...b.avoidRegions])],
    fallbackModel: a.fallbackModel ?? b.fallbackModel,
    because: [...a.because, ...b.because],
  };
}

type Caps = Partial<Record<TierName, number>>;

function least(a: Caps, b: Caps): Caps {
  const caps: Caps = { ...a };
  for (const tier of Object.keys(b) as TierName[]) {
    caps[tier] = Math.min(caps[tier] ?? Number.POSITIVE_INFINITY, b[tier] as number);
  }
  return caps;
}
