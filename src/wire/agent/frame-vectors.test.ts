import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { eachFrame, encodeCreditFrame, encodeDataFrame, encodeFrame, encodeJsonFrame } from './frames.ts';

interface Vector {
  name: string;
  type: number;
  stream: number;
  hex: string;
  json?: unknown;
  text?: string;
  bytes?: number;
  events?: number;
  tokens?: number;
}

const root = packageRoot();
const vectors = JSON.parse(readFileSync(path.join(root, 'test/vectors/frames.json'), 'utf8')) as Vector[];

function encode(vector: Vector): Buffer {
  const { type, stream, json, text, bytes, events, tokens } = vector;
  if (bytes !== undefined) return encodeCreditFrame(stream, bytes);
  if (events !== undefined) return encodeDataFrame(stream, events, tokens ?? 0, Buffer.from(text ?? ''));
  return json === undefined
    ? encodeFrame(type, stream, Buffer.from(text ?? ''))
    : encodeJsonFrame(type, stream, json);
}

describe('the published frames', () => {
  it.each(vectors)('$name is written byte for byte', (vector) => {
    expect(encode(vector).toString('hex')).toBe(vector.hex);
  });

  it('are read back from one message in their order', () => {
    const seen: { type: number; stream: number }[] = [];
    const message = Buffer.concat(vectors.map(({ hex }) => Buffer.from(hex, 'hex')));
    expect(eachFrame(message, 16_384, (type, stream) => seen.push({ type, stream }))).toBe(true);
    expect(seen).toEqual(vectors.map(({ type, stream }) => ({ type, stream })));
  });

  it('are the ones that docs/protocol.md shows', () => {
    const page = readFileSync(path.join(root, 'docs/protocol.md'), 'utf8').replace(/\s+/g, '');
    for (const name of ['credit', 'cancel', 'end', 'drain', 'result']) {
      expect(page).toContain(vectors.find((vector) => vector.name === name)?.hex);
    }
  });
});
