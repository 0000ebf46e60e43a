import type { Command } from 'commander';
import { CatalogueView } from '#catalogue/models.ts';
import { formatUsd } from '#domain/money.ts';
import type { Price } from '#domain/price.ts';
import { table } from './report.ts';
import { inSession } from './session.ts';

/** `cygnet models` */
export function models(command: Command): void {
  command
    .command('list')
    .description('list the models on sale with their prices in force')
    .action((_options: unknown, self: Command) =>
      inSession(self, async (session) => {
        const view = await CatalogueView.open(session);
        try {
          const all = view.list();
          return {
            value: all,
            lines: table(
              ['model', 'short name', 'category', '>context', 'price'],
              all.map((each) => [
                each.id,
                each.slug,
                each.category,
                each.contextTokens === null ? '–' : `${each.contextTokens}`,
                priceText(each.price),
              ]),
            ),
          };
        } finally {
          await view.close();
        }
      }),
    );
}

/** A price as people read it. */
export function priceText(price: Omit<Price, 'id'> & Price): string {
  if (price.unit === 'request') {
    const byTime =
      price.minutePico === undefined ? '' : `, or ${formatUsd(price.minutePico)} a minute if more`;
    return `${formatUsd(price.requestPico)} a request${byTime}`;
  }
  const [input, output] = [price.inputPico, price.outputPico].map((pico) => formatUsd(pico * 1_000_000n));
  return `${input} in, ${output} out per million tokens`;
}
