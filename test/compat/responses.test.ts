import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { TestMarket } from '#support/market.ts';

/** OpenAI's own client over its Responses API. */

const CHAT = 'zai-org/GLM-4.7-Flash';
const TOOLS: OpenAI.Responses.FunctionTool[] = [
  {
    type: 'function',
    name: 'weather',
    strict: true,
    parameters: {
      type: 'object',
      properties: { place: { type: 'string' } },
      required: ['place'],
      additionalProperties: false,
    },
  },
];

let market: TestMarket;
let openai: OpenAI;

beforeAll(async () => {
  market = await TestMarket.open();
  const consumer = await market.consumer();
  openai = new OpenAI({ baseURL: `${market.url}/v1`, apiKey: consumer.key, maxRetries: 0 });
  await market.agent(await market.provider(), [`${CHAT}=rehearsal:tokens=5,calls`]);
});
afterAll(async () => {
  await market.close();
});

describe('a response', () => {
  it('comes whole, repeating what was asked', async () => {
    const response = await openai.responses.create({
      model: 'glm-4.7-flash',
      instructions: 'Be brief.',
      input: 'Hello',
      metadata: { purpose: 'test' },
      store: true,
    });
    expect(response.output_text).toBe(rehearsedText(5));
    expect(response).toMatchObject({
      object: 'response',
      model: CHAT,
      status: 'completed',
      instructions: 'Be brief.',
      metadata: { purpose: 'test' },
      store: false,
      usage: { output_tokens: 5 },
    });
  });

  it('streams events in order, and says when a limit cut it off', async () => {
    const stream = openai.responses.stream({
      model: CHAT,
      input: [{ role: 'user', content: [{ type: 'input_text', text: 'Hello' }] }],
      max_output_tokens: 3,
    });
    const types: string[] = [];
    let numbers = 0;
    for await (const event of stream) {
      types.push(event.type);
      expect(event.sequence_number).toBe(numbers++);
    }
    expect(types.slice(0, 4)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
    ]);
    expect(types.slice(-4)).toEqual([
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ]);
    const final = await stream.finalResponse();
    expect(final).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      usage: { output_tokens: 3 },
    });
    expect(final.output_text).toBe(rehearsedText(3));
  });

  it.each([true, false])('calls a tool and hears its result (streamed: %s)', async (streamed) => {
    const create = (input: OpenAI.Responses.ResponseInput) =>
      streamed
        ? openai.responses.stream({ model: CHAT, tools: TOOLS, input }).finalResponse()
        : openai.responses.create({ model: CHAT, tools: TOOLS, input });
    const question = { role: 'user' as const, content: 'How is the weather?' };
    const first = await create([question]);
    expect(first.output).toMatchObject([
      { type: 'function_call', call_id: 'call_rehearsed', name: 'weather', arguments: '{"place":"swan"}' },
    ]);
    const second = await create([
      question,
      ...(first.output as OpenAI.Responses.ResponseInput),
      { type: 'function_call_output', call_id: 'call_rehearsed', output: 'Rain.' },
    ]);
    expect(second.output_text).toBe(rehearsedText(5));
  });

  it.each([
    ['an earlier response', { previous_response_id: 'resp_1' }, 'previous_response_id'],
    ['a tool of the service', { tools: [{ type: 'web_search' as const }] }, 'tools[0].type'],
    ['an answer later', { background: true }, 'background'],
  ])('is refused when it asks for %s', async (_what, over, param) => {
    const asked = openai.responses.create({ model: CHAT, input: 'Hi', ...over });
    await expect(asked).rejects.toMatchObject({ status: 400, param });
  });
});
