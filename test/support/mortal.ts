import type { Database, Sql } from '#db/database.ts';

/** Thrown in the place of a crash. What was under way is dropped, and a new process begins. */
export class Crash extends Error {}

/** When a process dies: at the `at`-th call (0 is never), before it or after it. Counts the calls. */
export interface Crashing {
  at: number;
  when: 'before' | 'after';
  calls: number;
}

export const immortal = (): Crashing => ({ at: 0, when: 'before', calls: 0 });

/** The same object, whose process dies at the n-th call of it and its like. */
export function mortal<T extends object>(object: T, crashing: Crashing): T {
  return new Proxy(object, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        const dies = ++crashing.calls === crashing.at;
        if (dies && crashing.when === 'before') throw new Crash(String(name));
        const answer: unknown = await Reflect.apply(value, target, args);
        if (dies) throw new Crash(String(name));
        return answer;
      };
    },
  });
}

/** A database whose process dies when it has asked `after` statements, in a transaction or outside one. */
export function dyingDatabase(database: Database, after: number): Database {
  let asked = 0;
  const counted = (sql: Sql): Sql =>
    new Proxy(sql as object as () => unknown, {
      apply(target, self, args: unknown[]) {
        if (Array.isArray(args[0]) && 'raw' in args[0]) {
          if (asked === after) throw new Crash('died here');
          asked += 1;
        }
        return Reflect.apply<unknown, unknown[], unknown>(target, self, args);
      },
    }) as object as Sql;
  return {
    ...database,
    sql: counted(database.sql),
    transaction: (work) => database.transaction((sql) => work(counted(sql))),
  };
}
