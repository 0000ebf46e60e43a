import type { Command } from 'commander';
import { CatalogueView, setCanary, setRequirements, setStandIn } from '#catalogue/models.ts';
import type { Canary } from '#domain/model.ts';
import { priceText } from '#domain/price.ts';
import { FIRST_ISSUE } from '#wire/first-issue.ts';
import { requirementsSchema } from '#wire/requirements.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { table } from './report.ts';
import { inSession } from './session.ts';

/** `cygnet models` */
export function models(command: Command): void {
  standIn(command);
  pin(command);
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
  command
    .command('canary')
    .description('put a version of a model on trial: the share of requests that it leads')
    .argument('<model>', 'its id or short name')
    .option('--version-hash <hash>', 'the hash of its weights, as its agents state it')
    .option('--share <number>', 'from 0 to 1')
    .option('--end', 'end the trial')
    .action((name: string, options: CanaryOptions, self: Command) => {
      const canary = canaryOf(options);
      return inSession(self, async (session) => {
        const modelId = await setCanary(session.database, { name, canary });
        if (modelId === undefined) throw new Refusal(`There is no model ${JSON.stringify(name)}.`);
        return {
          value: { modelId, canary },
          lines: [
            canary
              ? `${modelId}: ${canary.version} leads ${canary.share * 100} % of requests.`
              : `${modelId}: no version is on trial.`,
          ],
        };
      });
    });
}

/** `cygnet models stand-in` */
function standIn(command: Command): void {
  command
    .command('stand-in')
    .description('name the smaller model that may answer while a model is in trouble')
    .argument('<model>', 'its id or short name')
    .option('--by <model>', 'the smaller one; no dearer, or it is not used')
    .option('--none', 'no model may')
    .action((name: string, { by, none = false }: { by?: string; none?: boolean }, self: Command) => {
      if ((by === undefined) !== none)
        throw new WrongUsage('Name the smaller model with --by, or say --none.');
      return inSession(self, async (session) => {
        const set = await setStandIn(session.database, { name, by: by ?? null });
        if (!set) throw new Refusal('Both must be models, and not the same.');
        return {
          value: set,
          lines: [
            set.by === null ? `${set.modelId}: no model stands in.` : `${set.modelId}: ${set.by} stands in.`,
          ],
        };
      });
    });
}

/** `cygnet models pin` */
function pin(command: Command): void {
  command
    .command('pin')
    .description('say what a model must be served by: agents offer it only so')
    .argument('<model>', 'its id or short name')
    .argument('[pins...]', `name=value: ${Object.keys(requirementsSchema.shape).join(', ')}`)
    .option('--none', 'pin it to nothing')
    .action((name: string, words: string[], { none = false }: { none?: boolean }, self: Command) => {
      if ((words.length === 0) !== none) throw new WrongUsage('Name pins as name=value, or say --none.');
      const requirements = none ? null : pinsOf(words);
      return inSession(self, async (session) => {
        const modelId = await setRequirements(session.database, { name, requirements });
        if (modelId === undefined) throw new Refusal(`There is no model ${JSON.stringify(name)}.`);
        return {
          value: { modelId, requirements },
          lines: [
            requirements === null
              ? `${modelId} is pinned to nothing.`
              : `${modelId} is pinned: ${Object.entries(requirements)
                  .map(([each, value]) => `${each} ${value}`)
                  .join(', ')}. Agents hear of it within ten minutes.`,
          ],
        };
      });
    });
}

function pinsOf(words: readonly string[]): Record<string, string | number> {
  const pins: Record<string, string | number> = {};
  for (const word of words) {
    const [name = '', ...rest] = word.split('=');
    const value = rest.join('=');
    const isNumber = name === 'min_vram_gb' || name === 'min_context_length';
    pins[name] = isNumber ? Number(value) : value;
  }
  const read = requirementsSchema.safeParse(pins, FIRST_ISSUE);
  if (read.success) return pins;
  const [issue] = read.error.issues;
  throw new WrongUsage(`${issue?.path.join('.') || 'The pins'}: ${issue?.message ?? 'not valid'}.`);
}

interface CanaryOptions {
  versionHash?: string;
  share?: string;
  end?: boolean;
}

function canaryOf({ versionHash, share, end }: CanaryOptions): Canary | null {
  if (end) return null;
  const part = Number(share);
  if (versionHash === undefined || versionHash === '' || versionHash.length > 200)
    throw new WrongUsage('Name the version with --version-hash, or end the trial with --end.');
  if (share === undefined || share.trim() === '' || !(part >= 0 && part <= 1))
    throw new WrongUsage('--share is a number from 0 to 1.');
  return { version: versionHash, share: part };
}
