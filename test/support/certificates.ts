// The library of certificates expects it to be loaded first.
// oxlint-disable-next-line import/no-unassigned-import
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** An authority of a test, with a folder for what it signs. */
export class TestAuthority {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'cygnet-ca-'));
  /** The PEM file of the authority itself. */
  readonly file = path.join(this.folder, 'ca.pem');
  readonly pem: string;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #name: string;
  #serial = 1;

  private constructor(name: string, keys: webcrypto.CryptoKeyPair, pem: string) {
    this.#name = name;
    this.#keys = keys;
    this.pem = pem;
    writeFileSync(this.file, pem);
  }

  static async make(name: string): Promise<TestAuthority> {
    const keys = await newKeys();
    const root = await X509CertificateGenerator.createSelfSigned(
      {
        name: `CN=${name}`,
        serialNumber: '01',
        notBefore: new Date(Date.now() - DAY_MS),
        notAfter: new Date(Date.now() + 365 * DAY_MS),
        signingAlgorithm: ALGORITHM,
        keys,
        extensions: [
          new BasicConstraintsExtension(true, 1, true),
          new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        ],
      },
      webcrypto,
    );
    return new TestAuthority(name, keys, root.toString('pem'));
  }

  /** Signs a certificate for this machine and writes it and its key; `days` below 0: it has expired. */
  async sign(name: string, days = 100): Promise<{ cert: string; key: string }> {
    const keys = await newKeys();
    const made = await X509CertificateGenerator.create(
      {
        subject: `CN=${name}`,
        issuer: `CN=${this.#name}`,
        serialNumber: (++this.#serial).toString(16).padStart(2, '0'),
        notBefore: new Date(Date.now() - 200 * DAY_MS),
        notAfter: new Date(Date.now() + days * DAY_MS),
        signingAlgorithm: ALGORITHM,
        publicKey: keys.publicKey,
        signingKey: this.#keys.privateKey,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new SubjectAlternativeNameExtension([
            { type: 'dns', value: 'localhost' },
            { type: 'ip', value: '127.0.0.1' },
          ]),
        ],
      },
      webcrypto,
    );
    const files = { cert: path.join(this.folder, `${name}.pem`), key: path.join(this.folder, `${name}.key`) };
    writeFileSync(files.cert, made.toString('pem'));
    const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    const lines = der.match(/.{1,64}/g)?.join('\n');
    writeFileSync(files.key, `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`);
    return files;
  }

  /** Removes everything it wrote. */
  forget(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const DAY_MS = 86_400_000;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}
