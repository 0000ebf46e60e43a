import type { PlansAnswer } from '#wire/market.ts';
import { plural, short } from '../../parts/format.ts';

/** What a plan has, from its figures. */
export function linesOf(plan: PlansAnswer['data']['plans'][number]): string[] {
  const lines = [
    plan.model_tiers === null ? 'Every model' : `Models of the ${plan.model_tiers.join(' and ')} tier`,
    plan.requests_per_minute === null
      ? 'No limit by the plan; keys set their own'
      : `${plural(plan.requests_per_minute, 'request')} a minute${plan.requests_per_day === null ? '' : `, ${short(plan.requests_per_day)} a day`}`,
  ];
  if (plan.concurrent !== null) lines.push(`${plural(plan.concurrent, 'request')} at once`);
  if (plan.covered_tiers.length > 0 && plan.tokens_per_week !== null)
    lines.push(
      `${short(plan.tokens_per_week)} tokens a week included, on ${plan.covered_tiers.join(' and ')} models`,
    );
  if (plan.covered_tiers.length > 0 && plan.images_per_day !== null)
    lines.push(`${plural(plan.images_per_day, 'image')} a day included`);
  lines.push(plan.fallback ? 'Falls back to reserve endpoints' : 'Served from the shared pool');
  return lines;
}
