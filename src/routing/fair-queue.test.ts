import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue, type Waiter } from './fair-queue.ts';

interface Named extends Waiter {
  readonly name: string;
}
const waiter = (name: string, tenant: string, weight = 1, deadlineMs = 1_000): Named => ({
  name,
  tenant,
  group: `of weight ${weight}`,
  weight,
  deadlineMs,
});
function drain(queue: FairQueue<Named>): string[] {
  const names: string[] = [];
  for (let next = queue.next(); next; next = queue.next()) names.push(next.name);
  return names;
}

describe('who is next', () => {
  test('one tenant is served in the order in which it asked', () => {
    const queue = new FairQueue<Named>({ sizeMax: 10 });
    for (const name of ['1', '2', '3']) queue.add(waiter(name, 'a'));
    expect(drain(queue)).toEqual(['1', '2', '3']);
  });

  test('a tenant that asks much waits behind itself, not in front of others', () => {
    const queue = new FairQueue<Named>({ sizeMax: 200 });
    for (let i = 0; i < 100; i++) queue.add(waiter(`a${i}`, 'a'));
    queue.add(waiter('b', 'b'));
    expect(drain(queue).indexOf('b')).toBeLessThanOrEqual(1);
  });

  test('tiers share by weight while all of them wait', () => {
    const queue = new FairQueue<Named>({ sizeMax: 400 });
    for (let i = 0; i < 100; i++) {
      queue.add(waiter('hobby', `h${i % 5}`, 1));
      queue.add(waiter('pro', `p${i % 5}`, 4));
    }
    const first = drain(queue).slice(0, 50);
    expect(first.filter((name) => name === 'pro')).toHaveLength(40);
  });

  test('who was put back is next again', () => {
    const queue = new FairQueue<Named>({ sizeMax: 10 });
    for (const name of ['1', '2']) queue.add(waiter(name, name));
    const next = queue.next() as Named;
    queue.putBack(next);
    expect(drain(queue)).toEqual(['1', '2']);
  });

  test('a tenant that was away has saved up nothing, and owes nothing', () => {
    const queue = new FairQueue<Named>({ sizeMax: 100 });
    for (let i = 0; i < 20; i++) queue.add(waiter('old', 'old'));
    for (let i = 0; i < 10; i++) queue.next();
    for (let i = 0; i < 10; i++) queue.add(waiter('new', 'new'));
    const order = drain(queue);
    expect(order.slice(0, 10).filter((name) => name === 'new').length).toBeGreaterThanOrEqual(4);
    expect(order.slice(0, 10).filter((name) => name === 'new').length).toBeLessThanOrEqual(10);
  });
});

describe('who has to go', () => {
  test('when it is full, the last request of whoever asks most for its weight', () => {
    const queue = new FairQueue<Named>({ sizeMax: 3 });
    for (const name of ['a1', 'a2', 'a3']) queue.add(waiter(name, 'a'));
    expect(queue.add(waiter('b1', 'b'))?.name).toBe('a3');
    expect(queue.add(waiter('a4', 'a'))?.name).toBe('a4');
    expect(drain(queue).toSorted()).toEqual(['a1', 'a2', 'b1']);
  });

  test('Hobby before Pro', () => {
    const queue = new FairQueue<Named>({ sizeMax: 4 });
    for (const name of ['h1', 'h2']) queue.add(waiter(name, 'h', 1));
    for (const name of ['p1', 'p2']) queue.add(waiter(name, 'p', 4));
    expect(queue.add(waiter('p3', 'p', 4))?.name).toBe('h2');
  });

  test('whoever is too late, and whose client has left', () => {
    const queue = new FairQueue<Named>({ sizeMax: 9 });
    const gone = waiter('gone', 'a');
    queue.add(waiter('late', 'a', 1, 10));
    queue.add(gone);
    queue.add(waiter('here', 'a', 1, 100));
    expect(queue.expire(10).map(({ name }) => name)).toEqual(['late']);
    expect(queue.remove(gone)).toBe(true);
    expect(queue.remove(gone)).toBe(false);
    expect(drain(queue)).toEqual(['here']);
  });
});

describe('whatever happens', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('add' as const), tenant: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ kind: fc.constant('next' as const) }),
      fc.record({ kind: fc.constant('expire' as const), nowMs: fc.integer({ min: 0, max: 50 }) }),
    ),
    { maxLength: 200 },
  );

  test('everybody who waits leaves exactly once: served, refused or too late', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 8 }), (all, sizeMax) => {
        const queue = new FairQueue<Named>({ sizeMax });
        const out: string[] = [];
        let added = 0;
        for (const step of all) {
          if (step.kind === 'add') {
            const refused = queue.add(
              waiter(`${added++}`, `t${step.tenant}`, 1 + step.tenant, 10 + (added % 40)),
            );
            if (refused) out.push(refused.name);
          } else if (step.kind === 'next') {
            const next = queue.next();
            if (next) out.push(next.name);
          } else out.push(...queue.expire(step.nowMs).map(({ name }) => name));
          expect(queue.size).toBeLessThanOrEqual(sizeMax);
        }
        out.push(...drain(queue));
        expect(out.toSorted()).toEqual(Array.from({ length: added }, (_, i) => `${i}`).toSorted());
      }),
    );
  });

  test('classes get their shares, and the tenants of a class the same, while all wait', () => {
    const classes = fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(classes, fc.integer({ min: 1, max: 4 }), (weights, tenants) => {
        const queue = new FairQueue<Named>({ sizeMax: 10_000 });
        for (const weight of weights) {
          for (let i = 0; i < 400; i++)
            queue.add(waiter(`${weight} ${i % tenants}`, `t${i % tenants}`, weight));
        }
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const served = new Map<string, number>();
        for (let i = 1; i <= 300; i++) {
          const { name, weight } = queue.next() as Named;
          served.set(name, (served.get(name) ?? 0) + 1);
          const ofClass = [...served]
            .filter(([each]) => each.startsWith(`${weight} `))
            .map(([, count]) => count);
          const sum = ofClass.reduce((all, count) => all + count, 0);
          expect(Math.abs(sum - (i * weight) / total)).toBeLessThanOrEqual(weights.length + 1);
          const spread = ofClass.length === tenants ? Math.max(...ofClass) - Math.min(...ofClass) : 0;
          expect(spread).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('how many are ahead is told about right', () => {
    const queue = new FairQueue<Named>({ sizeMax: 1_000 });
    for (let i = 0; i < 40; i++) queue.add(waiter(`h${i}`, `h${i % 4}`, 1));
    for (let i = 0; i < 40; i++) queue.add(waiter(`p${i}`, `p${i % 4}`, 8));
    const expected = queue.ahead({ tenant: 'new', group: 'of weight 1', weight: 1 });
    queue.add(waiter('new', 'new', 1));
    const real = drain(queue).indexOf('new');
    expect(Math.abs(expected - real)).toBeLessThanOrEqual(9);
  });
});
