import type { Command } from 'commander';
import { type MeasuredDemand, measuredDemand } from '#ledger/demand.ts';
import { planCapacity } from '#reliability/capacity.ts';
import { grossMargin, priceForMargin, unitCost } from '#reliability/unit-cost.ts';
import { theModel } from './price.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { type Report, writeReport } from './report.ts';
import { inSession } from './session.ts';

const DAY_MS = 86_400_000;

interface CapacityOptions {
  requestsPerSecond?: string;
  promptTokens?: string;
  outputTokens?: string;
  tokensPerSecond?: string;
  efficiency: string;
  headroom: string;
  lose: string;
  measured?: string;
  days: string;
  json?: boolean;
}

interface CostOptions {
  gpuPerHour: string;
  tokensPerSecond?: string;
  utilisation?: string;
  overhead: string;
  price?: string;
  margin?: string;
  measured?: string;
  days: string;
  json?: boolean;
}

/** `cygnet plan` */
export function plan(command: Command): void {
  command
    .command('capacity')
    .description('how many GPUs a demand needs, with headroom and after a loss')
    .option('--requests-per-second <number>', 'at the peak that is planned for')
    .option('--prompt-tokens <number>', 'on average')
    .option('--output-tokens <number>', 'on average')
    .option('--tokens-per-second <number>', 'of one GPU, measured with this model')
    .option('--efficiency <share>', 'of that in real batches', '0.75')
    .option('--headroom <factor>', 'for spikes, retries and the tail', '1.3')
    .option('--lose <gpus>', 'how many the largest provider holds and may take away', '1')
    .option('--measured <model>', 'take what is not given from the usage of this model')
    .option('--days <number>', 'how far back to measure', '7')
    .action((options: CapacityOptions, self: Command) =>
      reported(self, options, (measured) => capacityReport(options, measured)),
    );
  command
    .command('cost')
    .description('what a million tokens cost, and what a price leaves of it')
    .requiredOption('--gpu-per-hour <usd>', 'of one GPU')
    .option('--tokens-per-second <number>', 'of one GPU, measured with this model')
    .option('--utilisation <share>', 'of the hour in which it makes them')
    .option('--overhead <usd>', 'everything else, per million tokens', '0')
    .option('--price <usd>', 'per million tokens: shows its gross margin')
    .option('--margin <share>', 'shows the price that leaves it')
    .option('--measured <model>', 'take what is not given from the usage of this model')
    .option('--days <number>', 'how far back to measure', '7')
    .action((options: CostOptions, self: Command) =>
      reported(self, options, (measured) => costReport(options, measured)),
    );
}

/** Flags alone need no database: a plan can be made before there is a market. */
async function reported(
  command: Command,
  options: { measured?: string; days: string },
  report: (measured: MeasuredDemand | undefined) => Report,
): Promise<void> {
  const name = options.measured;
  if (name === undefined) {
    writeReport(report(undefined), command.optsWithGlobals<{ json?: boolean }>().json ?? false);
    return;
  }
  const days = number('--days', options.days, { above: 0 });
  await inSession(command, async (session) => {
    const { id: modelId } = await theModel(session, name);
    const until = session.clock.wallMs();
    const measured = await measuredDemand(session.database, { modelId, since: until - days * DAY_MS, until });
    if (measured.requests === 0) throw new Refusal(`Nobody was served ${modelId} in the last ${days} days.`);
    return report(measured);
  });
}

