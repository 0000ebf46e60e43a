import type { Command } from 'commander';
import { listUsers } from '#identity/accounts.ts';
import { appoint } from './operator.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const LISTED = 1_000;

/** `cygnet users` */
export function users(command: Command): void {
  command
    .command('list')
    .description('list who signs in, oldest first')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const all = await listUsers(database, LISTED);
        return {
          value: all.map((each) => ({ ...each, createdAt: iso(each.createdAt) })),
          lines: table(
            ['id', 'e-mail', 'name', 'consumer', 'provider', 'since (UTC)', ''],
            all.map((each) => [
              each.id,
              each.email,
              each.displayName,
              each.consumerId,
              each.providerId ?? '',
              moment(each.createdAt),
              each.isOperator ? 'operator' : '',
            ]),
          ),
        };
      }),
    );
  command
    .command('operator')
    .description('let somebody do what operators do')
    .argument('<e-mail>', 'whose')
    .option('--revoke', 'or no longer')
    .action((email: string, options: { revoke?: boolean }, self: Command) =>
      inSession(self, async (session) => {
        const isOperator = options.revoke !== true;
        await appoint(session, email, { isOperator, what: 'cygnet users operator' });
        return {
          value: { email, isOperator },
          lines: [`${email} is ${isOperator ? 'an operator now' : 'no operator any more'}.`],
        };
      }),
    );
}
