import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Clock, Timer } from './clock.ts';
import type { Logger } from './log.ts';

/**
 * A certificate and its key, as files that somebody else renews. They are read at the start, again every so often, and
 * when asked (SIGHUP). New connections get the new pair; those that are open go on under the one they began with. A pair
 * that cannot be used, because only half of it was written yet or because it is broken, changes nothing: the last good
 * one stays, and the log says why.
 */
export class TlsFiles {
  readonly #files: TlsFileNames;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #servers = new Set<TakesContext>();
  readonly #looks: Timer;
  #texts: Texts;
  #complaint: string | undefined;

  /** Reads the files. Throws `TlsProblem`, in a sentence that names the file, when they cannot be used. */
  constructor(files: TlsFileNames, parts: { clock: Clock; log: Logger; lookEveryMs?: number }) {
    this.#files = files;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#texts = readTexts(files);
    this.#tellExpiry();
    this.#looks = parts.clock.every(parts.lookEveryMs ?? LOOK_EVERY_MS, () => this.reload());
  }

  /** For a server that is being made. With a client CA only clients whose certificate it signed are let in. */
  options(): TlsOptions {
    const byClients = this.#files.clientCa !== undefined;
    return {
      ...contextOf(this.#texts),
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      ...(byClients && { requestCert: true, rejectUnauthorized: true }),
    };
  }

  /** From now on `server` hears of new certificates. */
  serve(server: TakesContext): void {
    this.#servers.add(server);
  }

  /** Reads the files again. */
  reload(): 'changed' | 'same' | 'refused' {
    let texts: Texts;
    try {
      texts = readTexts(this.#files);
    } catch (error) {
      const complaint = error instanceof Error ? error.message : 'unknown';
      // Once for each reason: a broken pair is met at every look.
      if (complaint !== this.#complaint)
        this.#log.error(
          { why: complaint },
          'The TLS files cannot be used: the last good ones stay in force.',
        );
      this.#complaint = complaint;
      return 'refused';
    }
    this.#complaint = undefined;
    const before = this.#texts;
    if (texts.cert === before.cert && texts.key === before.key && texts.ca === before.ca) return 'same';
    this.#texts = texts;
    for (const server of this.#servers) server.setSecureContext(contextOf(texts));
    this.#log.info('New TLS files are in force for new connections.');
    this.#tellExpiry();
    return 'changed';
  }

  close(): void {
    this.#looks.cancel();
    this.#servers.clear();
  }

  #tellExpiry(): void {
    const validTo = validToOf(this.#texts.cert);
    if (Date.parse(validTo) - this.#clock.wallMs() < SOON_MS)
      this.#log.warn({ file: this.#files.cert, validTo }, 'The TLS certificate has expired or soon will.');
  }
}

/** Files that cannot be used; the message is for the operator and holds nothing of a key. */
export class TlsProblem extends Error {
  override name = 'TlsProblem';
}

export interface TlsFileNames {
  /** PEM: the certificate, then those that lead to its root. */
  readonly cert: string;
  /** PEM, without a passphrase. */
  readonly key: string;
  /** PEM: who must have signed a client's certificate. Undefined: clients need none. */
  readonly clientCa?: string | undefined;
}

/** What a server of node:https is made with. */
export type TlsOptions = SecureContextOptions & {
  handshakeTimeout: number;
  requestCert?: boolean;
  rejectUnauthorized?: boolean;
};

interface TakesContext {
  setSecureContext(options: SecureContextOptions): void;
}

const LOOK_EVERY_MS = 30_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const SOON_MS = 14 * 86_400_000;

interface Texts {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
}

function contextOf({ cert, key, ca }: Texts): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) };
}

function readTexts(files: TlsFileNames): Texts {
  const texts = {
    cert: readText(files.cert),
    key: readText(files.key),
    ca: files.clientCa === undefined ? undefined : readText(files.clientCa),
  };
  try {
    // Also finds a key that is not the certificate's.
    createSecureContext(contextOf(texts));
    validToOf(texts.cert);
  } catch (error) {
    const { code } = error as { code?: string };
    throw new TlsProblem(
      `The certificate in ${files.cert} and the key in ${files.key} cannot be used together (${code ?? 'unreadable'}).`,
    );
  }
  if (texts.ca !== undefined && !texts.ca.includes('-----BEGIN CERTIFICATE-----'))
    throw new TlsProblem(`${files.clientCa} holds no certificate in PEM.`);
  return texts;
}

/** When a certificate ends. Throws on what is none. */
function validToOf(cert: string): string {
  return new X509Certificate(cert).validTo;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new TlsProblem(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}
