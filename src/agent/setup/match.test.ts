import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { packageRoot } from '#kit/package-root.ts';
import { matches, sureMatch } from './match.ts';

const catalogue = (
  JSON.parse(readFileSync(path.join(packageRoot(), 'data', 'catalogue.json'), 'utf8')) as {
    models: { id: string; slug: string }[];
  }
).models;
const taken = (name: string, size?: string) => sureMatch(matches(name, catalogue, size))?.id;

describe('a name that a server gives a model', () => {
  test.each([
    // The id itself, whatever its case.
    ['Qwen/Qwen3-8B', 'Qwen/Qwen3-8B'],
    ['qwen/qwen3-8b', 'Qwen/Qwen3-8B'],
    ['zai-org/GLM-4.7-Flash', 'zai-org/GLM-4.7-Flash'],
    // Ollama.
    ['qwen3:8b', 'Qwen/Qwen3-8B'],
    ['qwen3:8b-q4_K_M', 'Qwen/Qwen3-8B'],
    ['qwen3:14b-q8_0', 'Qwen/Qwen3-14B'],
    ['qwen3:32b-fp16', 'Qwen/Qwen3-32B'],
    ['qwen3:30b-a3b-instruct-2507-q4_K_M', 'Qwen/Qwen3-30B-A3B-Instruct-2507'],
    ['qwen3-coder:30b', 'Qwen/Qwen3-Coder-30B-A3B-Instruct'],
    ['qwen3-coder:30b-a3b-q4_K_M', 'Qwen/Qwen3-Coder-30B-A3B-Instruct'],
    ['qwen3-next:80b', 'Qwen/Qwen3-Next-80B-A3B-Instruct'],
    ['qwen3-vl:8b', 'Qwen/Qwen3-VL-8B-Instruct'],
    ['qwen3-vl:8b-instruct-q4_K_M', 'Qwen/Qwen3-VL-8B-Instruct'],
    ['qwen2.5:7b', 'Qwen/Qwen2.5-7B-Instruct'],
    ['qwen2.5:7b-instruct-q5_K_M', 'Qwen/Qwen2.5-7B-Instruct'],
    ['qwen2.5:14b', 'Qwen/Qwen2.5-14B-Instruct'],
    ['qwen2.5:72b-instruct-q4_0', 'Qwen/Qwen2.5-72B-Instruct'],
    ['qwen2.5-coder:32b', 'Qwen/Qwen2.5-Coder-32B-Instruct'],
    ['qwen2.5vl:7b', 'Qwen/Qwen2.5-VL-7B-Instruct'],
    ['llama3.1:8b', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['llama3.1:8b-instruct-q4_0', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['llama3.2:1b', 'meta-llama/Llama-3.2-1B-Instruct'],
    ['llama3.2:3b-instruct-q8_0', 'meta-llama/Llama-3.2-3B-Instruct'],
    ['llama3.3:70b', 'meta-llama/Llama-3.3-70B-Instruct'],
    ['llama3.2-vision:11b', 'meta-llama/Llama-3.2-11B-Vision-Instruct'],
    ['mistral:7b-instruct-v0.3-q4_K_M', 'mistralai/Mistral-7B-Instruct-v0.3'],
    ['mistral:7b', 'mistralai/Mistral-7B-Instruct-v0.3'],
    ['mistral-nemo:12b', 'mistralai/Mistral-Nemo-Instruct-2407'],
    ['mixtral:8x7b', 'mistralai/Mixtral-8x7B-Instruct-v0.1'],
    ['mistral-small3.2:24b', 'mistralai/Mistral-Small-3.2-24B-Instruct-2506'],
    ['devstral:24b', 'mistralai/Devstral-Small-2507'],
    ['gemma2:9b', 'google/gemma-2-9b-it'],
    ['gemma2:9b-instruct-q4_K_M', 'google/gemma-2-9b-it'],
    ['gemma3:1b', 'google/gemma-3-1b-it'],
    ['gemma3:4b', 'google/gemma-3-4b-it'],
    ['gemma3:27b-it-qat', 'google/gemma-3-27b-it'],
    ['phi4:latest', 'microsoft/phi-4'],
    ['phi4:14b', 'microsoft/phi-4'],
    ['phi4-mini:3.8b', 'microsoft/Phi-4-mini-instruct'],
    ['granite3.3:8b', 'ibm-granite/granite-3.3-8b-instruct'],
    ['olmo2:13b', 'allenai/OLMo-2-1124-13B-Instruct'],
    ['gpt-oss:20b', 'openai/gpt-oss-20b'],
    ['gpt-oss:120b', 'openai/gpt-oss-120b'],
    ['deepseek-r1:32b', 'deepseek-ai/DeepSeek-R1-Distill-Qwen-32B'],
    ['bge-m3:latest', 'BAAI/bge-m3'],
    ['bge-large:335m', 'BAAI/bge-large-en-v1.5'],
    ['nomic-embed-text', 'nomic-ai/nomic-embed-text-v1.5'],
    ['mxbai-embed-large:latest', 'mixedbread-ai/mxbai-embed-large-v1'],
    ['all-minilm', 'sentence-transformers/all-MiniLM-L6-v2'],
    ['snowflake-arctic-embed2', 'Snowflake/snowflake-arctic-embed-l-v2.0'],
    ['embeddinggemma:300m', 'google/embeddinggemma-300m'],
    ['qwen3-embedding:0.6b', 'Qwen/Qwen3-Embedding-0.6B'],
    ['qwen3-embedding:8b', 'Qwen/Qwen3-Embedding-8B'],
    // Packed by others, for vLLM, SGLang and TGI.
    ['unsloth/Qwen3-8B-GGUF', 'Qwen/Qwen3-8B'],
    ['Qwen/Qwen3-8B-FP8', 'Qwen/Qwen3-8B'],
    ['Qwen/Qwen3-32B-AWQ', 'Qwen/Qwen3-32B'],
    ['Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4', 'Qwen/Qwen2.5-7B-Instruct'],
    ['Qwen/Qwen3-30B-A3B-Instruct-2507-FP8', 'Qwen/Qwen3-30B-A3B-Instruct-2507'],
    ['hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8', 'meta-llama/Llama-3.3-70B-Instruct'],
    ['mlx-community/Meta-Llama-3.1-8B-Instruct-4bit', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['nvidia/Llama-3_3-Nemotron-Super-49B-v1_5-FP8', 'nvidia/Llama-3_3-Nemotron-Super-49B-v1_5'],
    ['zai-org/GLM-4.5-Air-FP8', 'zai-org/GLM-4.5-Air'],
    ['openai/gpt-oss-20b', 'openai/gpt-oss-20b'],
    ['TheDrummer/Cydonia-24B-v4.1-GGUF', 'TheDrummer/Cydonia-24B-v4.1'],
    ['NousResearch/Hermes-4-70B-FP8', 'NousResearch/Hermes-4-70B'],
    ['moonshotai/Kimi-K2-Instruct-0905', 'moonshotai/Kimi-K2-Instruct-0905'],
    // Files, for llama.cpp's server.
    ['Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['/models/Qwen2.5-7B-Instruct', 'Qwen/Qwen2.5-7B-Instruct'],
    ['C:\\models\\qwen3-14b-q5_k_m.gguf', 'Qwen/Qwen3-14B'],
    ['gemma-3-27b-it-UD-Q4_K_XL.gguf', 'google/gemma-3-27b-it'],
    ['Llama-3.3-70B-Instruct-IQ2_XXS.gguf', 'meta-llama/Llama-3.3-70B-Instruct'],
    ['Qwen3-235B-A22B-Instruct-2507-Q4_K_M-00001-of-00003.gguf', 'Qwen/Qwen3-235B-A22B-Instruct-2507'],
    ['gpt-oss-20b-mxfp4.gguf', 'openai/gpt-oss-20b'],
    ['cygnet-nano-q8_0.gguf', 'cygnet/cygnet-nano'],
    // Sound and images.
    ['Systran/faster-whisper-large-v3', 'openai/whisper-large-v3'],
    ['whisper-large-v3-turbo', 'openai/whisper-large-v3-turbo'],
    ['flux-1-schnell', 'black-forest-labs/FLUX.1-schnell'],
  ])('%s is %s', (name, id) => {
    expect(taken(name)).toBe(id);
  });

  test.each([
    // Its like is in the catalogue, and it is another model.
    'qwen2.5:32b',
    'Qwen/Qwen2.5-VL-72B-Instruct',
    'qwen2.5-coder:7b',
    'qwen3:4b',
    'Qwen/Qwen3-8B-Base',
    'Qwen/Qwen3-4B-Instruct-2507',
    'Qwen/Qwen3-30B-A3B-Thinking-2507',
    'llama3:8b',
    'llama2:7b',
    'codellama:7b',
    'llama3.1:70b',
    'meta-llama/Llama-3.1-8B',
    'Qwen/Qwen2.5-7B',
    'google/gemma-3-27b-pt',
    'nvidia/Llama-3.1-Nemotron-70B-Instruct',
    'mistral-small:24b',
    'mixtral:8x22b',
    'gemma:7b',
    'gemma3n:e4b',
    'phi3:14b',
    'phi4-reasoning:14b',
    'deepseek-r1:8b',
    'deepseek-r1:7b',
    'deepseek-v3.1:671b',
    'deepseek-ai/DeepSeek-V3.2-Exp',
    'moonshotai/Kimi-K2-Thinking',
    'bge-large-zh-v1.5',
    'whisper-medium',
    'distil-large-v3.5',
    'FLUX.1-dev',
    'stable-diffusion-3.5-large-turbo',
    'TheDrummer/Cydonia-24B-v4.2',
    'gpt-4o',
    'my-finetune',
    'model',
    '',
  ])('%j is none of ours', (name) => {
    expect(taken(name)).toBeUndefined();
  });

  it('with its size told by the server is known where the name does not say it', () => {
    expect(taken('gemma3:latest', '4.3B')).toBe('google/gemma-3-4b-it');
    expect(taken('qwen2.5', '7.6B')).toBe('Qwen/Qwen2.5-7B-Instruct');
    expect(taken('llama3.2:latest', '3.2B')).toBe('meta-llama/Llama-3.2-3B-Instruct');
    expect(taken('gpt-oss:latest', '20.9B')).toBe('openai/gpt-oss-20b');
    expect(taken('deepseek-r1:latest', '8.2B')).toBeUndefined();
  });

  it('that fits several equally well is suggested, and not taken', () => {
    const found = matches('gemma3', catalogue);
    expect(found.length).toBeGreaterThan(2);
    expect(sureMatch(found)).toBeUndefined();
  });

  it('says how sure it is, and what was not said', () => {
    expect(matches('mistral:7b', catalogue)[0]).toMatchObject({ because: 'version is not said' });
    const [exact, near] = [matches('Qwen/Qwen3-8B', catalogue), matches('qwen3:8b', catalogue)];
    expect(exact[0]?.score).toBeGreaterThan(near[0]?.score as number);
  });

  it('that somebody chose to do harm takes no time', () => {
    for (const name of [
      'q4_'.repeat(50_000),
      '-'.repeat(100_000),
      'a1'.repeat(50_000),
      '_q4_k'.repeat(30_000),
    ])
      expect(sureMatch(matches(name, catalogue.slice(0, 3)))).toBeUndefined();
  });
});

test('every model of the catalogue is its own best match, by id and by slug', () => {
  for (const { id, slug } of catalogue) {
    expect(matches(id, catalogue)[0]?.id).toBe(id);
    expect([slug, matches(slug, catalogue)[0]?.id]).toEqual([slug, id]);
  }
});
