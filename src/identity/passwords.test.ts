import { beforeEach, expect, test, vi } from 'vitest';
import { systemRandomness } from '#kit/random.ts';

// The real argon2, with its calls counted.
const calls = vi.hoisted(() => ({ verify: [] as string[], atOnce: 0, most: 0 }));
vi.mock('@node-rs/argon2', async (original) => {
  const real = await original<typeof import('@node-rs/argon2')>();
  return {
    ...real,
    verify: async (kept: string, password: string) => {
      calls.verify.push(kept);
      calls.atOnce += 1;
      calls.most = Math.max(calls.most, calls.atOnce);
      const answer = await real.verify(kept, password);
      calls.atOnce -= 1;
      return answer;
    },
  };
});
// Another file may have loaded it before, with what is not counted.
vi.resetModules();
const { Passwords } = await import('./passwords.ts');
beforeEach(() => {
  calls.verify = [];
  calls.most = 0;
});

test('a check for somebody who does not exist does the same work as any other, and says no', async () => {
  const passwords = new Passwords(systemRandomness);
  const kept = await passwords.hash('right');
  expect(await passwords.matches(kept, 'right')).toBe(true);
  expect(await passwords.matches(kept, 'wrong')).toBe(false);
  expect(await passwords.matches(undefined, 'right')).toBe(false);
  const parameters = calls.verify.map((each) => each.split('$').slice(1, 4).join('$'));
  expect(parameters).toEqual(Array.from({ length: 3 }, () => 'argon2id$v=19$m=19456,t=2,p=1'));
});

test('two checks run at once, a line of bounded length waits, and the rest are turned away', async () => {
  const passwords = new Passwords(systemRandomness);
  const kept = await passwords.hash('right');
  const answers = await Promise.allSettled(
    Array.from({ length: 70 }, () => passwords.matches(kept, 'right')),
  );
  expect(answers.filter((each) => each.status === 'fulfilled' && each.value)).toHaveLength(66);
  expect(answers.filter((each) => each.status === 'rejected')).toHaveLength(4);
  expect(calls.most).toBe(2);
});
