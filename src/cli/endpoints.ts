import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { CatalogueView } from '#catalogue/models.ts';
import type { ExternalEndpoint } from '#domain/external-endpoint.ts';
import { OPERATIONS } from '#domain/operation.ts';
import { type Amounts, priceText } from '#domain/price.ts';
import { type CheckResult, checkEndpoint } from '#hub/external/check.ts';
import { readEndpointUrl } from '#hub/external/endpoint-url.ts';
import { networkRules } from '#hub/external/fleet.ts';
import { openLine } from '#hub/external/line.ts';
import { readWish, refusalOfAsk, type WishedModel } from '#hub/external/registration.ts';
import {
  addEndpoint,
  keptEndpoints,
  keyContext,
  type ListedEndpoint,
  listEndpoints,
  removeEndpoint,
  setAsk,
} from '#identity/endpoints.ts';
import { secretBox } from '#identity/secret-file.ts';
import { Sealed } from '#kit/sealed.ts';
import { properName, theProvider } from './parties.ts';
import { type AmountOptions, amountsOf, theModel } from './price.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, type Report, table } from './report.ts';
import { inSession, type Session } from './session.ts';

const LISTED = 1_000;

interface AddOptions {
  provider: string;
  name?: string;
  model: string[];
  ask?: string[];
  keyFile?: string;
  capacity: string;
}

/** `cygnet endpoints` */
export function endpoints(command: Command): void {
  command
    .command('add')
    .description('register an OpenAI-compatible server of a provider')
    .argument('<url>', "its base URL, as an SDK takes it: 'https://api.example.com/v1'")
    .requiredOption('--provider <name>', 'whose it is: an id or a name')
    .addOption(
      new Option(
        '--model <model[=name][:operations]>',
        "a model that it serves, what it calls it, and what it can be asked, such as 'glm-4.7-flash=glm-flash:chat/completions,completions'; may be given again",
      )
        .argParser((value: string, before: string[] | undefined) => [...(before ?? []), value])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--ask <model=amounts>',
        "what it wants for a model, at most the listed price: dollars per million tokens as 'glm-4.7-flash=0.04/0.30', or per request as 'qwen-image=0.02'; may be given again",
      ).argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]),
    )
    .option('--name <text>', 'how you call it; without it, its host')
    .option('--key-file <file>', 'a file with its API key; - reads it from standard input')
    .option('--capacity <number>', 'the most requests at once', '10')
    .action((url: string, options: AddOptions, self: Command) => {
      const key = keyFrom(options.keyFile);
      const capacity = /^\d{1,4}$/.test(options.capacity) ? Number(options.capacity) : 0;
      if (capacity < 1 || capacity > 4_096)
        throw new WrongUsage('--capacity is a whole number from 1 to 4096.');
      const models = withAsks(options.model.map(modelIn), (options.ask ?? []).map(askIn));
      return inSession(self, (session) => add(session, { url, key, capacity, models, options }));
    });
  command
    .command('ask')
    .description('set what an endpoint wants for a model from now on, at most the listed price')
    .argument('<endpoint>', 'its id')
    .argument('<model>', 'its id or short name')
    .option('--input <usd>', 'dollars per million tokens of prompt')
    .option('--output <usd>', 'dollars per million tokens of answer')
    .option('--request <usd>', 'dollars per request (image and audio models)')
    .option('--minute <usd>', 'with --request: dollars per minute of sound, where that is more')
    .option('--listed', 'go back to the listed price')
    .action((id: string, name: string, options: AmountOptions & { listed?: boolean }, self: Command) => {
      const amounts = options.listed ? undefined : amountsOf(options);
      return inSession(self, (session) => setTheAsk(session, { id, name, amounts }));
    });
  command
    .command('list')
    .description('list endpoints, oldest first')
    .option('--provider <name>', 'only those of this provider')
    .action(({ provider }: { provider?: string }, self: Command) =>
      inSession(self, async ({ database }) => {
        const providerId = provider === undefined ? undefined : (await theProvider(database, provider)).id;
        return listed(await listEndpoints(database, { providerId, limit: LISTED }));
      }),
    );
  command
    .command('check')
    .description('ask an endpoint for its models, with its key, from here and now')
    .argument('<endpoint>', 'its id')
    .action((id: string, _options: unknown, self: Command) =>
      inSession(self, async (session) => {
        const endpoint = await theEndpoint(session, id);
        return checked(endpoint, await look(session, endpoint));
      }),
    );
  command
    .command('remove')
    .description('remove an endpoint and forget its key; answers under way end normally')
    .argument('<endpoint>', 'its id')
    .action((id: string, _options: unknown, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        const which = { id, providerId: undefined, actor: 'cli', at: clock.wallMs() };
        if (!(await removeEndpoint(database, which))) throw new Refusal(unknownEndpoint(id));
        return { value: { id, removed: true }, lines: [`${id} is removed, and its key forgotten.`] };
      }),
    );
}

