import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { request } from 'undici';
import { Sender } from '#chain/client.ts';
import {
  batchInForce,
  batchWaiting,
  claimedBy,
  claimIntent,
  tokenBalance,
  tokenDecimals,
} from '#chain/distributor.ts';
import { addressOf } from '#chain/local-chain.ts';
import { type Chain, openChain } from '#chain/rpc.ts';
import { MemoryTransactionStore } from '#chain/transactions.ts';
import { readConfig } from '#config/config.ts';
import { privateKey } from '#config/secrets.ts';
import type { Address, Hex } from '#domain/hex.ts';
import { systemClock } from '#kit/clock.ts';
import type { Sealed } from '#kit/sealed.ts';
import type { ProofAnswer } from '#wire/settlements.ts';
import { anyChain } from './chain-session.ts';
import { Refusal } from './refusal.ts';
import { iso, moment, writeReport } from './report.ts';
import { tokens } from './settlements.ts';

const POLL_MS = 100;
const WAIT_S = 120;

interface Options {
  market: string;
  rpc?: string;
  contract?: string;
  keyFile?: string;
  demo?: boolean;
  rewards?: boolean;
  json?: boolean;
}

/**
 * `cygnet claim`: collects what a provider's wallet was promised. Needs no market of one's own: the proof comes from the
 * market over REST, the rest is between the wallet and the contract, which checks the proof. A market that lies can make the
 * claim fail and nothing else; the contract pays what the root says, to the account it says, once.
 */
export function claim(command: Command): void {
  command
    .option('--market <url>', 'the market', 'http://127.0.0.1:8100')
    .option('--rpc <url>', 'an RPC server of the chain (default: CYGNET_CHAIN_RPC, or the local chain)')
    .option('--contract <address>', 'the distributor, as you know it: the market must name the same')
    .option('--key-file <file>', "a file with the wallet's private key (default: CYGNET_WALLET_KEY)")
    .option('--rewards', 'claim rewards, in SWAN, and no earnings')
    .option('--demo', 'claim with the demo wallet of the local chain')
    .action(async (_options: Options, self: Command) => {
      const options = self.optsWithGlobals<Options>();
      const config = readConfig();
      const ours = options.rpc === undefined ? await anyChain(config) : undefined;
      try {
        const key = walletKey(options, config.walletKey, ours?.demoWallets[0]);
        const account = addressOf(key);
        const urls = options.rpc === undefined ? ours?.rpcUrls : [options.rpc];
        if (!urls) throw new Refusal('Name an RPC server of the chain with --rpc.');
        const listed = await ask<{ chain_id: number; contract: Hex; token: Hex }>(
          options.market,
          `/api/v1/settlements${seriesOf(options.rewards)}`,
        );
        const place = { distributor: listed.contract, token: listed.token };
        const known = options.contract?.toLowerCase() ?? ours?.distributor;
        if (known !== undefined && known !== place.distributor) {
          throw new Refusal(`The market names the contract ${place.distributor}, and you know ${known}.`);
        }
        const chain = await openChain({ urls, chainId: listed.chain_id });
        const { maxFeePerGas } = config.chain;
        const claimed = await claimFor({
          market: options.market,
          chain,
          place,
          key,
          maxFeePerGas,
          rewards: options.rewards,
        });
        const { batch, paid, hash } = claimed;
        const decimals = await tokenDecimals(chain, place.token);
        const balance = await tokenBalance(chain, place.token, account);
        const next = paid > 0n ? undefined : await batchWaiting(chain, place);
        const waiting = next && next.number > 0 ? next : undefined;
        const sentences = [
          paid > 0n
            ? `${account} was paid ${tokens(paid, decimals)} tokens.`
            : batch === 0
              ? 'No batch is in force yet: there is nothing to claim.'
              : `There is nothing for ${account} to claim: batch ${batch} promises it no more than it has.`,
        ];
        if (waiting) {
          sentences.push(
            `Batch ${waiting.number} is in its time lock until ${moment(waiting.activeAt * 1_000)} UTC; then ask again.`,
          );
        }
        const value = {
          account,
          batch,
          paid,
          balance,
          transaction: hash ?? null,
          waiting: waiting ? { batch: waiting.number, in_force_at: iso(waiting.activeAt * 1_000) } : null,
        };
        writeReport({ value, lines: sentences }, options.json === true);
      } finally {
        await ours?.close();
      }
    });
}

