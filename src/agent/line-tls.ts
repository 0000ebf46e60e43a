import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { TlsSettings } from './settings.ts';

/**
 * What the line to a hub is secured with, from the files as they are now. Throws, in a sentence that names the file, when
 * they cannot be used.
 */
export function readTls({ ca, cert, key }: TlsSettings): SecureContextOptions {
  const options: SecureContextOptions = {
    minVersion: 'TLSv1.2',
    ...(ca !== undefined && { ca: readText(ca) }),
    ...(cert !== undefined && key !== undefined && { cert: readText(cert), key: readText(key) }),
  };
  try {
    createSecureContext(options);
  } catch (error) {
    const files = [ca, cert, key].filter((file) => file !== undefined).join(', ');
    throw new Error(`The TLS files ${files} cannot be used (${(error as { code?: string }).code}).`, {
      cause: error,
    });
  }
  return options;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  }
}