async function add(
  session: Session,
  wish: {
    url: string;
    key: Sealed<string> | undefined;
    capacity: number;
    models: readonly WishedModel[];
    options: AddOptions;
  },
): Promise<Report> {
  const { config, database, clock, makeId, randomness } = session;
  const provider = await theProvider(database, wish.options.provider);
  const rules = networkRules(config.external.allowNetworks);
  const models = await CatalogueView.open(session);
  try {
    const read = await readWish(
      {
        name: properName(wish.options.name ?? hostOf(wish.url)),
        url: wish.url,
        capacity: wish.capacity,
        models: wish.models,
      },
      { models, rules, ids: makeId },
    );
    if ('refusal' in read) throw new Refusal(read.refusal);
    const endpoint: ExternalEndpoint = { id: makeId('ext'), providerId: provider.id, ...read };
    const answer = await addEndpoint(database, {
      endpoint,
      key: wish.key,
      box: secretBox(config, randomness),
      actor: 'cli',
      at: clock.wallMs(),
    });
    if (answer === 'too-many') throw new Refusal('A provider has at most 20 endpoints: remove one first.');
    return checked(endpoint, await look(session, endpoint));
  } finally {
    await models.close();
  }
}

async function setTheAsk(
  session: Session,
  wish: { id: string; name: string; amounts: Amounts | undefined },
): Promise<Report> {
  const { database, clock, makeId } = session;
  const { id: endpointId, amounts } = wish;
  const model = await theModel(session, wish.name);
  const tooDear = amounts && refusalOfAsk(amounts, model);
  if (tooDear !== undefined) throw new Refusal(tooDear);
  const id = makeId('ask');
  const about = { id, endpointId, providerId: undefined, modelId: model.id, amounts };
  const answer = await setAsk(database, { ...about, actor: 'cli', at: clock.wallMs() });
  if (answer === 'unknown') {
    throw new Refusal(
      `There is no endpoint ${JSON.stringify(endpointId.slice(0, 80))} that serves ${model.id}.`,
    );
  }
  return {
    value: { id, endpointId, modelId: model.id, ask: amounts ?? null },
    lines: [`${endpointId} asks ${priceText(amounts ?? model.price)} for ${model.id} from now on.`],
  };
}

/** Looks at an endpoint as the market does, with a connection of its own. */
async function look(session: Session, { id }: Pick<ExternalEndpoint, 'id'>): Promise<CheckResult> {
  const { config, database, clock, randomness } = session;
  const [found] = await keptEndpoints(database, [id]);
  if (!found) throw new Refusal(unknownEndpoint(id));
  const box = secretBox(config, randomness);
  const key = found.kept && box.open(found.kept, keyContext(found));
  if (found.kept && !key) {
    return {
      healthy: false,
      because: 'Its key cannot be read with the present CYGNET_SECRET: register it again.',
    };
  }
  const rules = networkRules(config.external.allowNetworks);
  const place = readEndpointUrl(found.url, rules.allowed);
  if ('refusal' in place) return { healthy: false, because: place.refusal };
  const line = openLine(place, { key, capacity: 1, rules, marketName: box.marketName });
  try {
    return await checkEndpoint(line, clock);
  } finally {
    await line.pool.destroy();
  }
}