function capacityReport(options: CapacityOptions, measured: MeasuredDemand | undefined): Report {
  const given = (name: string, text: string | undefined, fallback: number | undefined): number =>
    figure(name, text, fallback);
  const demand = {
    requestsPerS: given('--requests-per-second', options.requestsPerSecond, measured?.peakRequestsPerS),
    promptTokens: given('--prompt-tokens', options.promptTokens, measured?.promptTokens),
    outputTokens: given('--output-tokens', options.outputTokens, measured?.outputTokens),
  };
  const supply = {
    tokensPerSPerGpu: given('--tokens-per-second', options.tokensPerSecond, measured?.peakNodeTokensPerS),
    batchEfficiency: number('--efficiency', options.efficiency, { above: 0, most: 1 }),
  };
  if (supply.tokensPerSPerGpu <= 0) throw new WrongUsage('--tokens-per-second must be more than 0.');
  const headroom = number('--headroom', options.headroom, { least: 1 });
  const largestLoss = number('--lose', options.lose, { least: 0, whole: true });
  const result = planCapacity(demand, supply, { headroom, largestLoss });
  return {
    value: { demand, supply, headroom, largestLoss, ...result },
    lines: [
      `${text(demand.requestsPerS)} requests/s × (${text(demand.promptTokens)} + ${text(demand.outputTokens)}) tokens ÷ ` +
        `(${text(supply.tokensPerSPerGpu)} tokens/s × ${supply.batchEfficiency}) = ${result.busy.toFixed(2)} GPUs busy`,
      `${result.least} at the least, ${result.active} with a headroom of ${headroom}, ` +
        `${result.total} so that ${largestLoss} may be lost`,
      `used to ${percent(result.utilisation)} on average`,
    ],
  };
}

function costReport(options: CostOptions, measured: MeasuredDemand | undefined): Report {
  const measuredUse =
    measured && measured.peakNodeTokensPerS > 0
      ? measured.averageNodeTokensPerS / measured.peakNodeTokensPerS
      : undefined;
  const inputs = {
    gpuUsdPerHour: number('--gpu-per-hour', options.gpuPerHour, { least: 0 }),
    tokensPerSPerGpu: figure('--tokens-per-second', options.tokensPerSecond, measured?.peakNodeTokensPerS),
    utilisation: figure('--utilisation', options.utilisation, measuredUse),
    overheadUsdPerMillion: number('--overhead', options.overhead, { least: 0 }),
  };
  if (inputs.tokensPerSPerGpu <= 0) throw new WrongUsage('--tokens-per-second must be more than 0.');
  if (inputs.utilisation <= 0 || inputs.utilisation > 1) {
    throw new WrongUsage('--utilisation is a share above 0 and at most 1.');
  }
  const cost = unitCost(inputs);
  const price = options.price === undefined ? undefined : number('--price', options.price, { least: 0 });
  const margin = price === undefined ? undefined : grossMargin(price, cost.usdPerMillion);
  const wanted = options.margin === undefined ? undefined : number('--margin', options.margin, { below: 1 });
  const priceFor = wanted === undefined ? undefined : priceForMargin(cost.usdPerMillion, wanted);
  const lines = [
    `${Math.round(cost.tokensPerHour)} tokens an hour and GPU`,
    `$${cost.gpuUsdPerMillion.toFixed(2)} + $${inputs.overheadUsdPerMillion.toFixed(2)} = ` +
      `$${cost.usdPerMillion.toFixed(2)} per million tokens`,
  ];
  if (margin !== undefined) lines.push(`a price of $${price} leaves ${percent(margin)}`);
  if (priceFor !== undefined)
    lines.push(`a margin of ${percent(wanted as number)} asks for $${priceFor.toFixed(2)}`);
  return { value: { ...inputs, ...cost, price, margin, priceForMargin: priceFor }, lines };
}

/** A figure from its option, or as it was measured. */
function figure(name: string, given: string | undefined, measured: number | undefined): number {
  if (given !== undefined) return number(name, given, { least: 0 });
  if (measured === undefined) throw new WrongUsage(`Give ${name}, or --measured with a model.`);
  return measured;
}

function number(
  name: string,
  given: string,
  bounds: { least?: number; above?: number; most?: number; below?: number; whole?: boolean },
): number {
  const value = /^-?\d+(\.\d+)?$/.test(given) ? Number(given) : Number.NaN;
  const fits =
    value >= (bounds.least ?? Number.NEGATIVE_INFINITY) &&
    value > (bounds.above ?? Number.NEGATIVE_INFINITY) &&
    value <= (bounds.most ?? Number.POSITIVE_INFINITY) &&
    value < (bounds.below ?? Number.POSITIVE_INFINITY) &&
    (!bounds.whole || Number.isInteger(value));
  if (!fits) throw new WrongUsage(`${name} is out of its range: ${JSON.stringify(given.slice(0, 40))}.`);
  return value;
}

const text = (value: number): string => `${Number(value.toFixed(2))}`;
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
