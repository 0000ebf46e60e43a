import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { asBase64, asNumbers } from './vectors.ts';

test('32-bit floats are the same, bit for bit, in both writings and back', () => {
  fc.assert(
    fc.property(fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 1 }), (floats) => {
      const numbers = [...floats];
      const packed = asBase64(numbers);
      expect(Buffer.from(packed, 'base64')).toEqual(Buffer.from(floats.buffer));
      expect(asNumbers(packed)).toEqual(numbers);
    }),
  );
});

test('what is written as asked for passes untouched', () => {
  expect(asBase64('AACAPw==')).toBe('AACAPw==');
  expect(asNumbers([0.1])).toEqual([0.1]);
  expect(asNumbers(asBase64([1, -2.5, 0.1]))).toEqual([1, -2.5, Math.fround(0.1)]);
});
