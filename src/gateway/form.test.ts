import { describe, expect, test } from 'vitest';
import { Fault } from '#kit/fault.ts';
import { readPieces } from '#support/form-reader.ts';
import type { SoundForm } from './transcription-request.ts';

const FILE_BYTES_MAX = 4_096;

const read = (body: string, about: { type?: string; pieceBytes?: number } = {}): Promise<SoundForm | Fault> =>
  readPieces(Buffer.from(body, 'latin1'), {
    type: 'multipart/form-data; boundary=cut',
    pieceBytes: body.length + 1,
    fileBytesMax: FILE_BYTES_MAX,
    ...about,
  });

const part = (head: string, content = 'abc') => `--cut\r\n${head}\r\n\r\n${content}\r\n`;
const file = (content = 'abc', name = 'file') =>
  part(`Content-Disposition: form-data; name="${name}"; filename="a.wav"`, content);
const field = (name: string, value = 'x') => part(`Content-Disposition: form-data; name="${name}"`, value);
const END = '--cut--\r\n';

test('a form is its file and its fields, however it is cut into pieces', async () => {
  for (const pieceBytes of [1, 2, 7, 1_000]) {
    const form = await read(field('model', 'm') + file('sound') + field('tags[]', 'a') + END, { pieceBytes });
    expect(form).toMatchObject({ filename: 'a.wav', fields: { model: 'm', 'tags[]': ['a'] } });
    expect((form as SoundForm).file.toString()).toBe('sound');
  }
});

describe('a form is refused, once and without ending the process,', () => {
  test.each<[string, string, string?]>([
    // Both of these once ended the whole market: an error event unheard, and an exception in a listener.
    ['that ends within its file', file('sound').slice(0, -4)],
    ['with a field that has no name', part('Content-Disposition: form-data') + END],
    ['with a file that has no name', part('Content-Disposition: form-data; filename="a"') + END],
    ['whose second file ends within itself', (file() + file('more')).slice(0, -4)],
    ['whose file stands in another field, and ends within itself', file('sound', 'other').slice(0, -4)],
    ['that ends within a field', field('model').slice(0, -3)],
    ['that ends within a head', '--cut\r\nContent-Dispo'],
    ['whose head never ends', `--cut\r\nContent-Disposition: form-data; name="${'x'.repeat(300_000)}`],
    ['with two files', file() + file() + END],
    ['with thousands of parts', field('a').repeat(5_000) + END],
    ['with thousands of parts that say nothing of themselves', part('A: b').repeat(5_000) + END],
    ['with a field that is too long', field('a', 'x'.repeat(20_000)) + END],
    ['with a file that is too large', file('x'.repeat(FILE_BYTES_MAX + 1)) + END],
    ['that is empty', ''],
    ['that names no boundary', file() + END, 'multipart/form-data'],
    ['of another type', '{}', 'application/json'],
    ['of no type', '{}', ''],
  ])('%s', async (_, body, type) => {
    for (const pieceBytes of [13, 1_000_000]) {
      const form = await read(body, { pieceBytes, ...(type !== undefined && { type }) });
      expect(form).toBeInstanceOf(Fault);
      expect(['request-invalid', 'body-too-large']).toContain((form as Fault).code);
    }
  });
});

test('fields with the names of a prototype are fields like any other', async () => {
  const form = await read(
    field('__proto__', 'a') + field('__proto__[]', 'b') + field('constructor') + file() + END,
  );
  expect(Object.keys((form as SoundForm).fields).toSorted()).toEqual([
    '__proto__',
    '__proto__[]',
    'constructor',
  ]);
  expect(({} as Record<string, unknown>)['a']).toBeUndefined();
});
