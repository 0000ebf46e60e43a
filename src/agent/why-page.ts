import { z } from 'zod';
import { plainLine, table } from './commands/print.ts';

/**
 * "Why do I get no traffic?" as a page for people: every gate in order with the figure that decides, the place among all
 * who may serve, the time and the price that would win, and what the last probe and the last benchmark found. The agent and
 * the market's own command show the same page. Only what is shown is read, so that a market of another version may say more.
 */
const gate = z.looseObject({
  gate: z.string(),
  passes: z.boolean().nullable(),
  found: z.string(),
  wanted: z.string(),
});
const price = z.looseObject({ input_price: z.number(), output_price: z.number(), request_price: z.number() });
const figures = {
  success_rate: z.number(),
  ttft_ms: z.number().nullable(),
  tokens_per_s: z.number().nullable(),
  load: z.number(),
  price,
  score: z.number().nullable(),
};
const probe = z
  .looseObject({
    at: z.string(),
    ok: z.boolean(),
    because: z.string().nullable(),
    ttft_ms: z.number().nullable(),
  })
  .nullish();
const benchmark = z
  .looseObject({
    run: z.string(),
    at: z.string(),
    passed: z.boolean(),
    shortcomings: z.array(z.string()),
    math: z.string(),
    code: z.string(),
    appeal: z.string().nullish(),
  })
  .nullish();

export const whyPageSchema = z.looseObject({
  provider_id: z.string(),
  status: z.string(),
  steps: z.array(gate),
  strategy: z.string().nullable(),
  models: z.array(
    z.looseObject({
      model_id: z.string(),
      summary: z.string(),
      serving: z.boolean(),
      steps: z.array(gate),
      may_serve: z.number(),
      rank: z.number().nullable(),
      nodes: z.array(
        z.looseObject({
          node_id: z.string(),
          gates: z.array(gate),
          ...figures,
          last_served_s_ago: z.number().nullable(),
          last_probe: probe,
          last_benchmark: benchmark,
        }),
      ),
      nodes_not_shown: z.number(),
      last_benchmark: benchmark,
      to_lead: z
        .looseObject({
          decides: z.string(),
          leader: z.looseObject(figures).nullable(),
          ttft_ms: z.number().nullable(),
          price_below: price.nullable(),
        })
        .nullable(),
      wishes: z.array(z.looseObject({ wish: z.string(), passes: z.boolean(), found: z.string() })),
    }),
  ),
});
export type WhyPage = z.output<typeof whyPageSchema>;
type Model = WhyPage['models'][number];

export function whyLines({ provider_id, status, steps, strategy, models }: WhyPage): string[] {
  const lines = [
    plainLine(`${provider_id}  ${status}`),
    ...table(['STEP', '', 'FOUND', 'WANTED'], steps.map(gateCells)),
  ];
  if (models.length === 0) lines.push('', 'It offers no model now. Name one to see what stands in its way.');
  for (const model of models) {
    const [node] = model.nodes;
    lines.push(
      '',
      plainLine(`${model.model_id}: ${model.summary}`),
      ...table(['GATE', '', 'FOUND', 'WANTED'], [...model.steps, ...(node?.gates ?? [])].map(gateCells)),
    );
    if (node) {
      const others = model.nodes.length - 1 + model.nodes_not_shown;
      const place = model.rank === null ? 'no place' : `place ${model.rank} of ${model.may_serve}`;
      lines.push(
        `This is node ${plainLine(node.node_id.slice(0, 20))}${others > 0 ? `, the best of ${others + 1}` : ''}; ${place}; last answer: ${ago(node.last_served_s_ago)}.`,
        ...comparison(node, model.to_lead, strategy),
        probeLine(node.last_probe),
      );
    }
    lines.push(benchmarkLine(node ? (node.last_benchmark ?? model.last_benchmark) : model.last_benchmark));
    const lacking = model.wishes.filter(({ passes }) => !passes);
    if (lacking.length > 0)
      lines.push(
        `Requests that insist on it go elsewhere: ${lacking.map(({ wish, found }) => `${wish} (${found})`).join('; ')}.`,
      );
  }
  return lines;
}

function comparison(
  own: Model['nodes'][number],
  toLead: Model['to_lead'],
  strategy: string | null,
): string[] {
  const leader = toLead?.leader;
  const rows = [['this node', own] as const, ...(leader ? [['who goes first', leader] as const] : [])];
  const lines = table(
    [`BY ${strategy}`, '>SCORE', '>SUCCESS', '>FIRST TOKEN', '>TOKENS/S', '>LOAD', '>PRICE'],
    rows.map(([who, each]) => [
      who,
      each.score === null ? '-' : each.score.toFixed(3),
      `${(each.success_rate * 100).toFixed(1)} %`,
      each.ttft_ms === null ? '-' : `${Math.round(each.ttft_ms)} ms`,
      each.tokens_per_s === null ? '-' : each.tokens_per_s.toFixed(1),
      `${Math.round(each.load * 100)} %`,
      priceText(each.price),
    ]),
  );
  if (toLead?.decides === 'nothing') lines.push('To go first: nothing, it does.');
  if (toLead && toLead.ttft_ms !== null)
    lines.push(`To go first: a first token within ${toLead.ttft_ms} ms, all else as it is.`);
  if (toLead?.price_below)
    lines.push(`Requests that sort by price go to who asks less than ${priceText(toLead.price_below)}.`);
  return lines;
}

function probeLine(last: Model['nodes'][number]['last_probe']): string {
  if (!last) return 'Last probe: none yet.';
  const took = last.ttft_ms === null ? '' : `, first token after ${last.ttft_ms} ms`;
  return `Last probe: ${moment(last.at)}, ${last.ok ? 'in order' : `failed: ${plainLine(last.because ?? '')}`}${took}.`;
}

function benchmarkLine(last: Model['last_benchmark']): string {
  if (!last) return 'Last benchmark: none yet.';
  const marks = `math ${last.math}, code ${last.code}`;
  const words = last.passed ? 'passed' : `failed: ${plainLine(last.shortcomings.join(' '))}`;
  const appeal = last.appeal ? ` Appeal: ${plainLine(last.appeal)}.` : '';
  return `Last benchmark: ${moment(last.at)}, ${words} (${marks}; run ${plainLine(last.run)}).${appeal}`;
}

function moment(at: string): string {
  return `${plainLine(at).slice(0, 19).replace('T', ' ')} UTC`;
}

function priceText(each: { input_price: number; output_price: number; request_price: number }): string {
  return each.request_price > 0
    ? `$${each.request_price} a piece`
    : `$${each.input_price} / $${each.output_price}`;
}

function gateCells({ gate: name, passes, found, wanted }: WhyPage['steps'][number]): string[] {
  return [
    plainLine(name),
    passes === null ? '-' : passes ? 'ok' : 'SHUT',
    plainLine(found),
    plainLine(wanted),
  ];
}

function ago(seconds: number | null): string {
  return seconds === null ? 'never' : `${seconds} s ago`;
}
