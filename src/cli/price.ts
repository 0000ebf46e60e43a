import type { Command } from 'commander';
import { CatalogueView } from '#catalogue/models.ts';
import { priceHistory, setPrice } from '#catalogue/prices.ts';
import type { Model } from '#domain/model.ts';
import { type Pico, parseUsd } from '#domain/money.ts';
import { type Amounts, priceText } from '#domain/price.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession, type Session } from './session.ts';

const LISTED = 1_000;
const TOKENS_PER_UNIT = 1_000_000n;

export interface AmountOptions {
  input?: string;
  output?: string;
  request?: string;
  minute?: string;
}

interface SetOptions extends AmountOptions {
  from?: string;
  force?: boolean;
}

/** `cygnet price` */
export function price(command: Command): void {
  command
    .command('set')
    .description('set a price from now on, or from a moment to come')
    .argument('<model>', 'its id or short name')
    .option('--input <usd>', 'dollars per million tokens of prompt')
    .option('--output <usd>', 'dollars per million tokens of answer')
    .option('--request <usd>', 'dollars per request (image and audio models)')
    .option('--minute <usd>', 'with --request: dollars per minute of sound, where that is more')
    .option('--from <time>', 'when it begins, such as 2026-12-01T00:00:00Z')
    .option('--force', 'even if it changes by more than a hundred times')
    .action((name: string, options: SetOptions, self: Command) => {
      const amounts = amountsOf(options);
      const from = options.from === undefined ? undefined : Date.parse(options.from);
      if (Number.isNaN(from))
        throw new WrongUsage(`--from is not a moment: ${JSON.stringify(options.from)}.`);
      return inSession(self, async (session) => {
        const { id: modelId } = await theModel(session, name);
        const at = session.clock.wallMs();
        const id = session.makeId('price');
        const effectiveFrom = from ?? at;
        const wish = {
          id,
          modelId,
          amounts,
          effectiveFrom,
          source: 'operator',
          forced: options.force ?? false,
          at,
        };
        const answer = await setPrice(session.database, wish);
        if (typeof answer === 'object') throw new Refusal(answer.refused);
        return {
          value: { id, modelId, effectiveFrom: iso(effectiveFrom), ...amounts },
          lines: [`${modelId}: ${priceText(amounts)} from ${moment(effectiveFrom)} UTC.`],
        };
      });
    });
  command
    .command('history')
    .description('list the prices of a model, newest first')
    .argument('<model>', 'its id or short name')
    .action((name: string, _options: unknown, self: Command) =>
      inSession(self, async (session) => {
        const { id: modelId, price: inForce } = await theModel(session, name);
        const all = await priceHistory(session.database, { modelId, limit: LISTED });
        return {
          value: all.map((each) => ({
            ...each,
            effectiveFrom: iso(each.effectiveFrom),
            setAt: iso(each.setAt),
            inForce: each.id === inForce.id,
          })),
          lines: table(
            ['from (UTC)', 'price', 'source', 'id', ''],
            all.map((each) => [
              moment(each.effectiveFrom),
              priceText(each),
              each.source,
              each.id,
              each.id === inForce.id ? 'in force' : '',
            ]),
          ),
        };
      }),
    );
}

/** The model on sale that `name` (an id, a slug or an alias) means. */
export async function theModel(session: Session, name: string): Promise<Model> {
  const view = await CatalogueView.open(session);
  try {
    const model = view.resolve(name);
    if (!model) throw new Refusal(`There is no model ${JSON.stringify(name)} (npx cygnet models list).`);
    return model;
  } finally {
    await view.close();
  }
}

/** The amounts that options state. Throws `WrongUsage` when they state none, or odd ones. */
export function amountsOf({ input, output, request, minute }: AmountOptions): Amounts {
  if (request !== undefined && input === undefined && output === undefined) {
    return {
      unit: 'request',
      requestPico: dollars('--request', request),
      ...(minute !== undefined && { minutePico: dollars('--minute', minute) }),
    };
  }
  if (request === undefined && minute === undefined && input !== undefined && output !== undefined) {
    return { unit: 'token', inputPico: perToken('--input', input), outputPico: perToken('--output', output) };
  }
  throw new WrongUsage(
    'Give --input and --output (dollars per million tokens), or --request (and --minute).',
  );
}

function perToken(option: string, text: string): Pico {
  const perMillion = dollars(option, text);
  if (perMillion % TOKENS_PER_UNIT !== 0n) {
    throw new WrongUsage(`${option} has more than six decimals: ${JSON.stringify(text)}.`);
  }
  return perMillion / TOKENS_PER_UNIT;
}

function dollars(option: string, text: string): Pico {
  try {
    return parseUsd(text);
  } catch {
    throw new WrongUsage(`${option} is not an amount of dollars: ${JSON.stringify(text.slice(0, 40))}.`);
  }
}
