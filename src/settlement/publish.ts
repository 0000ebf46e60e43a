import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Address, Hex } from '#domain/hex.ts';
import { Fault } from '#kit/fault.ts';
import { type ClaimLine, type ClaimsHeader, encodeClaims } from '#wire/claims.ts';
import type { ClaimRow } from './batch.ts';

export interface PublishedClaims {
  readonly file: string;
  /** SHA-256 of the file: the `claimsHash` on chain. */
  readonly hash: Hex;
  readonly bytes: number;
}

/** The name of a batch's file: `claims-<token>-<batch>.jsonl`. */
export function claimsFileName(token: Address, batch: number): string {
  return `claims-${token}-${String(batch).padStart(6, '0')}.jsonl`;
}

/**
 * Writes the claims file of a batch into `folder`, whole or not at all, and durably. Doing it again changes nothing. Throws
 * when the batch was published with another content: what is published never changes.
 */
export async function publishClaims(
  folder: string,
  header: ClaimsHeader,
  rows: readonly ClaimRow[],
): Promise<PublishedClaims> {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, claimsFileName(header.token, header.batch));
  // Whoever asks for a file writes it where it is missing: two at once, and each has a file of its own to write.
  writings += 1;
  const partial = `${file}.${process.pid}.${writings}.partial`;
  const digest = createHash('sha256');
  let bytes = 0;
  const handle = await open(partial, 'w', 0o644);
  try {
    for (const chunk of encodeClaims(header, rows)) {
      digest.update(chunk);
      bytes += chunk.length;
      await handle.writeFile(chunk);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const hash: Hex = `0x${digest.digest('hex')}`;
  if (existsSync(file)) {
    await rm(partial);
    const present = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    if (`0x${present}` === hash) return { file, hash, bytes };
    throw new Fault('internal', {
      inner: `${file} was published with another content (${present}); a batch never changes.`,
    });
  }
  await rename(partial, file);
  await syncFolder(folder);
  return { file, hash, bytes };
}

/** Of this process. */
let writings = 0;

/** Reads a claims file that we published. For files of others there is `verify.ts`. */
export async function readClaims(file: string): Promise<{ header: ClaimsHeader; rows: ClaimRow[] }> {
  const [first = '', ...lines] = (await readFile(file, 'latin1')).trimEnd().split('\n');
  const rows = lines.map((line) => {
    const [account, cumulative, increase] = JSON.parse(line) as ClaimLine;
    return { account, cumulative: BigInt(cumulative), increase: BigInt(increase) };
  });
  return { header: JSON.parse(first) as ClaimsHeader, rows };
}

/** A rename is durable when its folder is. Windows cannot open folders, and needs no such thing. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
