import { expect, test } from 'vitest';
import { soundLength } from './sound-length.ts';

/** The head of a WAV file, and `data` bytes of sound. */
function wav(about: {
  rate?: number;
  block?: number;
  format?: number;
  size?: number;
  claimed?: number;
  data: number;
}): Buffer {
  const { rate = 8_000, block = 2, format = 1, data } = about;
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(format, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(about.claimed ?? rate * block, 28);
  head.writeUInt16LE(block, 32);
  head.write('data', 36);
  head.writeUInt32LE(about.size ?? data, 40);
  return Buffer.concat([head, Buffer.alloc(data)]);
}

test.each<[string, Buffer, number, number]>([
  ['a WAV file is as long as its samples', wav({ data: 32_000 }), 2, 2],
  ['a second that has begun counts', wav({ data: 32_001 }), 3, 3],
  ['what the header claims to be a second does not count', wav({ data: 32_000, claimed: 1_000_000 }), 2, 2],
  ['nor do bytes that it claims and does not have', wav({ data: 16_000, size: 0xffff_fff0 }), 1, 1],
  ['a streamed file without a size is as long as it is', wav({ data: 16_000, size: 0 }), 1, 1],
  ['a compressed WAV file has bounds only', wav({ data: 39_956, format: 85 }), 1, 54],
  ['so has a file of another kind', Buffer.alloc(75_000), 2, 100],
  ['a WAV file with nothing in it', wav({ data: 0 }), 0, 0],
  ['a rate of zero says nothing', wav({ data: 706, rate: 0 }), 1, 1],
  ['half a header says nothing', wav({ data: 10 }).subarray(0, 30), 1, 1],
])('%s', (_promise, file, secondsMin, secondsMax) => {
  expect(soundLength(file)).toEqual({ secondsMin, secondsMax });
});
