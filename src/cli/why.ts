import type { Command } from 'commander';
import type { WhyAnswer } from '#wire/console.ts';
import { aboutWhom, askMarket, asksMarket, type CallOptions } from './market-call.ts';
import { table, writeReport } from './report.ts';

/** `cygnet providers why`: every gate of routing for a provider's models, its place, and what would put it in front. */
export function why(command: Command): void {
  asksMarket(command).action(async (model: string | undefined, options: CallOptions, self: Command) => {
    const { json } = self.optsWithGlobals<{ json?: boolean }>();
    const query = model === undefined ? '' : `?${new URLSearchParams({ model }).toString()}`;
    const path = `${aboutWhom(options, 'why')}${query}`;
    const answer = (await askMarket(options, path)) as WhyAnswer;
    writeReport({ value: answer, lines: whyLines(answer) }, json ?? false);
  });
}

function whyLines({ provider_id, status, steps, strategy, models }: WhyAnswer): string[] {
  const lines = [
    `${provider_id}  ${status}`,
    ...table(['step', '', 'found', 'wanted'], steps.map(gateCells)),
  ];
  if (models.length === 0) lines.push('', 'It offers no model now. Name one to see what stands in its way.');
  for (const model of models) {
    const [node] = model.nodes;
    lines.push(
      '',
      `${model.model_id}: ${model.summary}`,
      ...table(['gate', '', 'found', 'wanted'], [...model.steps, ...(node?.gates ?? [])].map(gateCells)),
    );
    if (node) {
      const others = model.nodes.length - 1 + model.nodes_not_shown;
      lines.push(
        `This is node ${node.node_id.slice(0, 20)}${others > 0 ? `, the best of ${others + 1}` : ''}; last answer: ${ago(node.last_served_s_ago)}.`,
      );
      lines.push(...comparison(node, model.to_lead, strategy));
    }
    const lacking = model.wishes.filter(({ passes }) => !passes);
    if (lacking.length > 0)
      lines.push(
        `Requests that insist on it go elsewhere: ${lacking.map(({ wish, found }) => `${wish} (${found})`).join('; ')}.`,
      );
  }
  return lines;
}

type Model = WhyAnswer['models'][number];

function comparison(
  own: Model['nodes'][number],
  toLead: Model['to_lead'],
  strategy: string | null,
): string[] {
  const leader = toLead?.leader;
  const rows = [['this node', own] as const, ...(leader ? [['who goes first', leader] as const] : [])];
  const lines = table(
    [`by ${strategy}`, '>score', '>success', '>first token', '>tokens/s', '>load', '>price'],
    rows.map(([who, figures]) => [
      who,
      figures.score === null ? '-' : figures.score.toFixed(3),
      `${(figures.success_rate * 100).toFixed(1)} %`,
      figures.ttft_ms === null ? '-' : `${Math.round(figures.ttft_ms)} ms`,
      figures.tokens_per_s === null ? '-' : figures.tokens_per_s.toFixed(1),
      `${Math.round(figures.load * 100)} %`,
      priceText(figures.price),
    ]),
  );
  if (toLead?.price_below)
    lines.push(`Requests that sort by price go to who asks less than ${priceText(toLead.price_below)}.`);
  return lines;
}

function priceText(price: { input_price: number; output_price: number; request_price: number }): string {
  return price.request_price > 0
    ? `$${price.request_price} a piece`
    : `$${price.input_price} / $${price.output_price}`;
}

function gateCells({ gate, passes, found, wanted }: WhyAnswer['steps'][number]): string[] {
  return [gate, passes === null ? '-' : passes ? 'ok' : 'SHUT', found, wanted];
}

function ago(seconds: number | null): string {
  return seconds === null ? 'never' : `${seconds} s ago`;
}
