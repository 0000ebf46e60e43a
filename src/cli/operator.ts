import type { Command } from 'commander';
import { lifeTerms } from '#config/config.ts';
import { Accounts, dropSecondFactor, listUsers, setOperator } from '#identity/accounts.ts';
import { OperatorLog } from '#identity/operator-log.ts';
import { Passwords } from '#identity/passwords.ts';
import { SecondFactors } from '#identity/second-factors.ts';
import { secretBox } from '#identity/secret-file.ts';
import type { SignOut } from '#identity/sign-outs.ts';
import { Sealed } from '#kit/sealed.ts';
import { Refusal } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession, type Session } from './session.ts';

const LISTED = 1_000;

/** `cygnet operator`: the first operator of a market can only be made here, by whoever has its machine. */
export function operator(command: Command): void {
  command
    .command('add')
    .description(
      'let somebody do what operators do; makes the account where there is none, and shows its password',
    )
    .argument('<e-mail>', 'whose')
    .action((email: string, _options: unknown, self: Command) =>
      inSession(self, async (session) => {
        const password = await enrolled(session, email);
        await appoint(session, email, { isOperator: true, what: 'cygnet operator add' });
        return {
          value: { email, isOperator: true, ...(password && { password: password.open() }) },
          lines: [
            `${email} is an operator now.`,
            ...(password
              ? [
                  `Its password is ${password.open()} and is shown this once: change it, and turn on a second factor.`,
                ]
              : []),
          ],
        };
      }),
    );
  command
    .command('remove')
    .description('let somebody no longer do what operators do; the account stays')
    .argument('<e-mail>', 'whose')
    .action((email: string, _options: unknown, self: Command) =>
      inSession(self, async (session) => {
        await appoint(session, email, { isOperator: false, what: 'cygnet operator remove' });
        return { value: { email, isOperator: false }, lines: [`${email} is no operator any more.`] };
      }),
    );
  command
    .command('list')
    .description('list the operators')
    .action((_options: unknown, self: Command) =>
      inSession(self, async ({ database }) => {
        const all = (await listUsers(database, LISTED)).filter(({ isOperator }) => isOperator);
        return {
          value: all.map(({ id, email, createdAt }) => ({ id, email, createdAt: iso(createdAt) })),
          lines: table(
            ['id', 'e-mail', 'since (UTC)'],
            all.map(({ id, email, createdAt }) => [id, email, moment(createdAt)]),
          ),
        };
      }),
    );
  command
    .command('second-factor')
    .description('help somebody who lost the device of a second factor')
    .command('off')
    .description(
      'let somebody sign in with the password alone, and end every session of theirs with the keys made in it; be sure who asks for it',
    )
    .argument('<e-mail>', 'whose')
    .action((email: string, _options: unknown, self: Command) =>
      inSession(self, async (session) => {
        const { revoked } = await dropFactor(session, email);
        return {
          value: { email, secondFactor: false, revokedKeys: revoked },
          lines: [
            `${email} signs in with the password alone now, and is signed in nowhere.`,
            ...(revoked.length > 0
              ? [`Keys made in the sessions that ended are revoked: ${revoked.join(', ')}.`]
              : []),
          ],
        };
      }),
    );
  command
    .command('log')
    .description('show what operators did, newest first')
    .option('--about <id>', 'only what was done to this')
    .action(({ about }: { about?: string }, self: Command) =>
      inSession(self, async ({ database, clock, makeId }) => {
        const log = new OperatorLog({ database, clock, makeId });
        const all = await log.list({ about, limit: LISTED });
        return {
          value: all.map((each) => ({ ...each, at: iso(each.at), outcome: each.outcome ?? null })),
          lines: table(
            ['at (UTC)', 'who', 'what', 'about', 'from', 'how it ended'],
            all.map((each) => [
              moment(each.at),
              each.email ?? each.actor,
              each.what,
              each.about,
              each.address,
              each.outcome === undefined ? 'unknown' : `${each.outcome}${each.code ? ` (${each.code})` : ''}`,
            ]),
          ),
        };
      }),
    );
}

/** Makes the account where there is none, and answers its password. */
async function enrolled(session: Session, email: string): Promise<Sealed<string> | undefined> {
  const { config, database, clock, makeId, randomness } = session;
  const password = new Sealed(randomness.bytes(15).toString('base64url'));
  const accounts = new Accounts({
    database,
    clock,
    makeId,
    randomness,
    passwords: new Passwords(randomness),
    factors: new SecondFactors({ database, box: secretBox(config, randomness), clock, random: randomness }),
    life: lifeTerms(config),
    sessionMs: 1_000,
  });
  if (!/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email))
    throw new Refusal(`${JSON.stringify(email)} is not an e-mail address.`);
  const displayName = (email.split('@')[0] as string).slice(0, 64);
  const made = await accounts.signUp({ email, password, displayName });
  return made === 'taken' ? undefined : password;
}

async function dropFactor(session: Session, email: string): Promise<SignOut> {
  const { database, clock, makeId } = session;
  const log = new OperatorLog({ database, clock, makeId });
  const what = 'cygnet operator second-factor off';
  const id = await log.begin({ actor: 'cli', what, about: email, address: '', asked: {} });
  const how = await dropSecondFactor(database, { email, actor: 'cli', at: clock.wallMs() });
  await log.end(id, { outcome: typeof how === 'object' ? 'done' : 'refused' });
  if (how === 'unknown') throw new Refusal(`Nobody has the address ${JSON.stringify(email)}.`);
  if (how === 'none') throw new Refusal(`${email} has no second factor.`);
  return how;
}

/** Makes an operator of somebody, or no longer, and writes it down. `what`: the command. */
export async function appoint(
  session: Session,
  email: string,
  { isOperator, what }: { isOperator: boolean; what: string },
): Promise<void> {
  const { database, clock, makeId } = session;
  const log = new OperatorLog({ database, clock, makeId });
  const id = await log.begin({ actor: 'cli', what, about: email, address: '', asked: { isOperator } });
  const known = await setOperator(database, { email, isOperator, actor: 'cli', at: clock.wallMs() });
  await log.end(id, { outcome: known ? 'done' : 'refused', after: { isOperator } });
  if (!known) throw new Refusal(`Nobody has the address ${JSON.stringify(email)}.`);
}
