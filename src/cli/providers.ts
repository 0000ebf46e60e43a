import type { Command } from 'commander';
import { lifeTerms } from '#config/config.ts';
import { approvedState, firstState } from '#domain/lifecycle.ts';
import { DATA_POLICIES } from '#domain/preferences.ts';
import { type Amounts, priceText } from '#domain/price.ts';
import { refusalOfAsk } from '#hub/external/registration.ts';
import { setProviderAsk } from '#identity/asks.ts';
import {
  createProvider,
  endWithholding,
  listProviders,
  setProviderState,
  setProviderTerms,
} from '#identity/providers.ts';
import { economics } from './economics.ts';
import { properName, theProvider } from './parties.ts';
import { type AmountOptions, amountsOf, theModel } from './price.ts';
import { Refusal } from './refusal.ts';
import { iso, moment, type Report, table } from './report.ts';
import { inSession, type Session } from './session.ts';
import { why } from './why.ts';

const LISTED = 1_000;

/** `cygnet providers` */
export function providers(command: Command): void {
  command
    .command('create')
    .description('add a provider')
    .argument('<name>', 'how you call it')
    .action((given: string, _options: unknown, self: Command) =>
      inSession(self, async ({ config, database, clock, makeId }) => {
        const provider = {
          id: makeId('prov'),
          name: properName(given),
          state: firstState(lifeTerms(config)),
        };
        await createProvider(database, { ...provider, at: clock.wallMs() });
        return {
          value: provider,
          lines: [
            `${provider.id}  ${provider.state}`,
            `Give it a key with: npx cygnet keys create --provider ${provider.id}`,
          ],
        };
      }),
    );
  command
    .command('list')
    .description('list providers, oldest first')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database, clock }) => {
        const all = await listProviders(database, LISTED);
        return {
          value: all.map((each) => ({
            ...each,
            since: iso(each.since),
            createdAt: iso(each.createdAt),
            ...(each.withheldUntil !== undefined && { withheldUntil: iso(each.withheldUntil) }),
          })),
          lines: table(
            ['id', 'name', 'state', 'since (UTC)', '>nodes', 'no requests until (UTC)', 'reason'],
            all.map((each) => [
              each.id,
              each.name,
              each.state,
              moment(each.since),
              `${each.nodes}`,
              each.withheldUntil === undefined || each.withheldUntil <= clock.wallMs()
                ? ''
                : moment(each.withheldUntil),
              each.reason,
            ]),
          ),
        };
      }),
    );
  command
    .command('approve')
    .description(
      'let a provider in, or end a suspension and what a failure withholds; what the market demands besides must still be there',
    )
    .argument('<provider>', 'its id or name')
    .option('--reason <text>', 'why', '')
    .action((name: string, { reason }: { reason: string }, self: Command) =>
      inSession(self, (session) => move(session, { name, to: 'approved', reason })),
    );
  command
    .command('suspend')
    .description('keep a provider from serving; requests under way end normally')
    .argument('<provider>', 'its id or name')
    .option('--reason <text>', 'why', '')
    .action((name: string, { reason }: { reason: string }, self: Command) =>
      inSession(self, (session) => move(session, { name, to: 'suspended', reason })),
    );
  command
    .command('terms')
    .description('note where a provider is and what it does with prompts, for routing')
    .argument('<provider>', 'its id or name')
    .option('--region <name>', 'such as eu-west; an empty text forgets it')
    .option('--data-policy <policy>', `what it promised in writing: ${DATA_POLICIES.join(', ')}`)
    .action((name: string, wish: { region?: string; dataPolicy?: string }, self: Command) =>
      inSession(self, (session) => noteTerms(session, name, wish)),
    );
  command
    .command('ask')
    .description("set what a provider's agents want for a model from now on, at most the listed price")
    .argument('<provider>', 'its id or name')
    .argument('<model>', 'its id or short name')
    .option('--input <usd>', 'dollars per million tokens of prompt')
    .option('--output <usd>', 'dollars per million tokens of answer')
    .option('--request <usd>', 'dollars per request (image and audio models)')
    .option('--minute <usd>', 'with --request: dollars per minute of sound, where that is more')
    .option('--listed', 'go back to the listed price')
    .action((name: string, model: string, options: AmountOptions & { listed?: boolean }, self: Command) => {
      const amounts = options.listed ? undefined : amountsOf(options);
      return inSession(self, (session) => setTheAsk(session, { name, model, amounts }));
    });
  economics(
    command
      .command('economics')
      .description("ask a running market what a provider's models bring, and what others would"),
  );
  why(
    command
      .command('why')
      .description('ask a running market why a provider gets traffic, or none')
      .argument('[model]', 'one model; by default those that it offers'),
  );
}

