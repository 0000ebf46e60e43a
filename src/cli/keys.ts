import type { Command } from 'commander';
import {
  keepKey,
  keysNamed,
  kindOfKey,
  type ListedKey,
  listKeys,
  makeKey,
  revokeKey,
} from '#identity/keys.ts';
import { properName, theConsumer, theProvider } from './parties.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession } from './session.ts';

const LISTED = 1_000;

/** `cygnet keys` */
export function keys(command: Command): void {
  command
    .command('create')
    .description('make a key and show it, this once')
    .option('--consumer <id or name>', 'for a consumer (sk-swan-…)')
    .option('--provider <id or name>', 'for a provider (sk-prov-…)')
    .option('--name <name>', 'how you call the key', 'key')
    .action((options: { consumer?: string; provider?: string; name: string }, self: Command) => {
      if ((options.consumer === undefined) === (options.provider === undefined)) {
        throw new WrongUsage('Say whose key it is: --consumer <id or name> or --provider <id or name>.');
      }
      return inSession(self, async ({ database, clock, makeId, randomness }) => {
        const kind = options.consumer === undefined ? 'provider' : 'consumer';
        const owner =
          kind === 'consumer'
            ? await theConsumer(database, options.consumer)
            : await theProvider(database, options.provider as string);
        const name = properName(options.name);
        const { secret, prefix, hash } = makeKey(kind, randomness);
        const id = makeId('key');
        const kept = await keepKey(database, {
          id,
          kind,
          ownerId: owner.id,
          name,
          prefix,
          hash,
          at: clock.wallMs(),
        });
        if (kept !== 'kept') throw new Refusal(`There is no ${kind} ${owner.id}.`);
        // The one place where a key is shown: it is what was asked for, and cannot be shown again.
        return {
          value: { id, kind, ownerId: owner.id, name, prefix, key: secret.open() },
          lines: [
            secret.open(),
            `This is shown once. ${id} of ${owner.name}; revoke it with: npx cygnet keys revoke ${id}`,
          ],
        };
      });
    });
  command
    .command('list')
    .description('list keys, oldest first; never the keys themselves')
    .option('--owner <id>', 'only those of this consumer or provider')
    .action(({ owner }: { owner?: string }, self: Command) =>
      inSession(self, async ({ database }) => {
        const all = await listKeys(database, { ownerId: owner, limit: LISTED });
        return {
          value: all.map((key) => ({ ...key, createdAt: iso(key.createdAt), revokedAt: iso(key.revokedAt) })),
          lines: table(
            ['id', 'key', 'owner', 'name', 'made (UTC)', 'last used', 'state'],
            all.map((key) => [
              key.id,
              shown(key),
              key.ownerId,
              key.name,
              moment(key.createdAt),
              key.lastUsedOn ?? 'never',
              key.revokedAt === null ? 'valid' : `revoked ${moment(key.revokedAt)}`,
            ]),
          ),
        };
      }),
    );
  command
    .command('revoke')
    .description('refuse a key from now on, for good')
    .argument('<key>', 'its id, or the eight characters after sk-swan- or sk-prov-')
    .action((name: string, _options: unknown, self: Command) => {
      if (kindOfKey(name) !== undefined) {
        throw new WrongUsage(
          'Name the key by its id (npx cygnet keys list): keys do not belong on a command line.',
        );
      }
      return inSession(self, async ({ database, clock }) => {
        const found = await keysNamed(database, name);
        const key = found.find((each) => each.id === name) ?? found[0];
        if (!key) throw new Refusal(`There is no key ${JSON.stringify(name)}.`);
        if (found.length > 1 && key.id !== name) {
          throw new Refusal(
            `Several keys begin like that: use an id (${found.map((each) => each.id).join(', ')}).`,
          );
        }
        await revokeKey(database, { id: key.id, at: clock.wallMs() });
        return {
          value: { id: key.id, revoked: true, changed: !key.revoked },
          lines: [key.revoked ? `${key.id} was revoked already.` : `${key.id} (${shown(key)}) is revoked.`],
        };
      });
    });
}

function shown(key: ListedKey): string {
  return `sk-${key.kind === 'consumer' ? 'swan' : 'prov'}-${key.prefix}…`;
}
