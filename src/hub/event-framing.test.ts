import { describe, expect, it } from 'vitest';
import { testJob } from '#support/test-hub.ts';
import { areEventsFor, isFramed } from './event-framing.ts';

const job = testJob();
const chunk = {
  id: job.completionId,
  object: 'chat.completion.chunk',
  created: job.createdS,
  model: job.modelId,
  choices: [{ index: 0, delta: { content: 'x' }, finish_reason: null }],
};
const event = (over: object = {}): string => `data: ${JSON.stringify({ ...chunk, ...over })}\n\n`;

describe('events of the binary extension', () => {
  it('are accepted when they are framed as agreed', () => {
    expect(isFramed(Buffer.from(event()), 1)).toBe(true);
    expect(isFramed(Buffer.from(event() + event() + event()), 3)).toBe(true);
  });

  it.each([
    ['a wrong count', event(), 2],
    ['no events', '', 1],
    ['no space', event().replace('data: ', 'data:'), 1],
    ['an event name', `event: x\n${event()}`, 1],
    ['a comment', `: x\n\n${event()}`, 1],
    ['a line feed inside', event().replace(',', ',\n'), 1],
    ['a carriage return inside', event().replace(',', ',\r'), 1],
    ['an empty event', `\n\n${event()}`, 1],
    ['the end mark', `${event()}data: [DONE]\n\n`, 2],
    ['a missing end', event().trimEnd(), 1],
    ['half an end', `${event().trimEnd()}\n`, 1],
    ['a third line feed', `${event()}\n`, 1],
    ['something behind the brace', event().replace('}\n\n', '} \n\n'), 1],
  ])('are refused with %s', (_, text, count) => {
    expect(isFramed(Buffer.from(text), count)).toBe(false);
  });

  it('say what they were told to say, or are refused', () => {
    expect(areEventsFor(Buffer.from(event() + event()), job)).toBe(true);
    expect(areEventsFor(Buffer.from(event({ usage: null })), job)).toBe(true);
    for (const lie of [{ id: 'other' }, { model: 'other' }, { created: 1 }, { object: 'x' }, { choices: [] }, { choices: 'x' }, { choices: [1] }, { usage: {} }]) {
      expect(areEventsFor(Buffer.from(event() + event(lie)), job), JSON.stringify(lie)).toBe(false);
    }
    expect(areEventsFor(Buffer.from('data: {"x}\n\n'), job)).toBe(false);
  });
});
