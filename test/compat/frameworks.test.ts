import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { embedMany, generateImage, generateText, stepCountIs, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { rehearsedText } from '#agent/backends/rehearsal.ts';
import { rehearsedVector } from '#agent/backends/rehearsed-whole.ts';
import { TestMarket } from '#support/market.ts';

// The frameworks that applications are written with, unmodified: only base address and key are ours.

const CHAT = 'zai-org/GLM-4.7-Flash';
const EMBEDDING = 'BAAI/bge-m3';
const IMAGE = 'Qwen/Qwen-Image';

let market: TestMarket;
let baseURL: string;
let apiKey: string;
beforeAll(async () => {
  market = await TestMarket.open();
  apiKey = (await market.consumer()).key;
  baseURL = `${market.url}/v1`;
  await market.agent(
    await market.provider(),
    [CHAT, EMBEDDING, IMAGE].map((id) => `${id}=rehearsal:tokens=5,calls`),
  );
});
afterAll(() => market.close());

describe('the Vercel AI SDK (@ai-sdk/openai-compatible)', () => {
  const provider = () => createOpenAICompatible({ name: 'cygnet', baseURL, apiKey, includeUsage: true });

  test('generates a text', async () => {
    const { text, usage } = await generateText({ model: provider()('glm-4.7-flash'), prompt: 'Hi' });
    expect(text).toBe(rehearsedText(5));
    expect(usage.outputTokens).toBe(5);
  });

  test('streams a text, with its usage', async () => {
    const result = streamText({ model: provider()(CHAT), prompt: 'Hi' });
    let text = '';
    for await (const piece of result.textStream) text += piece;
    expect(text).toBe(rehearsedText(5));
    expect(await result.usage).toMatchObject({ outputTokens: 5 });
  });

  test.each([true, false])('runs a tool and goes on (streamed: %s)', async (streamed) => {
    const called: unknown[] = [];
    const settings = {
      model: provider()(CHAT),
      prompt: 'How is the weather?',
      stopWhen: stepCountIs(3),
      tools: {
        weather: tool({
          description: 'The weather of a place.',
          inputSchema: z.object({ place: z.string() }),
          execute: (input) => {
            called.push(input);
            return 'Rain.';
          },
        }),
      },
    };
    const text = streamed ? await streamText(settings).text : (await generateText(settings)).text;
    expect(called).toEqual([{ place: 'swan' }]);
    expect(text).toBe(rehearsedText(5));
  });

  test('embeds and makes images', async () => {
    const { embeddings } = await embedMany({
      model: provider().embeddingModel(EMBEDDING),
      values: ['a', 'b'],
    });
    expect(embeddings).toEqual([rehearsedVector('a', 8), rehearsedVector('b', 8)]);
    const { image } = await generateImage({ model: provider().imageModel(IMAGE), prompt: 'a swan' });
    expect(image.mediaType).toBe('image/png');
  });
});

describe('LangChain (@langchain/openai)', () => {
  const chat = () => new ChatOpenAI({ model: CHAT, apiKey, configuration: { baseURL }, maxRetries: 0 });

  test('invokes and streams', async () => {
    const whole = await chat().invoke('Hi');
    expect(whole.content).toBe(rehearsedText(5));
    expect(whole.usage_metadata).toMatchObject({ output_tokens: 5 });
    let text = '';
    for await (const piece of await chat().stream('Hi')) text += piece.text;
    expect(text).toBe(rehearsedText(5));
  });

  test('calls a tool and hears its result', async () => {
    const weather = langchainTool(() => 'Rain.', {
      name: 'weather',
      description: 'The weather of a place.',
      schema: z.object({ place: z.string() }),
    });
    const model = chat().bindTools([weather]);
    const question = new HumanMessage('How is the weather?');
    const first = await model.invoke([question]);
    expect(first.tool_calls).toMatchObject([{ name: 'weather', args: { place: 'swan' } }]);
    const result = new ToolMessage({ content: 'Rain.', tool_call_id: first.tool_calls?.[0]?.id ?? '' });
    const second = await model.invoke([question, first, result]);
    expect(second.content).toBe(rehearsedText(5));
  });

  test('works through the Responses API', async () => {
    const model = new ChatOpenAI({
      model: CHAT,
      apiKey,
      configuration: { baseURL },
      useResponsesApi: true,
    });
    expect((await model.invoke('Hi')).text).toBe(rehearsedText(5));
    let text = '';
    for await (const piece of await model.stream('Hi')) text += piece.text;
    expect(text).toBe(rehearsedText(5));
  });

  test('embeds', async () => {
    const model = new OpenAIEmbeddings({ model: EMBEDDING, apiKey, configuration: { baseURL } });
    expect(await model.embedDocuments(['a', 'b'])).toEqual([
      rehearsedVector('a', 8),
      rehearsedVector('b', 8),
    ]);
  });
});
