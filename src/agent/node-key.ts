import { createECDH } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Randomness } from '#kit/random.ts';

/** The Swan agent's name for its key file, so that a folder of that agent keeps its node identity. */
const FILE = 'private_key';
const SECRET_BYTES = 32;

/**
 * The identity of this machine towards a hub: the uncompressed secp256k1 public key, as 130 hex characters, of a secret
 * that is kept in `folder` and made there on the first run. It names the node; it does not prove who is paid (the
 * provider's key does). Two machines with a copy of one folder would evict each other from the hub.
 *
 * Throws when the file is there but holds no secret, rather than becoming somebody else in silence.
 */
export function nodeId(folder: string, randomness: Randomness): string {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, FILE);
  const known = read(file);
  if (known !== undefined) return publicKey(known);
  // Written aside and linked into place: a second process, or a death in between, never sees half a file.
  const aside = path.join(folder, `.${FILE}-${randomness.bytes(8).toString('hex')}`);
  writeFileSync(aside, validSecret(randomness).toString('hex'), { mode: 0o600, flag: 'wx', flush: true });
  try {
    linkSync(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  return publicKey(read(file) as string);
}

function read(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const hex = text.replace(/^0x/i, '');
  if (!/^[0-9a-fA-F]{64}$/.test(hex))
    throw new Error(`${file} does not hold a node key. Move it away to get a new one.`);
  return hex;
}

function validSecret(randomness: Randomness): Buffer {
  for (;;) {
    const secret = randomness.bytes(SECRET_BYTES);
    try {
      createECDH('secp256k1').setPrivateKey(secret);
      return secret;
    } catch {
      // Zero or beyond the order of the curve: one in 2^128.
    }
  }
}

function publicKey(secretHex: string): string {
  const curve = createECDH('secp256k1');
  curve.setPrivateKey(secretHex, 'hex');
  return curve.getPublicKey('hex', 'uncompressed');
}