async function setTheAsk(
  session: Session,
  wish: { name: string; model: string; amounts: Amounts | undefined },
): Promise<Report> {
  const { database, clock, makeId } = session;
  const { amounts } = wish;
  const { id: providerId } = await theProvider(database, wish.name);
  const model = await theModel(session, wish.model);
  const tooDear = amounts && refusalOfAsk(amounts, model);
  if (tooDear !== undefined) throw new Refusal(tooDear);
  const id = makeId('ask');
  const ask = { id, providerId, modelId: model.id, amounts };
  await setProviderAsk(database, { ...ask, actor: 'cli', at: clock.wallMs() });
  return {
    value: { id, providerId, modelId: model.id, ask: amounts ?? null },
    lines: [`${providerId} asks ${priceText(amounts ?? model.price)} for ${model.id} from now on.`],
  };
}

async function noteTerms(
  { database }: Session,
  name: string,
  wish: { region?: string; dataPolicy?: string },
): Promise<Report> {
  if (wish.region !== undefined && !/^[a-z0-9-]{0,32}$/.test(wish.region)) {
    throw new Refusal('A region is at most 32 lower-case letters, digits and dashes.');
  }
  const dataPolicy = DATA_POLICIES.find((policy) => policy === wish.dataPolicy);
  if (wish.dataPolicy !== undefined && dataPolicy === undefined) {
    throw new Refusal(`A data policy is one of: ${DATA_POLICIES.join(', ')}.`);
  }
  const { id } = await theProvider(database, name);
  const noted = await setProviderTerms(database, {
    id,
    ...(wish.region !== undefined && { region: wish.region === '' ? null : wish.region }),
    ...(dataPolicy !== undefined && { dataPolicy }),
  });
  const { region = null, dataPolicy: policy = 'unstated' } = noted ?? {};
  return {
    value: { id, region, dataPolicy: policy },
    lines: [`${id}  region ${region ?? 'not noted'}  data policy ${policy}`],
  };
}

async function move(
  { config, database, clock }: Session,
  wish: { name: string; to: 'approved' | 'suspended'; reason: string },
): Promise<Report> {
  if (wish.reason.length > 1_000) throw new Refusal('A reason has at most 1,000 characters.');
  const { id, state } = await theProvider(database, wish.name);
  const to = wish.to === 'approved' ? approvedState(state, lifeTerms(config)) : wish.to;
  const answer = await setProviderState(database, {
    id,
    to,
    reason: wish.reason,
    at: clock.wallMs(),
  });
  if (typeof answer === 'object') {
    throw new Refusal(`The provider ${id} is ${answer.refused} and cannot become ${to}.`);
  }
  const lifted = wish.to === 'approved' && (await endWithholding(database, { id, at: clock.wallMs() }));
  return {
    value: { id, state: to, changed: answer === 'moved', ...(lifted && { withheld: 'ended' }) },
    lines: [
      answer === 'moved' ? `${id} is now ${to}.` : `${id} was ${to} already.`,
      ...(lifted ? ['Requests are routed to it again.'] : []),
    ],
  };
}
