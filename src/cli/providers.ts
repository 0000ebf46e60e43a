import type { Command } from 'commander';
import type { ProviderState } from '#domain/party.ts';
import { DATA_POLICIES } from '#domain/preferences.ts';
import {
  createProvider,
  endWithholding,
  firstState,
  listProviders,
  setProviderState,
  setProviderTerms,
} from '#identity/providers.ts';
import { properName, theProvider } from './parties.ts';
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
          state: firstState(config.providers.approval),
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
    .description('let a provider serve; also ends a suspension, and what a failure withholds')
    .argument('<provider>', 'its id or name')
    .option('--reason <text>', 'why', '')
    .action((name: string, { reason }: { reason: string }, self: Command) =>
      inSession(self, (session) => move(session, { name, to: 'active', reason })),
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
  why(
    command
      .command('why')
      .description('ask a running market why a provider gets traffic, or none')
      .argument('[model]', 'one model; by default those that it offers'),
  );
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
  { database, clock }: Session,
  wish: { name: string; to: ProviderState; reason: string },
): Promise<Report> {
  if (wish.reason.length > 1_000) throw new Refusal('A reason has at most 1,000 characters.');
  const { id } = await theProvider(database, wish.name);
  const answer = await setProviderState(database, {
    id,
    to: wish.to,
    reason: wish.reason,
    at: clock.wallMs(),
  });
  if (typeof answer === 'object') {
    throw new Refusal(`The provider ${id} is ${answer.refused} and cannot become ${wish.to}.`);
  }
  const lifted = wish.to === 'active' && (await endWithholding(database, { id, at: clock.wallMs() }));
  return {
    value: { id, state: wish.to, changed: answer === 'moved', ...(lifted && { withheld: 'ended' }) },
    lines: [
      answer === 'moved' ? `${id} is now ${wish.to}.` : `${id} was ${wish.to} already.`,
      ...(lifted ? ['Requests are routed to it again.'] : []),
    ],
  };
}
