import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Hardware } from '#wire/agent/messages.ts';
import type { Requirements } from '#wire/requirements.ts';
import type { Backend } from './backends/backend.ts';
import type { RunProgram } from './hardware.ts';
import { type Found, fingerprintOf } from './requirements.ts';
import type { ModelSetting } from './settings.ts';

/**
 * Finds out what a pinned model really is. Only what is pinned is looked at: hashing a file of weights takes a minute. A
 * file is hashed once for as long as it does not change.
 */
export function pinLookUp(parts: {
  program: RunProgram;
  hardware: Hardware | undefined;
}): (setting: ModelSetting, backend: Backend, pinned: Requirements) => Promise<Found> {
  const hashes = new Map<string, Promise<string | undefined>>();
  const hashOf = async (file: string): Promise<string | undefined> => {
    try {
      const { size, mtimeMs, ino } = await stat(file);
      const name = [file, size, mtimeMs, ino].join(' ');
      const known = hashes.get(name) ?? sha256(file);
      hashes.set(name, known);
      return await known;
    } catch {
      return undefined;
    }
  };
  return async (setting, backend, pinned) => {
    const { source, container } = setting;
    const isFile = source.kind === 'embedded';
    const isIdentified = pinned.engine_version !== undefined || pinned.tokenizer_fingerprint !== undefined;
    const { engineVersion, tokens } = (isIdentified && (await backend.identify?.())) || {};
    return {
      hardware: parts.hardware,
      engine: backend.facts.engine,
      contextLength: setting.contextLength ?? backend.facts.contextLength,
      engineVersion,
      tokenizerFingerprint: tokens && fingerprintOf(tokens),
      weightsSha256: pinned.weights_sha256 && isFile ? await hashOf(source.path) : undefined,
      imageDigest: pinned.image_digest && container ? await imageOf(parts.program, container) : undefined,
    };
  };
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

async function imageOf(program: RunProgram, container: string): Promise<string | undefined> {
  for (const runtime of ['docker', 'podman']) {
    const printed = await program(runtime, ['inspect', '--format', '{{.Image}}', '--', container]);
    const digest = printed?.trim().replace(/^(?!sha256:)/, 'sha256:');
    if (digest !== undefined && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  }
  return undefined;
}
