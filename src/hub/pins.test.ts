import { expect, test } from 'vitest';
import type { RegisterRead } from '#wire/agent/messages.ts';
import { contradiction } from './pins.ts';

const SHA = 'a'.repeat(64);
const NAME = 'org/model';
const register = (declared: object, hashed?: object): RegisterRead =>
  ({
    model_declarations: [{ schema_version: '1', model_id: NAME, ...declared }],
    ...(hashed && { model_hashes: [{ model_id: NAME, ...hashed }] }),
  }) as unknown as RegisterRead;
const STATED = register({
  engine: 'vllm',
  weight_hash: SHA,
  hash_algo: 'sha256',
  input_modalities: [{ type: 'text', max_context_length: { value: 8_192, unit: 'token' } }],
});

test.each<[string, Record<string, string | number> | undefined, RegisterRead, string | undefined]>([
  ['nothing', undefined, STATED, undefined],
  ['what it states', { engine: 'vllm', weights_sha256: SHA, min_context_length: 8_192 }, STATED, undefined],
  ['other weights', { weights_sha256: 'b'.repeat(64) }, STATED, 'pinned to other weights'],
  ['another engine', { engine: 'sglang' }, STATED, 'pinned to the engine sglang'],
  ['more context', { min_context_length: 16_384 }, STATED, 'pinned to a context of at least 16384'],
  ['more memory', { min_vram_gb: 48 }, STATED, 'pinned to at least 48 GB'],
  ['a rounded card’s memory', { min_vram_gb: 24 }, STATED, undefined],
  ['what it says nothing of', { engine: 'vllm', weights_sha256: SHA }, register({}), undefined],
  [
    'weights hashed in another way',
    { weights_sha256: SHA },
    register({}, { weight_hash: 'x', hash_algo: 'md5' }),
    undefined,
  ],
  ['a pin from tomorrow', { phase_of_moon: 'full' }, STATED, undefined],
])(
  'an agent is refused a model that is pinned to %s only where it contradicts itself',
  (_what, requirements, said, refused) => {
    const about = { name: NAME, totalGb: 23, toleranceGb: 1 };
    expect(contradiction({ requirements }, said, about)).toBe(refused);
  },
);
