import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Randomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { SecretBox } from './secret-box.ts';

/**
 * This market's secret where the operator sets none: made once, kept in the data folder for its owner's eyes only. Whoever
 * loses it loses the upstream keys that were sealed under it, so it belongs into every backup, apart from the database's.
 * Throws when the file cannot be written, or is not what we wrote.
 */
export function secretOf(dataFolder: string, random: Randomness): Sealed<string> {
  const file = path.join(dataFolder, 'secret');
  if (!existsSync(file)) {
    mkdirSync(dataFolder, { recursive: true });
    // Whole or not at all: of two processes that begin together, the second takes the first one's.
    const draft = `${file}.${random.bytes(6).toString('hex')}`;
    writeFileSync(draft, `${random.bytes(32).toString('hex')}\n`, {
      mode: 0o600,
      flag: 'wx',
      flush: true,
    });
    try {
      linkSync(draft, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
  }
  chmodSync(file, 0o600);
  const text = readFileSync(file, 'utf8').trim();
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new Error(`${file} is damaged: it must hold 64 hexadecimal digits.`);
  return new Sealed(text);
}

/** What seals the keys of external endpoints, as the configuration says. */
export function secretBox(
  config: {
    readonly dataFolder: string;
    readonly external: {
      readonly secret: Sealed<string> | undefined;
      readonly secretFormer: Sealed<string> | undefined;
    };
  },
  random: Randomness,
): SecretBox {
  const { secret = secretOf(config.dataFolder, random), secretFormer } = config.external;
  return new SecretBox({ secret, former: secretFormer ? [secretFormer] : [], random });
}