async function theEndpoint({ database }: Session, id: string): Promise<ListedEndpoint> {
  const all = await listEndpoints(database, { providerId: undefined, limit: LISTED });
  const found = all.find((each) => each.id === id);
  if (!found) throw new Refusal(unknownEndpoint(id));
  return found;
}

function unknownEndpoint(id: string): string {
  return `There is no endpoint ${JSON.stringify(id.slice(0, 80))} (npx cygnet endpoints list).`;
}

function checked(endpoint: ExternalEndpoint, result: CheckResult): Report {
  const missing = result.healthy
    ? endpoint.models.filter(({ upstreamName }) => !result.models.has(upstreamName))
    : [];
  const because = result.healthy ? null : result.because;
  return {
    value: {
      id: endpoint.id,
      url: endpoint.url,
      healthy: result.healthy,
      because,
      missing: missing.map(({ modelId }) => modelId),
    },
    lines: [
      `${endpoint.id}  ${endpoint.url}  ${because ?? 'answers'}`,
      ...missing.map(
        ({ modelId, upstreamName }) =>
          `It does not list ${JSON.stringify(upstreamName)}: ${modelId} is not offered.`,
      ),
    ],
  };
}

function listed(all: readonly ListedEndpoint[]): Report {
  return {
    value: all.map(({ createdAt, ...each }) => ({ ...each, createdAt: iso(createdAt) })),
    lines: table(
      ['id', 'provider', 'name', 'url', 'key', '>at once', 'models', 'since (UTC)'],
      all.map((each) => [
        each.id,
        each.providerId,
        each.name,
        each.url,
        each.hasKey ? 'kept' : 'none',
        `${each.capacity}`,
        each.models
          .map(({ modelId, ask: wanted }) => (wanted ? `${modelId} at ${priceText(wanted)}` : modelId))
          .join(', '),
        moment(each.createdAt),
      ]),
    ),
  };
}

/** `model[=name][:operation,operation]`. A name may hold colons (`qwen3:8b`): only known operations count as such. */
function modelIn(text: string): WishedModel {
  const [, model = '', upstreamName, operations] = MODEL.exec(text) ?? [];
  if (model === '') throw new WrongUsage(`--model is not one: ${JSON.stringify(text.slice(0, 80))}.`);
  return { model, upstreamName, operations: operations?.split(',') };
}

/** `model=input/output`, or `model=request`. */
function askIn(text: string): { model: string; ask: Amounts } {
  const at = text.lastIndexOf('=');
  const [first, second, ...more] = text.slice(at + 1).split('/');
  if (at < 1 || first === undefined || more.length > 0) {
    throw new WrongUsage(`--ask is not one: ${JSON.stringify(text.slice(0, 80))}.`);
  }
  const ask = amountsOf(second === undefined ? { request: first } : { input: first, output: second });
  return { model: text.slice(0, at), ask };
}

/** Each ask at the model that it names as `--model` does. */
function withAsks(
  models: readonly WishedModel[],
  asks: readonly { model: string; ask: Amounts }[],
): WishedModel[] {
  const left = new Map(asks.map(({ model, ask: wanted }) => [model, wanted]));
  if (left.size < asks.length) throw new WrongUsage('--ask names a model twice.');
  const all = models.map((wished) => {
    const wanted = left.get(wished.model);
    left.delete(wished.model);
    return { ...wished, ask: wanted };
  });
  const [stray] = left.keys();
  if (stray !== undefined)
    throw new WrongUsage(`--ask names ${JSON.stringify(stray.slice(0, 80))}, which no --model names.`);
  return all;
}

const OPERATION = `(?:${OPERATIONS.join('|')})`;
const MODEL = new RegExp(`^([^=]+?)(?:=(.+?))?(?::(${OPERATION}(?:,${OPERATION})*))?$`);

/** A key is read from a file: on the command line, every user of this machine could see it. */
function keyFrom(file: string | undefined): Sealed<string> | undefined {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (error) {
    throw new Refusal(`The key file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
  if (!/^[\x21\x23-\x5b\x5d-\x7e]{1,500}$/.test(text)) {
    throw new Refusal('A key has 1 to 500 printable characters, without spaces or quotes.');
  }
  return new Sealed(text);
}

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return 'endpoint';
  }
}