/** Collects what the batch in force owes to the wallet of `key`: nothing (0) when that was collected before. */
export async function claimFor(parts: {
  market: string;
  chain: Chain;
  place: { distributor: Address; token: Address };
  key: Sealed<Hex>;
  maxFeePerGas: bigint;
  /** Of the batches of rewards. */
  rewards?: boolean | undefined;
}): Promise<{ batch: number; paid: bigint; hash: Hex | undefined }> {
  const { market, chain, place, key, maxFeePerGas } = parts;
  const account = addressOf(key);
  const { number: batch } = await batchInForce(chain, place);
  if (batch === 0) return { batch, paid: 0n, hash: undefined };
  const series = seriesOf(parts.rewards);
  const proof = await ask<ProofAnswer>(
    market,
    `/api/v1/settlements/${batch}/proof/${account}${series}`,
  ).catch((error: unknown) => {
    if (error instanceof Refusal && error.message.includes('promises nothing')) return undefined;
    throw error;
  });
  const cumulative = BigInt(proof?.cumulative ?? '0');
  const paid = cumulative - (await claimedBy(chain, place, account));
  if (!proof || paid <= 0n) return { batch, paid: 0n, hash: undefined };
  const sender = new Sender({
    chain,
    // A claim that was sent and not seen through does no harm to a second: the contract pays the difference.
    store: new MemoryTransactionStore(),
    key,
    clock: systemClock,
    settings: { confirmations: 1, maxFeePerGas, replaceAfterMs: 30_000 },
  });
  const { id } = await sender.send(claimIntent(place, { account, cumulative, proof: proof.proof }));
  const { status, hash } = await sender.settled(id, POLL_MS, AbortSignal.timeout(WAIT_S * 1_000));
  if (status !== 'done') throw new Refusal(`The claim was ${status}.`);
  return { batch, paid, hash };
}

const seriesOf = (rewards: boolean | undefined): string => (rewards ? '?asset=SWAN' : '');

/** The key of the wallet that a command works for: of a file, of the environment, or of the local chain. */
export function walletKey(
  options: { keyFile?: string; demo?: boolean },
  given: Sealed<Hex> | undefined,
  demo: Sealed<Hex> | undefined,
): Sealed<Hex> {
  if (options.demo) {
    if (!demo) throw new Refusal('There is no local chain here, and so no demo wallet.');
    return demo;
  }
  if (options.keyFile === undefined) {
    if (given) return given;
    throw new Refusal("Name the wallet's key: CYGNET_WALLET_KEY, --key-file, or --demo.");
  }
  let text: string;
  try {
    text = readFileSync(options.keyFile, 'utf8').trim();
  } catch (error) {
    throw new Refusal(`${options.keyFile} cannot be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
  try {
    return privateKey(text);
  } catch {
    throw new Refusal(`${options.keyFile} holds no private key: 0x and 64 hexadecimal digits.`);
  }
}

/** Asks a market over REST; with a body, as whoever has the key. Refuses, in the market's words, when it does. */
export async function ask<T>(
  market: string,
  path: string,
  sent?: { key: Sealed<string>; body: object },
): Promise<T> {
  const answer = await request(new URL(path, market), {
    headersTimeout: 30_000,
    ...(sent && {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${sent.key.open()}` },
      body: JSON.stringify(sent.body),
    }),
  }).catch((error: Error) => {
    throw new Refusal(`The market at ${market} does not answer: ${error.message}`);
  });
  const body = (await answer.body.json().catch(() => undefined)) as
    | { data?: T; error?: string | { message?: string } }
    | undefined;
  if (answer.statusCode !== 200 || !body?.data) {
    const said = typeof body?.error === 'string' ? body.error : body?.error?.message;
    throw new Refusal(said ?? `The market answered ${answer.statusCode}.`);
  }
  return body.data;
}
