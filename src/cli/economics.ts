import { type Command, Option } from 'commander';
import type { EconomicsAnswer } from '#wire/console.ts';
import { aboutWhom, askMarket, asksMarket, type CallOptions } from './market-call.ts';
import { WrongUsage } from './refusal.ts';
import { table, writeReport } from './report.ts';

const MODELS_SHOWN = 30;

/** `cygnet providers economics`: what a provider's models bring, and what others would. */
export function economics(command: Command): void {
  asksMarket(command)
    .addOption(new Option('--gpus <number>', 'GPUs of each node').default('1'))
    .action(async (options: CallOptions & { gpus: string }, self: Command) => {
      const { json } = self.optsWithGlobals<{ json?: boolean }>();
      if (!/^[1-9]\d{0,3}$/.test(options.gpus)) throw new WrongUsage('--gpus is a whole number from 1 on.');
      const path = `${aboutWhom(options, 'economics')}?gpus_per_node=${options.gpus}`;
      const answer = (await askMarket(options, path)) as EconomicsAnswer;
      writeReport({ value: answer, lines: linesOf(answer) }, json ?? false);
    });
}

function linesOf({ earned_usd, gpu_hours, usd_per_gpu_hour, models }: EconomicsAnswer): string[] {
  const hourly = usd_per_gpu_hour === null ? 'no hour was seen' : `$${usd_per_gpu_hour} per GPU-hour`;
  return [
    `Last 24 hours: $${earned_usd} earned in ${gpu_hours} GPU-hours, ${hourly}.`,
    ...table(
      [
        'model',
        'yours',
        '>a day, expected',
        'basis',
        '>earned',
        '>requests',
        '>of',
        '>providers',
        'demand',
        '>full hour',
      ],
      models
        .slice(0, MODELS_SHOWN)
        .map((model) => [
          model.model_id,
          model.offered ? 'yes' : '',
          `$${model.expected_daily_usd}`,
          model.expected_basis,
          `$${model.own_earned_24h_usd}`,
          `${model.own_requests_24h}`,
          `${model.requests_24h}`,
          `${model.online_providers}`,
          model.demand_trend,
          model.full_hour_usd === null ? '-' : `$${model.full_hour_usd}`,
        ]),
    ),
  ];
}
