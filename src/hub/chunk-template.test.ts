import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testJob } from '#support/test-hub.ts';
import { chunkEvent, eventHead } from './chunk-event.ts';
import { ChunkTemplate } from './chunk-template.ts';

const head = eventHead(testJob());
const ID = 'att_1';

function message(body: unknown, over: Record<string, unknown> = {}): string {
  return JSON.stringify({
    type: 'stream_chunk',
    request_id: ID,
    payload: { request_id: ID, chunk: body, done: false, ...over },
  });
}

function chunk(content: string, over: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 'x',
    object: 'o',
    created: 1,
    model: 'local',
    choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }],
    usage: null,
    ...over,
  };
}

/** Half a pair counts two. */
const utf8Bytes = (text: string): number =>
  Array.from(text).reduce((sum, char) => sum + (char.isWellFormed() ? Buffer.byteLength(char) : 2), 0);

const learnt = (): ChunkTemplate => ChunkTemplate.learn(message(chunk('first')), ID, head) as ChunkTemplate;

describe('a template of a stream', () => {
  it('gives the very event that reading in full gives, whatever the text', () => {
    const template = learnt();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60, minLength: 1 }), (text) => {
        const event = template.event(Buffer.from(message(chunk(text))))?.toString();
        const full = chunkEvent(head, chunk(text))?.text;
        expect(event).toBe(full);
      }),
      { numRuns: 500 },
    );
  });

  it('counts the bytes of the text, however it is escaped', () => {
    const template = learnt();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60, minLength: 1 }), (text) => {
        const units = [...Array(text.length).keys()].map((i) =>
          text.charCodeAt(i).toString(16).padStart(4, '0'),
        );
        const escaped = units.map((unit) => `\\u${unit}`).join('');
        for (const inside of [JSON.stringify(text).slice(1, -1), escaped]) {
          const plain = message(chunk('PLACE'));
          const event = template.event(Buffer.from(plain.replace('PLACE', () => inside)));
          expect(event === undefined ? utf8Bytes(text) : template.contentBytes).toBe(utf8Bytes(text));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('accepts nothing that is not JSON, and nothing that holds a line break or a quote', () => {
    const template = learnt();
    const frame = message(chunk('@@'));
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('"', '\\', '\n', '\r', 'u', '0', 'a', '}', ',', '\u0000', '{', 'n'),
          maxLength: 12,
        }),
        (inside) => {
          const text = frame.replace('@@', () => inside);
          const event = template.event(Buffer.from(text))?.toString();
          if (event === undefined) return;
          const parsed = JSON.parse(text).payload.chunk.choices[0].delta;
          expect(JSON.parse(event.slice(6)).choices[0].delta).toEqual(parsed);
          expect(event.slice(0, -2)).not.toMatch(/[\r\n]/);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('does not recognise a message that differs elsewhere', () => {
    const template = learnt();
    for (const text of [
      message(chunk('a', { model: 'other' })),
      message(chunk('a'), { done: true }),
      message(chunk('a')).replaceAll(ID, 'att_2'),
      message(
        chunk('a', {
          choices: [{ index: 0, delta: { content: 'a' }, logprobs: null, finish_reason: 'stop' }],
        }),
      ),
      message(chunk('')),
    ]) {
      expect(template.event(Buffer.from(text))).toBeUndefined();
    }
  });

  it('is not learnt where the text has no one place', () => {
    const bad = [
      message(chunk('x', { extra: { content: 'y' } })),
      message(chunk('x', { usage: { prompt_tokens: 1 } })),
      message(chunk('x', { choices: [{ delta: { content: 'x' }, finish_reason: 'stop' }] })),
      message(chunk('x'), { error: 'trouble' }),
      message(
        chunk('cygnet:the-place-of-the-text', {
          model: 'cygnet:the-place-of-the-text',
          x: 'cygnet:the-place-of-the-text',
        }),
      ),
      message(chunk('x')).replace('"content":"x"', '"content":"x","\\u0063ontent":"y"'),
      message(chunk('x')).replace('"content":"x"', '"content":"x","content":"y"'),
      message(chunk('x')).replace('"delta"', '"a\\"content":"q","delta"'),
    ];
    for (const text of bad) {
      const full = chunkEvent(head, JSON.parse(text).payload.chunk)?.text;
      const template = ChunkTemplate.learn(text, ID, head);
      // Where one was learnt all the same, it must be right.
      const event = template?.event(Buffer.from(text))?.toString();
      expect([undefined, full]).toContain(event);
    }
    expect(ChunkTemplate.learn(bad[0] as string, ID, head)).toBeUndefined();
    expect(ChunkTemplate.learn(bad[5] as string, ID, head)).toBeUndefined();
    expect(ChunkTemplate.learn(bad[2] as string, ID, head)).toBeUndefined();
  });

  it('does not accept bytes that are not UTF-8', () => {
    const template = learnt();
    const [before, after] = message(chunk('@@'))
      .split('@@')
      .map((part) => Buffer.from(part)) as [Buffer, Buffer];
    const withInside = (bytes: number[]): Buffer => Buffer.concat([before, Buffer.from(bytes), after]);
    expect(template.event(withInside([0xc3, 0xa4]))).toBeDefined();
    for (const bad of [
      [0xff],
      [0xc3],
      [0x61, 0xed, 0xa0, 0x80],
      [0x5c],
      [0x5c, 0x75, 0x30, 0x30, 0x30],
      [0x0a],
      [0x22],
    ]) {
      expect(template.event(withInside(bad))).toBeUndefined();
    }
  });

  it('is learnt from reasoning too', () => {
    const reasoning = (text: string) => chunk('', { choices: [{ delta: { reasoning_content: text } }] });
    const template = ChunkTemplate.learn(message(reasoning('hm')), ID, head);
    expect(template?.event(Buffer.from(message(reasoning('so'))))?.toString()).toBe(
      chunkEvent(head, reasoning('so'))?.text,
    );
  });
});
