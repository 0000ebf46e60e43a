import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';

/**
 * Keeps secrets of others that must be sent on and so cannot be hashed: AES-256-GCM under a key derived (HKDF-SHA256) from
 * this market's secret. Each is bound to a context (whose it is, where it may be sent) that must be given again to open
 * it. A sealed text names the secret it was sealed under, so a new secret can be brought in while texts of the old one
 * are still read.
 */
export class SecretBox {
  readonly #random: Randomness;
  readonly #current: Derived;
  readonly #known: ReadonlyMap<string, Derived>;

  /** `former` secrets open what was sealed under them; nothing is sealed under them any more. */
  constructor(parts: { secret: Sealed<string>; former?: readonly Sealed<string>[]; random: Randomness }) {
    this.#random = parts.random;
    this.#current = derive(parts.secret);
    const all = [this.#current, ...(parts.former ?? []).map(derive)];
    this.#known = new Map(all.map((each) => [each.id, each]));
  }

  /**
   * How this market is named to others that its requests pass, and then how under its former secrets. All its processes
   * have the same names, and nobody else has; they tell nothing of the secret.
   */
  get marketNames(): readonly string[] {
    return [...this.#known.values()].map(({ marketName }) => marketName);
  }

  /** How it is named now. */
  get marketName(): string {
    return this.#current.marketName;
  }

  seal(text: Sealed<string>, context: string): { secretId: string; sealed: Buffer } {
    const nonce = this.#random.bytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#current.key, nonce);
    cipher.setAAD(Buffer.from(context));
    const body = Buffer.concat([cipher.update(text.open(), 'utf8'), cipher.final()]);
    return { secretId: this.#current.id, sealed: Buffer.concat([nonce, cipher.getAuthTag(), body]) };
  }

  /** Undefined when the secret is not known here, or the text or its context was changed. */
  open(kept: { secretId: string; sealed: Buffer }, context: string): Sealed<string> | undefined {
    const derived = this.#known.get(kept.secretId);
    if (!derived || kept.sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const decipher = createDecipheriv(CIPHER, derived.key, kept.sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(kept.sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    try {
      const body = kept.sealed.subarray(NONCE_BYTES + TAG_BYTES);
      return new Sealed(Buffer.concat([decipher.update(body), decipher.final()]).toString());
    } catch {
      return undefined;
    }
  }
}

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

interface Derived {
  /** Tells secrets apart; says nothing about them. */
  readonly id: string;
  readonly key: Buffer;
  readonly marketName: string;
}

function derive(secret: Sealed<string>): Derived {
  const key = Buffer.from(hkdfSync('sha256', secret.open(), 'cygnet', 'external endpoint keys', 32));
  const id = createHash('sha256').update('id').update(key).digest('hex').slice(0, 8);
  const name = Buffer.from(hkdfSync('sha256', secret.open(), 'cygnet', 'name on the way', 8));
  return { id, key, marketName: `cygnet-${name.toString('hex')}` };
}
