import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Backend } from './backends/backend.ts';
import { pinLookUp } from './pin-look-up.ts';
import type { ModelSetting } from './settings.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-pins-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const SHA = 'a'.repeat(64);
const BACKEND = { facts: { engine: 'vllm', contextLength: 4_096 } } as unknown as Backend;
const setting = (more: Partial<ModelSetting>): ModelSetting => ({
  id: 'a',
  source: { kind: 'openai-compatible', url: 'http://h', localName: undefined, apiKey: undefined },
  concurrency: undefined,
  contextLength: undefined,
  format: undefined,
  quantization: undefined,
  ...more,
});
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

test('a file is hashed where that is pinned, and again once it has changed', async () => {
  const file = path.join(folder, 'a.gguf');
  writeFileSync(file, 'weights');
  const lookUp = pinLookUp({ program: () => Promise.resolve(undefined), hardware: undefined });
  const source = { kind: 'embedded', path: file, sequences: 1, threads: 1, gpu: false } as const;
  const pinned = setting({ source });
  expect(await lookUp(pinned, BACKEND, { weights_sha256: SHA })).toMatchObject({
    weightsSha256: sha256('weights'),
    engine: 'vllm',
  });
  writeFileSync(file, 'other weights');
  expect(await lookUp(pinned, BACKEND, { weights_sha256: SHA })).toMatchObject({
    weightsSha256: sha256('other weights'),
  });
  expect((await lookUp(setting({ source }), BACKEND, {})).weightsSha256).toBeUndefined();
  rmSync(file);
  expect((await lookUp(pinned, BACKEND, { weights_sha256: SHA })).weightsSha256).toBeUndefined();
});

test('the image of a container is what docker says, or podman where there is no docker', async () => {
  const asked: string[] = [];
  const lookUp = pinLookUp({
    program: (file, words) => {
      asked.push([file, ...words].join(' '));
      return Promise.resolve(file === 'podman' ? `${SHA}\n` : undefined);
    },
    hardware: undefined,
  });
  const requirements = { image_digest: `sha256:${SHA}` };
  expect(await lookUp(setting({ container: 'box' }), BACKEND, requirements)).toMatchObject({
    imageDigest: `sha256:${SHA}`,
  });
  expect(asked).toEqual([
    'docker inspect --format {{.Image}} -- box',
    'podman inspect --format {{.Image}} -- box',
  ]);
  expect((await lookUp(setting({}), BACKEND, requirements)).imageDigest).toBeUndefined();
});

test('what a setting says of the context wins over what a server says', async () => {
  const lookUp = pinLookUp({ program: () => Promise.resolve(undefined), hardware: { vram_gb: 24 } });
  expect(await lookUp(setting({ contextLength: 8_192 }), BACKEND, {})).toMatchObject({
    contextLength: 8_192,
    hardware: { vram_gb: 24 },
  });
});
