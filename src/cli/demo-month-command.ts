import path from 'node:path';
import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { lockFolder } from '#ledger/folder-lock.ts';
import { noteAudit } from '#settlement/audit-runs.ts';
import { chainOf } from './chain-session.ts';
import { askForLive, LIVE_SENTENCE } from './demo-live.ts';
import { fillMonth, hasTraded } from './demo-month.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { inSession } from './session.ts';

export interface MonthOptions {
  seed?: string;
  password?: string;
  anyway?: boolean;
  live?: boolean;
}

/** `cygnet demo --seed <number>`. Refuses where somebody trades already, and while the market runs. */
export async function demoMonth(options: MonthOptions, self: Command): Promise<void> {
  const { seed: text = '', password: wish, anyway = false, live = false } = options;
  if (!/^\d{1,9}$/.test(text)) throw new WrongUsage('--seed is a whole number such as 7.');
  if (wish !== undefined && (wish.length < 8 || wish.length > 200)) {
    throw new WrongUsage('--password has 8 to 200 characters.');
  }
  const password = new Sealed(wish ?? systemRandomness.bytes(9).toString('base64url'));
  await inSession(
    self,
    async ({ config, database, clock, randomness: random, log }) => {
      if (!anyway && (await hasTraded(database))) {
        throw new Refusal(
          'Somebody trades in this market: the demo month would be mixed with real money. Use a fresh data folder, or say --anyway.',
        );
      }
      const unlock = lockFolder(path.join(config.dataFolder, 'journal'));
      const say = (sentence: string): void => void process.stderr.write(`${sentence}\n`);
      const chain = await chainOf(config, { local: true, say });
      try {
        const began = clock.nowMs();
        const seed = Number(text);
        const month = await fillMonth({ config, database, chain, clock, random, log, seed, password, say });
        const { balanced, differences, checkedChain: chainAsked } = month.audit;
        const tookMs = clock.nowMs() - began;
        await noteAudit(database, {
          at: clock.wallMs(),
          occasion: 'command',
          balanced,
          chainAsked,
          tookMs,
          differences,
        });
        if (live) askForLive(config.dataFolder);
        if (!balanced) process.exitCode = 1;
        return {
          value: { ...month, password: password.open(), tookMs },
          lines: [
            `${month.requests} requests, ${formatUsd(month.charged)} charged, ${month.batches} batches of payouts, ${month.documents} documents.`,
            balanced
              ? `Audit: ${month.audit.checkedEntries} entries, balanced.`
              : `Audit: NOT balanced, ${differences.length} differences (npx cygnet audit).`,
            `Sign in with the password ${password.open()} as:`,
            ...month.users.map(({ email, role }) => `  ${role.padEnd(8)} ${email}`),
            ...(live ? [`Some demo providers join at each start. ${LIVE_SENTENCE}`] : []),
            'See it with: npx cygnet start',
          ],
        };
      } finally {
        await chain?.close();
        unlock();
      }
    },
    { deadlineMs: 120_000 },
  );
}
