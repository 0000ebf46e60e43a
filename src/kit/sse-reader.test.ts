import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SseReader } from './sse-reader.ts';

function read(pieces: readonly Buffer[], eventBytesMax = 1_048_576): { events: string[]; whole: boolean } {
  const events: string[] = [];
  const reader = new SseReader((data) => events.push(data.toString()), { eventBytesMax });
  const whole = pieces.every((piece) => reader.push(piece));
  if (whole) reader.finish();
  return { events, whole };
}

describe('reading server-sent events', () => {
  it.each([
    ['one event', 'data: {"a":1}\n\n', ['{"a":1}']],
    ['no space after the colon', 'data:x\n\n', ['x']],
    ['only the first space belongs to the format', 'data:  x\n\n', [' x']],
    ['carriage returns', 'data: a\r\n\r\ndata: b\r\rdata: c\n\r\n', ['a', 'b', 'c']],
    ['several data lines', 'data: a\ndata: b\n\n', ['a\nb']],
    ['comments and other fields', ': ping\n\nevent: x\nid: 7\nretry: 5\ndata: a\n\n', ['a']],
    ['no empty line at the end', 'data: a\n\ndata: b\n', ['a', 'b']],
    ['no line end at the end', 'data: a\n\ndata: [DONE]', ['a', '[DONE]']],
    ['a byte order mark', '\uFEFFdata: a\n\n', ['a']],
    ['a field that merely begins like data', 'database: a\n\ndat: b\n\n', []],
    ['a data line without a value', 'data\n\n', ['']],
    ['nothing but empty lines', '\n\n\n\r\n', []],
    ['letters of several bytes', 'data: žluť 🦢\n\n', ['žluť 🦢']],
  ])('%s', (_what, text, events) => {
    expect(read([Buffer.from(text)]).events).toEqual(events);
  });

  it('gives the same events however the bytes are cut', () => {
    const line = fc.oneof(
      fc.constantFrom('data: {"x":"🦢"}', 'data:', 'data', ': c', 'event: e', '', '', 'data: [DONE]', 'dat'),
      fc.string({ maxLength: 12 }).map((text) => `data: ${text}`),
    );
    const text = fc
      .array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 30 })
      .map((lines) => lines.flat().join(''));
    fc.assert(
      fc.property(text, fc.array(fc.nat(400), { maxLength: 20 }), (whole, cuts) => {
        const bytes = Buffer.from(whole);
        const at = [0, ...cuts.filter((cut) => cut < bytes.length).toSorted((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        expect(read(pieces).events).toEqual(read([bytes]).events);
      }),
    );
  });

  it('gives up on an event that never ends', () => {
    expect(read([Buffer.from('data: '), Buffer.alloc(600, 'x'), Buffer.alloc(600, 'x')], 1_000).whole).toBe(
      false,
    );
    expect(
      read(
        Array.from({ length: 200 }, () => Buffer.from('data: 1234567\n')),
        1_000,
      ).whole,
    ).toBe(false);
  });
});
