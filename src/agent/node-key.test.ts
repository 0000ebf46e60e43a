import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seededRandomness } from '#kit/random.ts';
import { nodeId } from './node-key.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cygnet-key-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the identity of a node', () => {
  it('is made once, kept for the owner alone, and leaves nothing else behind', () => {
    const id = nodeId(folder, seededRandomness(1));
    expect(id).toMatch(/^04[0-9a-f]{128}$/);
    expect(nodeId(folder, seededRandomness(2))).toBe(id);
    expect(readdirSync(folder)).toEqual(['private_key']);
    expect(statSync(path.join(folder, 'private_key')).mode & 0o077).toBe(0);
  });

  it('is the public key of the secret: a known pair', () => {
    writeFileSync(path.join(folder, 'private_key'), `0x${'0'.repeat(63)}1\n`);
    // The generator of secp256k1 (SEC 2, section 2.4.1).
    expect(nodeId(folder, seededRandomness(1))).toBe(
      '0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798' +
        '483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8',
    );
  });

  it('is never replaced because its file is damaged', () => {
    writeFileSync(path.join(folder, 'private_key'), 'half a ke');
    expect(() => nodeId(folder, seededRandomness(1))).toThrow('does not hold a node key');
  });
});
