import type { Command } from 'commander';
import { formatUsd, parseUsd } from '#domain/money.ts';
import { bookOf } from './balance.ts';
import { theConsumer } from './parties.ts';
import { WrongUsage } from './refusal.ts';
import { inSession } from './session.ts';

/** `cygnet credit` */
export function credit(command: Command): void {
  command
    .argument('<consumer>', 'its id or name')
    .argument('<usd>', 'dollars, such as 5 or 0.25')
    .option('--id <id>', 'a name of this gift: repeating the command with it gives nothing twice')
    .action((name: string, text: string, { id: given }: { id?: string }, self: Command) => {
      const amount = dollars(text);
      if (given !== undefined && !/^[\w:.-]{1,100}$/.test(given)) {
        throw new WrongUsage('--id has 1 to 100 letters, digits, and the signs _ : . -');
      }
      return inSession(self, async (session) => {
        const consumer = await theConsumer(session.database, name);
        const id = given ?? session.makeId('grant');
        const book = bookOf(session);
        const known = (await book.grant(consumer.id, amount, id)) === 'known';
        const { total, held, available } = await book.balance(consumer.id);
        return {
          value: { id, consumerId: consumer.id, amount, known, total, held, available },
          lines: [
            known
              ? `${consumer.name} had been given ${formatUsd(amount)} as ${id} already: nothing was given now. It has ${formatUsd(total)}.`
              : `${consumer.name} was given ${formatUsd(amount)} and has ${formatUsd(total)}.`,
          ],
        };
      });
    });
}

/** Dollars as somebody typed them, more than none. */
export function dollars(text: string): bigint {
  let amount = 0n;
  try {
    amount = parseUsd(text);
  } catch {
    // Told below, like an amount that is not more than nothing.
  }
  if (amount <= 0n) throw new WrongUsage(`Not an amount of dollars: ${JSON.stringify(text.slice(0, 40))}.`);
  return amount;
}
