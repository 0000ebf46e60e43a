import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testJob } from '#support/test-hub.ts';
import { chunkEvent, eventHead } from './chunk-event.ts';
import { ChunkTemplate } from './chunk-template.ts';

const head = eventHead(testJob());
const ID = 'att_1';

function message(chunk: unknown, over: Record<string, unknown> = {}): string {
  return JSON.stringify({ type: 'stream_chunk', request_id: ID, payload: { request_id: ID, chunk, done: false, ...over } });
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

const learnt = (): ChunkTemplate => ChunkTemplate.learn(message(chunk('first')), ID, head) as ChunkTemplate;

describe('a template of a stream', () => {
  it('gives the very event that reading in full gives, whatever the text', () => {
    const template = learnt();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60, minLength: 1 }), (text) => {
        const event = template.event(message(chunk(text)));
        const full = chunkEvent(head, chunk(text))?.text;
        expect(event).toBe(full);
      }),
      { numRuns: 500 },
    );
  });

  it('accepts nothing that is not JSON, and nothing that holds a line break or a quote', () => {
    const template = learnt();
    const frame = message(chunk('@@'));
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('"', '\\', '\n', '\r', 'u', '0', 'a', '}', ',', '\u0000', '{', 'n'), maxLength: 12 }), (inside) => {
        const text = frame.replace('@@', () => inside);
        const event = template.event(text);
        if (event === undefined) return;
        const parsed = JSON.parse(text).payload.chunk.choices[0].delta;
        expect(JSON.parse(event.slice(6)).choices[0].delta).toEqual(parsed);
        expect(event.slice(0, -2)).not.toMatch(/[\r\n]/);
      }),
      { numRuns: 2_000 },
    );
  });

  it('does not recognise a message that differs elsewhere', () => {
    const template = learnt();
    for (const text of [
      message(chunk('a', { model: 'other' })),
      message(chunk('a'), { done: true }),
      message(chunk('a')).replaceAll(ID, 'att_2'),
      message(chunk('a', { choices: [{ index: 0, delta: { content: 'a' }, logprobs: null, finish_reason: 'stop' }] })),
      message(chunk('')),
    ]) {
      expect(template.event(text)).toBeUndefined();
    }
  });

  it('is not learnt where the text has no one place', () => {
    const bad = [
      message(chunk('x', { extra: { content: 'y' } })),
      message(chunk('x', { usage: { prompt_tokens: 1 } })),
      message(chunk('x', { choices: [{ delta: { content: 'x' }, finish_reason: 'stop' }] })),
      message(chunk('x'), { error: 'trouble' }),
      message(chunk('cygnet:the-place-of-the-text', { model: 'cygnet:the-place-of-the-text', x: 'cygnet:the-place-of-the-text' })),
      message(chunk('x')).replace('"content":"x"', '"content":"x","\\u0063ontent":"y"'),
      message(chunk('x')).replace('"content":"x"', '"content":"x","content":"y"'),
      message(chunk('x')).replace('"delta"', '"a\\"content":"q","delta"'),
    ];
    for (const text of bad) {
      const template = ChunkTemplate.learn(text, ID, head);
      // Where one was learnt all the same, it must be right.
      const event = template?.event(text);
      if (event) expect(event).toBe(chunkEvent(head, JSON.parse(text).payload.chunk)?.text);
    }
    expect(ChunkTemplate.learn(bad[0] as string, ID, head)).toBeUndefined();
    expect(ChunkTemplate.learn(bad[5] as string, ID, head)).toBeUndefined();
    expect(ChunkTemplate.learn(bad[2] as string, ID, head)).toBeUndefined();
  });

  it('is learnt from reasoning too', () => {
    const reasoning = (text: string) => chunk('', { choices: [{ delta: { reasoning_content: text } }] });
    const template = ChunkTemplate.learn(message(reasoning('hm')), ID, head);
    expect(template?.event(message(reasoning('so')))).toBe(chunkEvent(head, reasoning('so'))?.text);
  });
});
