import type { GroupAlert } from './burn-watch.ts';
import type { Trigger } from './triggers.ts';

/**
 * One cause burns many budgets: when a model fails, those of its regions, of its tiers and of everybody who asked for it burn
 * as well. Pure: what burns and what is open go in; out come, for each alert, the one thing that explains it, so that people
 * are told of the cause alone, and for each component the trigger that opens its one incident.
 */
export interface ExplainedAlert extends GroupAlert {
  /** An incident's id, or whose budget it follows from (`pro`, `pro m`); `''`: it stands for itself. */
  readonly explainedBy: string;
}

export interface OpenComponent {
  readonly id: string;
  /** `''`: the whole market. */
  readonly modelId: string;
  readonly region: string;
}

export function explained(
  alerts: readonly GroupAlert[],
  open: readonly OpenComponent[],
): readonly ExplainedAlert[] {
  const tiers = alerts.filter(isOfTier);
  const models = alerts.filter((each) => isOfComponent(each) && each.region === '');
  return alerts.map((alert) => {
    if (isOfTier(alert)) return { ...alert, explainedBy: '' };
    const modelId = alert.consumerId === '' ? alert.modelId : alert.lastFailed;
    const incident = open.find(
      (each) =>
        each.modelId === modelId &&
        (each.region === '' || alert.region === '' || each.region === alert.region),
    );
    const model = models.find(
      (each) => each !== alert && each.tier === alert.tier && each.modelId === modelId,
    );
    const wider = alert.region !== '' || alert.consumerId !== '' ? model : undefined;
    const tier = tiers.find((each) => each.tier === alert.tier);
    const because =
      incident?.id ?? (wider ? `${wider.tier} ${wider.modelId}` : undefined) ?? tier?.tier ?? '';
    return { ...alert, explainedBy: because };
  });
}

/** What burning budgets say of one component, or (of the model `''`) of the whole market. */
export function burnTriggers(
  alerts: readonly GroupAlert[],
  { modelId, region }: { readonly modelId: string; readonly region: string },
): Trigger[] {
  const sharp = alerts.filter(isTrouble);
  const own =
    modelId === ''
      ? sharp.filter(
          (each) =>
            isOfTier(each) && !sharp.some((other) => isOfComponent(other) && other.tier === each.tier),
        )
      : sharp.filter((each) => isOfComponent(each) && each.modelId === modelId && each.region === region);
  if (own.length === 0) return [];
  const rates = new Map<string, number>();
  for (const { tier, longRate } of own) rates.set(tier, Math.max(longRate, rates.get(tier) ?? 0));
  const because = [...rates]
    .map(([tier, rate]) => `the error budget of ${tier} burns ${rate.toFixed(1)} times as fast as it lasts`)
    .join('; ');
  return [{ name: 'budget-burns', severity: 'minor', because }];
}

/**
 * Budgets of tiers that pay, by the rules whose short window is of minutes: the others go on for hours after the trouble, and
 * an incident should not.
 */
function isTrouble({ tier, rule }: GroupAlert): boolean {
  return tier !== 'hobby' && rule.severity === 'page' && rule.shortS <= TROUBLE_SHORT_S;
}

const TROUBLE_SHORT_S = 300;

export function isOfTier({ modelId, consumerId }: GroupAlert): boolean {
  return modelId === '' && consumerId === '';
}

function isOfComponent({ modelId }: GroupAlert): boolean {
  return modelId !== '';
}
