import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import { announcedBatch } from '#chain/distributor.ts';
import { openChain } from '#chain/rpc.ts';
import { parseAddress } from '#domain/hex.ts';
import { type OnChain, verifyClaims } from '#settlement/verify.ts';
import { Refusal } from './refusal.ts';
import { writeReport } from './report.ts';

interface Options {
  previous?: string;
  rpc?: string;
  contract?: string;
  json?: boolean;
}

/** `cygnet verify FILE`. Needs neither a market nor its database. Ends with 1 when something is wrong. */
export function verify(command: Command): void {
  command
    .argument('<file>', 'the claims file of a batch')
    .option('--previous <file>', 'the claims file of the batch before')
    .option('--rpc <url>', 'an RPC server: compare with what the contract announced')
    .option('--contract <address>', 'the distributor, as you know it: the file must name the same')
    .action(async (file: string, _options: Options, self: Command) => {
      const options = self.optsWithGlobals<Options>();
      const { contract, chainId, token, batch } = await headerOf(file);
      if (options.contract !== undefined && parseAddress(options.contract) !== contract) {
        throw new Refusal(`The file is of the contract ${contract}.`);
      }
      let onChain: OnChain | undefined;
      if (options.rpc !== undefined) {
        const chain = await openChain({ urls: [options.rpc], chainId });
        onChain = await announcedBatch(chain, { distributor: contract, token }, batch);
        if (!onChain) throw new Refusal(`The contract ${contract} never announced batch ${batch}.`);
      }
      const verdict = await verifyClaims(file, {
        ...(options.previous !== undefined && { previous: options.previous }),
        ...(onChain && { onChain }),
      });
      if (!verdict.ok) process.exitCode = 1;
      const { accounts, total, increase, root, claimsHash, findings } = verdict;
      const lines = [
        `${verdict.ok ? 'Right' : 'WRONG'}: batch ${batch} of ${contract} on chain ${chainId}.`,
        `${accounts} accounts, total ${total}, increase ${increase}`,
        `root ${root}`,
        `SHA-256 ${claimsHash}`,
        ...(onChain ? [] : ['Not compared with the chain: name a server with --rpc.']),
        ...findings,
      ];
      writeReport({ value: verdict, lines }, options.json === true);
    });
}

/** What is needed to ask the chain. The verifier judges the header for itself. */
async function headerOf(file: string): Promise<{
  contract: `0x${string}`;
  token: `0x${string}`;
  chainId: number;
  batch: number;
}> {
  const handle = await open(file).catch((error: Error) => {
    throw new Refusal(`${file} cannot be read: ${error.message}`);
  });
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4_096), 0, 4_096, 0);
    const [first = ''] = buffer.toString('latin1', 0, bytesRead).split('\n');
    const raw = JSON.parse(first) as Record<string, unknown>;
    const [contract, token] = [raw['contract'], raw['token']].map((text) => parseAddress(String(text)));
    const { chainId, batch } = raw;
    if (contract && token && Number.isSafeInteger(chainId) && Number.isSafeInteger(batch)) {
      return { contract, token, chainId: chainId as number, batch: batch as number };
    }
  } catch {
    // Said below.
  } finally {
    await handle.close();
  }
  throw new Refusal(`${file} is no claims file.`);
}
