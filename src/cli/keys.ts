import type { Command } from 'commander';
import { KeyDesk } from '#identity/key-desk.ts';
import {
  keepKey,
  keysNamed,
  kindOfKey,
  type ListedKey,
  listKeys,
  makeKey,
  revokeKey,
} from '#identity/keys.ts';
import { systemClock } from '#kit/clock.ts';
import { duration, modelIds, readScope, type ScopeOptions, scopeText } from './key-scope.ts';
import { properName, theConsumer, theProvider } from './parties.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table } from './report.ts';
import { inSession, type Session } from './session.ts';

const LISTED = 1_000;

/** `cygnet keys` */
export function keys(command: Command): void {
  command
    .command('create')
    .description('make a key and show it, this once')
    .option('--consumer <id or name>', 'for a consumer (sk-swan-…)')
    .option('--provider <id or name>', 'for a provider (sk-prov-…)')
    .option('--name <name>', 'how you call the key', 'key')
    .option('--models <ids>', 'the only models it may call, with commas between them')
    .option(
      '--categories <names>',
      'the only categories it may call: llm, image, audio, embedding, multimodal',
    )
    .option('--cap-day <usd>', 'the most that may be spent through it in a day (UTC)')
    .option('--cap-month <usd>', 'the most that may be spent through it in a calendar month (UTC)')
    .option('--expires <when>', 'when it ends: 30d, 12h, or a moment such as 2027-01-01T00:00:00Z')
    .option('--ip <addresses>', 'the only addresses or networks it may be used from')
    .option('--rate <requests>', 'the most requests a minute')
    .action((options: CreateOptions, self: Command) => {
      if ((options.consumer === undefined) === (options.provider === undefined)) {
        throw new WrongUsage('Say whose key it is: --consumer <id or name> or --provider <id or name>.');
      }
      const limits = readScope(options, systemClock.wallMs());
      if (
        options.provider !== undefined &&
        (limits.models !== null || LIMITS.some((name) => options[name]))
      ) {
        throw new WrongUsage('A provider key can have an expiry and addresses, and no other limit.');
      }
      return inSession(self, async (session) => {
        const { database, clock, makeId, randomness } = session;
        const scope = { ...limits.scope, models: await modelIds(session, limits.models) };
        const { expiresAt } = limits;
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
          scope,
          expiresAt,
        });
        if (kept !== 'kept') throw new Refusal(`There is no ${kind} ${owner.id}.`);
        // The one place where a key is shown: it is what was asked for, and cannot be shown again.
        return {
          value: {
            id,
            kind,
            ownerId: owner.id,
            name,
            prefix,
            key: secret.open(),
            ...scope,
            expiresAt: iso(expiresAt),
          },
          lines: [
            secret.open(),
            ...[scopeText(scope, expiresAt)].filter((text) => text !== ''),
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
          value: all.map((key) => ({
            ...key,
            createdAt: iso(key.createdAt),
            revokedAt: iso(key.revokedAt),
            expiresAt: iso(key.expiresAt),
          })),
          lines: table(
            ['id', 'key', 'owner', 'name', 'made (UTC)', 'last used', 'state', 'limits'],
            all.map((key) => [
              key.id,
              shown(key),
              key.ownerId,
              key.name,
              moment(key.createdAt),
              key.lastUsedOn ?? 'never',
              key.revokedAt === null ? 'valid' : `revoked ${moment(key.revokedAt)}`,
              scopeText(key.scope, key.expiresAt),
            ]),
          ),
        };
      }),
    );
  command
    .command('rotate')
    .description('make a successor with the same limits; both work for a while')
    .argument('<key>', 'its id, or the eight characters after sk-swan- or sk-prov-')
    .option(
      '--overlap <time>',
      'how long the old key goes on working, such as 24h; 0m ends it at once',
      '24h',
    )
    .action((name: string, options: { overlap: string }, self: Command) => {
      const overlapMs = duration('--overlap', options.overlap);
      refuseSecret(name);
      return inSession(self, async (session) => {
        const before = await theKey(session, name);
        const rotated = await new KeyDesk(session).rotate({
          id: before.id,
          ownerId: before.ownerId,
          overlapMs,
          actor: 'cli',
        });
        if (rotated === 'unknown') throw new Refusal(`${before.id} is revoked or has expired.`);
        if (rotated === 'superseded')
          throw new Refusal(`${before.id} has a successor already: rotate that one.`);
        return {
          value: {
            id: rotated.id,
            prefix: rotated.prefix,
            key: rotated.secret.open(),
            before: before.id,
            beforeWorksUntil: iso(rotated.overlapUntil),
          },
          lines: [
            rotated.secret.open(),
            `This is shown once. ${rotated.id} takes over from ${before.id}, which works until ${moment(rotated.overlapUntil)} UTC.`,
          ],
        };
      });
    });
  command
    .command('revoke')
    .description('refuse a key from now on, for good')
    .argument('<key>', 'its id, or the eight characters after sk-swan- or sk-prov-')
    .action((name: string, _options: unknown, self: Command) => {
      refuseSecret(name);
      return inSession(self, async (session) => {
        const { database, clock } = session;
        const key = await theKey(session, name);
        await revokeKey(database, { id: key.id, at: clock.wallMs() });
        return {
          value: { id: key.id, revoked: true, changed: !key.revoked },
          lines: [key.revoked ? `${key.id} was revoked already.` : `${key.id} (${shown(key)}) is revoked.`],
        };
      });
    });
}

interface CreateOptions extends ScopeOptions {
  consumer?: string;
  provider?: string;
  name: string;
}

/** What only a consumer's key can be limited by, beside models. */
const LIMITS = ['categories', 'capDay', 'capMonth', 'rate'] as const;

function refuseSecret(name: string): void {
  if (kindOfKey(name) !== undefined) {
    throw new WrongUsage(
      'Name the key by its id (npx cygnet keys list): keys do not belong on a command line.',
    );
  }
}

async function theKey({ database }: Session, name: string): Promise<ListedKey> {
  const found = await keysNamed(database, name);
  const key = found.find((each) => each.id === name) ?? found[0];
  if (!key) throw new Refusal(`There is no key ${JSON.stringify(name)}.`);
  if (found.length > 1 && key.id !== name) {
    throw new Refusal(
      `Several keys begin like that: use an id (${found.map((each) => each.id).join(', ')}).`,
    );
  }
  return key;
}

function shown(key: ListedKey): string {
  return `sk-${key.kind === 'consumer' ? 'swan' : 'prov'}-${key.prefix}…`;
}
