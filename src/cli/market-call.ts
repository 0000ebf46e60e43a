import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { request } from 'undici';
import { readConfig } from '#config/config.ts';
import { Sealed } from '#kit/sealed.ts';
import { Refusal } from './refusal.ts';

/**
 * Commands that ask a running market what only it knows, over the same REST as everybody: with a provider's key about
 * that provider, or with an operator's login about any.
 */
export interface CallOptions {
  readonly market?: string;
  readonly keyFile: string;
  readonly provider?: string;
}

/** Adds the options that say which market is asked, and by whom. */
export function asksMarket(command: Command): Command {
  return command
    .requiredOption(
      '--key-file <file>',
      "a file with the provider's key, or with an operator's login token; - reads standard input",
    )
    .option('--provider <id>', 'about whom, for operators')
    .option('--market <url>', 'the market (default: the one of this machine)');
}

/** The path of a question about the asker itself, or about the provider that an operator names. */
export function aboutWhom({ provider }: CallOptions, what: string): string {
  return provider === undefined
    ? `/api/v1/provider/${what}`
    : `/api/v1/operator/providers/${encodeURIComponent(provider)}/${what}`;
}

/** Asks; the answer has the shape that `wire/console.ts` states for the path. */
export async function askMarket({ keyFile, market }: CallOptions, path: string): Promise<unknown> {
  const base = market ?? `http://127.0.0.1:${readConfig().gatewayPort}`;
  const answer = await request(new URL(path, base), {
    headersTimeout: 30_000,
    headers: { authorization: `Bearer ${secretIn(keyFile).open()}` },
  }).catch((error: Error) => {
    throw new Refusal(`The market at ${base} does not answer: ${error.message}`);
  });
  const body = (await answer.body.json().catch(() => undefined)) as
    | { error?: string | { message?: string } }
    | undefined;
  if (answer.statusCode === 200 && body) return body;
  const { error } = body ?? {};
  const said = typeof error === 'string' ? error : error?.message;
  throw new Refusal(said ?? `The market answered ${answer.statusCode}.`);
}

/** A secret is read from a file: on the command line, every user of this machine could see it. */
function secretIn(file: string): Sealed<string> {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (error) {
    throw new Refusal(`The key file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
  if (!/^[\x21-\x7e]{1,500}$/.test(text))
    throw new Refusal('A key has 1 to 500 printable characters, without spaces.');
  return new Sealed(text);
}
