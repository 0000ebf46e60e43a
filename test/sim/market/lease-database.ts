import type { Database, Sql } from '#db/database.ts';
import type { Pico } from '#domain/money.ts';
import type { Asker, Store } from './store.ts';

/**
 * As much of a database as `ledger/leases.ts` speaks to: its few statements, recognised by their words and carried out on
 * the world's store. So the real code runs, doubt about unheard answers included; a statement it learns later fails here
 * until it is given a meaning.
 */
export function leaseDatabase(store: Store, asker: Asker): Database {
  const run = (strings: TemplateStringsArray, ...values: unknown[]): Promise<unknown[]> => {
    const text = strings.join('?');
    if (text.includes('grow_lease(')) {
      const [, consumerId, atLeast, want, change] = values as [string, string, Pico, Pico, string];
      return store.statement(asker, 'grow', async () => [
        await store.grow(asker, consumerId, { atLeast, want }, change),
      ]);
    }
    if (text.includes('give_back_lease(')) {
      const [, consumerId, amount, change] = values as [string, string, Pico, string];
      return store.statement(asker, 'give-back', async () => [
        { given: await store.giveBack(asker, consumerId, amount, change) },
      ]);
    }
    if (text.includes('select last_change, last_amount')) {
      const [instance, consumerId] = values as [string, string];
      return store.statement(asker, 'look', async () => {
        const last = store.lastChanges.get(`${instance} ${consumerId}`);
        return last ? [{ last_change: last.change, last_amount: last.amount }] : [];
      });
    }
    if (text.includes('pg_notify(')) {
      const { consumer } = JSON.parse(values[1] as string) as { consumer: string };
      return store.statement(asker, 'recall', async () => {
        store.recall(asker, consumer);
        return [];
      });
    }
    throw new Error(`The simulated database does not know this statement: ${text}`);
  };
  const releaseAll = (strings: TemplateStringsArray): Promise<unknown[]> => {
    const text = strings.join('?');
    if (text.includes('select from accounts')) return Promise.resolve([]);
    if (text.includes('delete from leases')) {
      return store.releaseAll(asker).then(() => []);
    }
    throw new Error(`The simulated database does not know this statement: ${text}`);
  };
  return {
    sql: run as unknown as Sql,
    transaction: (work) => store.statement(asker, 'release-all', () => work(releaseAll as unknown as Sql)),
    listen: (_channel, heard) => {
      store.hearRecalls(asker.instance, (consumer) => heard(JSON.stringify({ from: '', consumer })));
      return Promise.resolve({ stop: async () => store.stopRecalls(asker.instance) });
    },
    hurry: () => {},
    close: async () => {},
  };
}
