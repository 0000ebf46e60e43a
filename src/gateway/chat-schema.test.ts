import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fault } from '#kit/fault.ts';
import { chatRequestSchema } from '#wire/openai/chat.ts';
import { readChatRequest } from './body.ts';

// Chat bodies are checked by hand; the document that describes the API is made from a schema. Neither may say what the
// other denies.

const anything = fc.oneof(
  fc.constantFrom(null, true, false, 'text', '', [], {}, -1, 0, 0.5, 1, 2, 3, 9, 100_000),
  fc.array(fc.string(), { maxLength: 18 }),
);
const fields = [
  'stream',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'stop',
];

test('the check of chat bodies and the schema of the document accept the same', () => {
  fc.assert(
    fc.property(fc.constantFrom(...fields), anything, (name, value) => {
      // What else bounds it: the most tokens are a setting, which the document does not know.
      fc.pre(!(name.startsWith('max_') && value === 100_000));
      const body = { model: 'm', messages: [{ role: 'user', content: 'Hi' }], [name]: value };
      const byHand = !(readChatRequest(Buffer.from(JSON.stringify(body))) instanceof Fault);
      expect({ name, value, accepted: chatRequestSchema.safeParse(body).success }).toEqual({
        name,
        value,
        accepted: byHand,
      });
    }),
    { numRuns: 500 },
  );
});

test.each([
  [{}, false],
  [{ model: 'm' }, false],
  [{ model: 'm', messages: [] }, false],
  [{ model: '', messages: [{ role: 'user', content: 'Hi' }] }, false],
  [{ model: 'm', messages: [{ role: 'user', content: 5 }] }, false],
  [{ model: 'm', messages: [{ content: 'Hi' }] }, false],
  [{ model: 'm', messages: [{ role: 'assistant', content: null }] }, true],
  [{ model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] }, true],
  [
    { model: 'm', messages: [{ role: 'user', content: 'Hi' }], min_p: 0.1, tools: [{ type: 'function' }] },
    true,
  ],
])('%j: %s', (body, accepted) => {
  expect(!(readChatRequest(Buffer.from(JSON.stringify(body))) instanceof Fault)).toBe(accepted);
  expect(chatRequestSchema.safeParse(body).success).toBe(accepted);
});
