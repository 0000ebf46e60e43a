import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { discover, PAGES, type Pages, serverOf } from './discover.ts';

const list = (...models: object[]) => ({ object: 'list', data: models });
const OLLAMA: Pages = {
  models: list({ id: 'qwen3:8b', object: 'model', owned_by: 'library' }, { id: 'nomic-embed-text:latest' }),
  ollamaVersion: { version: '0.12.3' },
  ollamaTags: {
    models: [
      {
        name: 'qwen3:8b',
        details: { family: 'qwen3', parameter_size: '8.2B', quantization_level: 'Q4_K_M' },
      },
      { name: 'nomic-embed-text:latest', details: { family: 'nomic-bert', parameter_size: '137M' } },
    ],
  },
  ollamaLoaded: { models: [{ name: 'qwen3:8b', context_length: 16_384 }] },
};

describe('what a server says of itself', () => {
  it('tells Ollama, with sizes, and which of its models are for embeddings', () => {
    expect(serverOf('http://h', OLLAMA)).toMatchObject({
      engine: 'ollama',
      version: '0.12.3',
      models: [
        {
          name: 'qwen3:8b',
          size: '8.2B',
          quantization: 'q4_k_m',
          isEmbedding: false,
          contextLength: 16_384,
        },
        { name: 'nomic-embed-text:latest', size: '137M', isEmbedding: true },
      ],
    });
  });

  it.each<[string, Pages, object]>([
    [
      'vLLM',
      { models: list({ id: 'm', owned_by: 'vllm', max_model_len: 32_768 }), vllm: { version: '0.11.0' } },
      { engine: 'vllm', version: '0.11.0', models: [{ contextLength: 32_768 }] },
    ],
    [
      'SGLang',
      {
        models: list({ id: 'm', owned_by: 'sglang' }),
        sglang: { model_path: 'm', context_length: 4_096, max_running_requests: 64, version: '0.5' },
      },
      { engine: 'sglang', models: [{ contextLength: 4_096, parallel: 64 }] },
    ],
    [
      'llama.cpp',
      {
        models: list({ id: 'a.gguf', owned_by: 'llamacpp' }),
        llamaCpp: { total_slots: 4, default_generation_settings: { n_ctx: 8_192 }, build_info: 'b1' },
      },
      { engine: 'llama.cpp', models: [{ contextLength: 8_192, parallel: 4 }] },
    ],
    [
      'TGI without a list of models',
      { tgi: { model_id: 'org/m', max_total_tokens: 2_048, version: '3' } },
      { engine: 'tgi', models: [{ name: 'org/m', contextLength: 2_048 }] },
    ],
    ['any other', { models: list({ id: 'm' }) }, { engine: undefined, models: [{ name: 'm' }] }],
    ['one without a model', { models: list() }, { models: [] }],
  ])('tells %s', (_what, pages, expected) => {
    expect(serverOf('http://h', pages)).toMatchObject(expected);
  });

  it('is nothing where what answers is no model server', () => {
    for (const models of [undefined, null, 5, 'x', [], {}, { data: 'x' }, { data: [{ name: 'x' }] }])
      expect(serverOf('http://h', { models })).toBeUndefined();
  });

  it('may be nonsense in every optional part', () => {
    const pages = {
      models: list({ id: 'm', max_model_len: 'long', owned_by: 7 }),
      ollamaTags: 5,
      llamaCpp: [],
      tgi: '',
    };
    expect(serverOf('http://h', pages)).toMatchObject({ engine: undefined, models: [{ name: 'm' }] });
  });
});

describe('looking at addresses', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
  const serve = async (answer: (path: string) => string | undefined): Promise<string> => {
    const server = createServer((request, response) => {
      const body = answer(request.url ?? '');
      response.statusCode = body === undefined ? 404 : 200;
      response.end(body ?? 'not here');
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  it('finds the servers that are there, and passes over what is none', async () => {
    const ollama = await serve((asked) => {
      const name = (Object.keys(PAGES) as (keyof typeof PAGES)[]).find((each) => PAGES[each] === asked);
      const page = name && OLLAMA[name];
      return page === undefined ? undefined : JSON.stringify(page);
    });
    const web = await serve(() => '<html>hello</html>');
    const closed = 'http://127.0.0.1:1';
    const found = await discover([web, closed, `${ollama}/v1`, 'no address']);
    expect(found).toMatchObject([{ url: ollama, engine: 'ollama' }]);
  });
});
