import { expect, test } from 'vitest';
import type { Requirements } from '#wire/requirements.ts';
import { type Found, unmet } from './requirements.ts';

const RTX = { vram_gb: 23, gpu_count: 1, compute_capability: '8.9' };
const SHA = 'a'.repeat(64);

test.each<[string, Requirements, Found, number]>([
  ['nothing', {}, {}, 0],
  ['the weights that are there', { weights_sha256: SHA }, { weightsSha256: SHA }, 0],
  ['other weights', { weights_sha256: SHA }, { weightsSha256: 'b'.repeat(64) }, 1],
  ['weights that nobody knows', { weights_sha256: SHA }, {}, 1],
  ['24 GB, and a card that reports 23', { min_vram_gb: 24 }, { hardware: RTX }, 0],
  ['48 GB, and two such cards', { min_vram_gb: 48 }, { hardware: { ...RTX, gpu_count: 2 } }, 0],
  ['48 GB, and one', { min_vram_gb: 48 }, { hardware: RTX }, 1],
  ['memory, and no GPU', { min_vram_gb: 8 }, {}, 1],
  ['an older capability', { min_compute_capability: '8.0' }, { hardware: RTX }, 0],
  ['a newer capability', { min_compute_capability: '10.0' }, { hardware: RTX }, 1],
  ['a capability, and an Apple', { min_compute_capability: '8.0' }, { hardware: { vram_gb: 64 } }, 1],
  ['the engine that runs', { engine: 'vllm' }, { engine: 'vllm' }, 0],
  ['another engine', { engine: 'vllm' }, { engine: 'ollama' }, 1],
  ['another version of it', { engine_version: '0.11.0' }, { engineVersion: '0.10.2' }, 1],
  ['the version that runs', { engine_version: '0.11.0' }, { engineVersion: '0.11.0' }, 0],
  ['the tokenizer that is there', { tokenizer_fingerprint: SHA }, { tokenizerFingerprint: SHA }, 0],
  ['a tokenizer that nobody can see', { tokenizer_fingerprint: SHA }, {}, 1],
  ['more context', { min_context_length: 32_768 }, { contextLength: 4_096 }, 1],
  ['context enough', { min_context_length: 32_768 }, { contextLength: 32_768 }, 0],
  ['an image', { image_digest: `sha256:${SHA}` }, { imageDigest: `sha256:${SHA}` }, 0],
  ['two things that are not so', { engine: 'vllm', min_vram_gb: 80 }, { hardware: RTX }, 2],
])('a model that is pinned to %s', (_what, pinned, found, count) => {
  expect(unmet(pinned, found)).toHaveLength(count);
});
