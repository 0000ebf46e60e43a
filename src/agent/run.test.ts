import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { startAgent } from '#support/agent.ts';
import { eventsOf, TinyHub, textOf } from '#support/tiny-hub.ts';

let hub: TinyHub;
beforeEach(async () => {
  hub = await TinyHub.open({ extension: true });
});
afterEach(() => hub.close());

describe('an agent with the shipped model', () => {
  it('declares what it found out, and streams real answers over the line', async () => {
    const file = path.join(packageRoot(), 'models', 'cygnet-nano-q8_0.gguf');
    const agent = await startAgent(hub.url, [`cygnet-nano=${file}`]);
    try {
      expect(await agent.registered).toMatchObject({ models: ['cygnet-nano'], extension: true });
      expect((await hub.message('register')).payload).toMatchObject({
        model_hashes: [{ model_id: 'cygnet-nano', context_length: 512, context_source: 'detected' }],
        model_declarations: [
          {
            schema_version: '1',
            model_id: 'cygnet-nano',
            engine: 'llama.cpp',
            capacity: [{ type: 'concurrency', unit: 'request', value: 4 }],
          },
        ],
      });
      const streams = [30, 31, 32, 33, 34, 35].map((n) =>
        hub.job({ messages: [{ role: 'user', content: `What is ${n} + 12?` }] }, { model: 'cygnet-nano' }),
      );
      for (const [i, stream] of streams.entries()) {
        const end = await hub.ended(stream);
        expect(textOf(eventsOf(stream.sse))).toBe(`${30 + i} + 12 = ${42 + i}.`);
        expect(end).toMatchObject({ status: 200, usage: { completion_tokens: stream.tokens } });
      }
    } finally {
      await agent.close();
    }
  }, 15_000);
});

describe('an agent that cannot start', () => {
  it('says which file is missing', async () => {
    await expect(startAgent(hub.url, ['m=/nowhere/model.gguf'])).rejects.toThrow('no model file');
  });
});
