import type { Command } from 'commander';
import { formatUsd } from '#domain/money.ts';
import { Book } from '#ledger/book.ts';
import { theConsumer } from './parties.ts';
import { inSession, type Session } from './session.ts';

/** `cygnet balance` */
export function balance(command: Command): void {
  command
    .argument('[consumer]', 'its id or name; may be left out when there is only one, or one called demo')
    .action((name: string | undefined, _options: unknown, self: Command) =>
      inSession(self, async (session) => {
        const consumer = await theConsumer(session.database, name);
        const { total, held, available } = await bookOf(session).balance(consumer.id);
        return {
          value: { consumerId: consumer.id, name: consumer.name, total, held, available },
          lines: [
            `${consumer.name} (${consumer.id})`,
            `total      ${formatUsd(total)}`,
            `on hold    ${formatUsd(held)}  set aside for requests; what they do not use comes back`,
            `available  ${formatUsd(available)}`,
          ],
        };
      }),
    );
}

/** The ledger's book as a command uses it: it holds no lease, so it posts no usage under its name. */
export function bookOf({ database, clock, log }: Session): Book {
  return new Book({ database, clock, log, instance: 'cli' });
}
