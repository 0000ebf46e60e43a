import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { depositKeyFrom, xpubOf } from '#chain/derived-address.ts';
import { TransactionTable } from '#chain/transaction-table.ts';
import { parseAddress } from '#domain/hex.ts';
import { formatUsd } from '#domain/money.ts';
import { SPLIT_POLICIES, type SplitPolicy } from '#domain/policy.ts';
import { addressesOf, DepositAddresses } from '#funds/deposit-addresses.ts';
import { properReference, termsUnder } from '#funds/deposit-rules.ts';
import { type Deposit, Deposits } from '#funds/deposits.ts';
import { addressTree } from '#funds/open.ts';
import { rateHistory, setRate } from '#funds/rates.ts';
import { lyingAt, sweep } from '#funds/sweep.ts';
import { systemRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { theChain } from './chain-session.ts';
import { dollars } from './credit.ts';
import { theConsumer } from './parties.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { iso, moment, table, writeReport } from './report.ts';
import { inSession, type Session } from './session.ts';
import { tokens } from './settlements.ts';

const LISTED = 1_000;
const POLL_MS = 500;

/** `cygnet deposits` */
export function deposits(command: Command): void {
  command
    .command('list')
    .description('list what arrived, newest first')
    .argument('[consumer]', 'its id or name; all without it')
    .option('--waiting', 'only what waits for a word of yours: small, or without a rate')
    .action((name: string | undefined, { waiting }: { waiting?: boolean }, self: Command) =>
      inSession(self, async (session) => {
        const consumer = name === undefined ? undefined : await theConsumer(session.database, name);
        const all = await roomOf(session).list({
          ...(consumer && { consumerId: consumer.id }),
          limit: LISTED,
        });
        const shown = waiting ? all.filter(({ state }) => state !== 'booked') : all;
        return {
          value: shown.map((each) => ({ ...each, receivedAt: iso(each.receivedAt) })),
          lines: table(
            ['deposit', 'consumer', '>paid', '>value', '>bonus', 'state', 'received (UTC)'],
            shown.map((each) => [
              each.id,
              each.consumerId,
              paid(each),
              each.value === null ? '' : formatUsd(each.value),
              formatUsd(each.bonus),
              each.state,
              moment(each.receivedAt),
            ]),
          ),
        };
      }),
    );
  command
    .command('confirm')
    .description('book money that came by bank or PayPal')
    .argument('<consumer>', 'its id or name')
    .argument('<usd>', 'dollars, such as 50')
    .requiredOption('--reference <text>', "the payment's reference: repeating it books nothing twice")
    .option('--method <method>', 'bank or paypal', 'bank')
    .action((name: string, text: string, wish: { reference: string; method: string }, self: Command) => {
      const amount = dollars(text);
      const reference = referenceOf(wish.reference);
      const { method } = wish;
      if (method !== 'bank' && method !== 'paypal') throw new WrongUsage('--method is bank or paypal.');
      return inSession(self, async (session) => {
        const { id: consumerId, name: called } = await theConsumer(session.database, name);
        const answer = await roomOf(session).confirm({ method, consumerId, amount, reference });
        return {
          value: { id: `${method}:${reference}`, consumerId, amount, answer },
          lines: [
            answer === 'booked'
              ? `${called} has ${formatUsd(amount)} more.`
              : 'This payment was booked before; nothing changed.',
          ],
        };
      });
    });
  command
    .command('book')
    .description('book a deposit that waits, being small or without a rate')
    .argument('<deposit>', 'its id, as the list shows it')
    .option('--usd <usd>', 'what it is worth, where nobody said so')
    .action((id: string, { usd }: { usd?: string }, self: Command) => {
      const value = usd === undefined ? undefined : dollars(usd);
      return inSession(self, async (session) => {
        const answer = await roomOf(session).book(id, value);
        if (answer === 'unknown') throw new Refusal(`There is no deposit ${JSON.stringify(id)}.`);
        if (answer === 'unpriced') throw new Refusal('Nobody said what it is worth: say so with --usd.');
        return {
          value: { id, answer },
          lines: [answer === 'booked' ? `${id} is booked.` : `${id} was booked before.`],
        };
      });
    });
  command
    .command('withdraw')
    .description('note that unused balance was paid back')
    .argument('<consumer>', 'its id or name')
    .argument('<usd>', 'dollars, such as 12.5')
    .requiredOption('--reference <text>', 'the reference of your payment: repeating it takes nothing twice')
    .option('--reason <text>', 'why', '')
    .action((name: string, text: string, wish: { reference: string; reason: string }, self: Command) => {
      const amount = dollars(text);
      const reference = referenceOf(wish.reference);
      return inSession(self, async (session) => {
        const consumer = await theConsumer(session.database, name);
        const { reason } = wish;
        const answer = await roomOf(session).withdraw({ consumerId: consumer.id, amount, reference, reason });
        if (typeof answer === 'object') {
          throw new Refusal(
            `${consumer.name} can be paid ${formatUsd(answer.available)}: what it paid in, and what is neither spent nor set aside for requests.`,
          );
        }
        return {
          value: { consumerId: consumer.id, amount, reference, answer },
          lines: [
            answer === 'withdrawn'
              ? `${formatUsd(amount)} left the balance of ${consumer.name}.`
              : 'This payment was noted before; nothing changed.',
          ],
        };
      });
    });
  command
    .command('rate')
    .description('set what one SWAN counts for, or show the history')
    .argument('[usd]', 'dollars for one SWAN, such as 0.012')
    .option('--from <instant>', 'when it begins to count, such as 2026-12-01T00:00:00Z (default: now)')
    .action((text: string | undefined, { from }: { from?: string }, self: Command) => {
      const picoPerToken = text === undefined ? undefined : dollars(text);
      const given = from === undefined ? undefined : Date.parse(from);
      if (given !== undefined && Number.isNaN(given)) {
        throw new WrongUsage('--from is an instant such as 2026-12-01T00:00:00Z.');
      }
      return inSession(self, async ({ database, clock }) => {
        const at = clock.wallMs();
        if (picoPerToken !== undefined) {
          if (given !== undefined && given < at) {
            throw new Refusal('A rate cannot begin in the past: deposits were booked by the one before.');
          }
          const answer = await setRate(database, { picoPerToken, effectiveAt: given ?? at, at });
          if (answer === 'taken')
            throw new Refusal('A rate is set for that instant: rates are never rewritten.');
        }
        const history = await rateHistory(database, LISTED);
        return {
          value: history.map((each) => ({ ...each, effectiveAt: iso(each.effectiveAt) })),
          lines: table(
            ['counts from (UTC)', '>one SWAN'],
            history.map((each) => [moment(each.effectiveAt), formatUsd(each.picoPerToken)]),
          ),
        };
      });
    });
  command
    .command('address')
    .description('show the address that a consumer pays crypto to')
    .argument('[consumer]', 'its id or name')
    .action((name: string | undefined, _options: unknown, self: Command) =>
      inSession(self, async ({ config, database, clock }) => {
        const consumer = await theConsumer(database, name);
        const chain = await theChain(config);
        try {
          const tree = addressTree(config.funds, chain);
          if (!tree) throw new Refusal(NO_KEY);
          const address = await new DepositAddresses({ database, tree, clock }).of(consumer.id);
          return {
            value: { consumerId: consumer.id, address, chainId: chain.chain.id, assets: chain.assets },
            lines: [
              `${consumer.name} pays to ${address} on chain ${chain.chain.id}:`,
              ...chain.assets.map(({ asset, token }) => `  ${asset}  ${token}`),
            ],
          };
        } finally {
          await chain.close();
        }
      }),
    );
  command
    .command('keygen')
    .description('make a key for deposit addresses: the public half for the market, the private one for you')
    .action((_options: unknown, self: Command) => {
      const key = depositKeyFrom(systemRandomness.bytes(64));
      // Shown on purpose, this once: it is kept nowhere.
      const value = { xpub: xpubOf(key), xprv: key.open() };
      const { json } = self.optsWithGlobals<{ json?: boolean }>();
      writeReport(
        {
          value,
          lines: [
            'For the market:',
            `  CYGNET_DEPOSIT_XPUB=${value.xpub}`,
            'For a safe place that is not the market. Whoever has it can take every deposit:',
            `  ${value.xprv}`,
          ],
        },
        json ?? false,
      );
    });
  command
    .command('sweep')
    .description(
      "move what lies at deposit addresses to a wallet of yours; CYGNET_OPERATOR_KEY's pays the gas",
    )
    .requiredOption('--to <address>', 'the wallet')
    .option('--key-file <file>', "a file with the addresses' extended private key (xprv…)")
    .option('--dry-run', 'show what lies where, and do nothing')
    .action((wish: { to: string; keyFile?: string; dryRun?: boolean }, self: Command) => {
      const to = parseAddress(wish.to);
      if (!to) throw new WrongUsage('--to is an address: 0x and 40 hexadecimal digits.');
      return inSession(self, async ({ config, database, clock }) => {
        const market = await theChain(config);
        try {
          const { chain, assets, operatorKey, confirmations, maxFeePerGas } = market;
          const tree = addressTree(config.funds, market);
          if (!tree) throw new Refusal(NO_KEY);
          const addresses = await addressesOf(database, tree.id);
          if (wish.dryRun)
            return sweptReport(await lyingAt(chain, addresses, assets), market.assets, 'lies there');
          if (!operatorKey) throw new Refusal('Gas must be paid: set CYGNET_OPERATOR_KEY.');
          const key = wish.keyFile === undefined ? market.depositKey : keyFrom(wish.keyFile);
          if (!key) throw new Refusal("Name the file with the addresses' private key: --key-file.");
          const swept = await sweep({
            chain,
            tree,
            key,
            operatorKey,
            clock,
            addresses,
            assets,
            to,
            store: new TransactionTable(database),
            settings: { confirmations, maxFeePerGas, replaceAfterMs: 60_000 },
            pollMs: POLL_MS,
            beforeFinal: () => market.persist(),
          });
          return sweptReport(swept, market.assets, 'moved');
        } finally {
          await market.close();
        }
      });
    });
}

const NO_KEY =
  'There is no key for deposit addresses: set CYGNET_DEPOSIT_XPUB (npx cygnet deposits keygen makes one).';

function roomOf({ config, database, clock }: Session): Deposits {
  const policy = SPLIT_POLICIES[config.money.splitPolicy] as SplitPolicy;
  return new Deposits({ database, clock, terms: termsUnder(policy) });
}

function sweptReport(
  swept: readonly { address: string; consumerId: string; asset: string; units: bigint }[],
  assets: readonly { asset: string; decimals: number }[],
  what: string,
) {
  const decimals = (asset: string): number => assets.find((each) => each.asset === asset)?.decimals ?? 0;
  return {
    value: swept.map(({ address, consumerId, asset, units }) => ({ address, consumerId, asset, units })),
    lines: table(
      ['address', 'consumer', `>${what}`, ''],
      swept.map((each) => [
        each.address,
        each.consumerId,
        tokens(each.units, decimals(each.asset)),
        each.asset,
      ]),
    ),
  };
}

function keyFrom(file: string): Sealed<string> {
  try {
    const key = new Sealed(readFileSync(file, 'utf8').trim());
    xpubOf(key);
    return key;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Refusal(
      code === undefined
        ? `${file} holds no extended private key (xprv…).`
        : `${file} cannot be read: ${code}.`,
    );
  }
}

const DECIMALS = { USD: 12, USDC: 6, USDT: 6, SWAN: 18 } as const;

function paid({ asset, units }: Deposit): string {
  return `${tokens(units, DECIMALS[asset])} ${asset}`;
}

export function referenceOf(text: string): string {
  const reference = properReference(text);
  if (reference === undefined) throw new WrongUsage('--reference has 1 to 100 printable characters.');
  return reference;
}
