import { expect, test } from 'vitest';
import {
  fingerprintOf,
  LOSS_WITHIN_ANSWER,
  MOST_FINGERPRINTS,
  POISON_MEMORY_MS,
  PoisonTable,
} from './poison.ts';

test('two links of different providers lost to one request quarantine it; two of one provider do not', () => {
  const table = new PoisonTable();
  expect(table.empty).toBe(true);
  table.note('x', 0, 'a');
  expect(table.isQuarantined('x', 1)).toBe(false);
  table.note('x', 1, 'a');
  expect(table.isQuarantined('x', 1)).toBe(false);
  expect([...table.losers('x', 1)]).toEqual(['a']);
  table.note('x', 2, 'b');
  expect(table.isQuarantined('x', 2)).toBe(true);
  expect(table.isQuarantined('y', 2)).toBe(false);
});

test('a popular prompt is not poison: machines that die under it by themselves do not have it refused', () => {
  const table = new PoisonTable();
  table.note('x', 0, 'a');
  table.clear('x');
  table.note('x', 1, 'b');
  expect(table.isQuarantined('x', 1), 'it was answered in between').toBe(false);
  for (const provider of ['a', 'b', 'c', 'c']) table.note('y', 2, provider, LOSS_WITHIN_ANSWER);
  expect(table.isQuarantined('y', 2), 'three answers that had begun').toBe(false);
  table.note('y', 2, 'd', LOSS_WITHIN_ANSWER);
  expect(table.isQuarantined('y', 2)).toBe(true);
});

test('losses without a provider’s name count each', () => {
  const table = new PoisonTable();
  table.note('x', 0);
  table.note('x', 0);
  expect(table.isQuarantined('x', 0)).toBe(true);
});

test('a quarantine ends ten minutes after the last loss, and the table is empty again', () => {
  const table = new PoisonTable();
  table.note('x', 0, 'a');
  table.note('x', 100, 'b');
  expect(table.isQuarantined('x', 100 + POISON_MEMORY_MS - 1)).toBe(true);
  expect(table.isQuarantined('x', 100 + POISON_MEMORY_MS)).toBe(false);
  expect(table.empty).toBe(true);
});

test('an outsider cannot grow the table: the oldest makes room', () => {
  const table = new PoisonTable();
  table.note('first', 0, 'a');
  for (let i = 0; i < MOST_FINGERPRINTS + 10; i++) {
    table.note(`f${i}`, 1, 'a');
    if (i === 5) table.note('first', 1, 'b');
  }
  expect(table.size).toBe(MOST_FINGERPRINTS);
  for (let i = 0; i < 5_000; i++) table.note('same', 2, `p${i}`);
  expect(table.losers('same', 2).size).toBe(4);
});

test('a fingerprint is one consumer’s, one model’s and one body’s', () => {
  const body = Buffer.from('{}');
  const prints = [
    fingerprintOf('a', 'm', body),
    fingerprintOf('b', 'm', body),
    fingerprintOf('a', 'n', body),
    fingerprintOf('a', 'm', Buffer.from('{} ')),
  ];
  expect(new Set(prints).size).toBe(4);
  expect(fingerprintOf('a', 'm', body)).toBe(prints[0]);
});
