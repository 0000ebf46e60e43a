import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { addressOf } from '#chain/local-chain.ts';
import { signText } from '#chain/wallet-signature.ts';
import { readConfig } from '#config/config.ts';
import type { Hex } from '#domain/hex.ts';
import { Sealed } from '#kit/sealed.ts';
import { anyChain } from './chain-session.ts';
import { ask, walletKey } from './claim.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { writeReport } from './report.ts';

interface Options {
  market: string;
  provider: string;
  owner?: boolean;
  keyFile?: string;
  demo?: boolean;
  json?: boolean;
}

/** `cygnet wallet`: for providers. Needs no market of one's own: the text comes from the market, the signature goes there. */
export function wallet(command: Command): void {
  command
    .command('prove')
    .description('sign a text of the market with a wallet, so that payouts go there or its collateral counts')
    .option('--market <url>', 'the market', 'http://127.0.0.1:8100')
    .requiredOption('--provider <file>', 'a file with your provider key, sk-prov-…')
    .option('--owner', 'prove the owner address, which collateral comes from, and not where payouts go')
    .option('--key-file <file>', "a file with the wallet's private key (default: CYGNET_WALLET_KEY)")
    .option('--demo', 'use the demo wallet of the local chain')
    .action(async (_options: unknown, self: Command) => {
      const options = self.optsWithGlobals<Options>();
      const config = readConfig();
      const chain = options.demo ? await anyChain(config) : undefined;
      try {
        const key = walletKey(options, config.walletKey, chain?.demoWallets[0]);
        const { market } = options;
        const providerKey = providerKeyIn(options.provider);
        const purpose = options.owner ? 'owner' : 'beneficiary';
        const proven = await proveWallet({ market, providerKey, purpose, key });
        const sentence =
          purpose === 'owner'
            ? `${proven.address} is your owner address.`
            : proven.next_payout_from === null
              ? `Payouts go to ${proven.payout_address}.`
              : `Payouts go to ${proven.next_payout_address} from ${proven.next_payout_from} on, until then to ${proven.payout_address}.`;
        writeReport({ value: proven, lines: [sentence] }, options.json ?? false);
      } finally {
        await chain?.close();
      }
    });
}

/** Fetches the text, signs it, hands the signature in. */
export async function proveWallet(parts: {
  market: string;
  providerKey: Sealed<string>;
  purpose: 'owner' | 'beneficiary';
  key: Sealed<Hex>;
}): Promise<ProvenWallet> {
  const { market, providerKey: key, purpose } = parts;
  const address = addressOf(parts.key);
  const { nonce, message } = await ask<{ nonce: string; message: string }>(
    market,
    '/api/v1/provider/wallet/challenge',
    { key, body: { purpose, address } },
  );
  // A market that asks for another signature than of its own text about this wallet gets none.
  if (!message.startsWith(`${new URL(market).host} wants you to sign in`) && !isLocal(market)) {
    throw new Refusal('The market asks for a signature under the name of another.');
  }
  if (!message.toLowerCase().includes(address)) throw new Refusal('The text is about another wallet.');
  const signature = await signText(parts.key, message);
  return await ask(market, '/api/v1/provider/wallet/prove', { key, body: { nonce, signature } });
}

interface ProvenWallet {
  readonly purpose: string;
  readonly address: string;
  readonly owner_address: string;
  readonly payout_address: string;
  readonly next_payout_address: string;
  readonly next_payout_from: string | null;
}

/** A market on this machine may go by another name than the one it is public under. */
function isLocal(market: string): boolean {
  return ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(market).hostname);
}

function providerKeyIn(file: string): Sealed<string> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Refusal(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
  if (!/^sk-prov-\S+$/.test(text)) throw new WrongUsage(`${file} holds no provider key (sk-prov-…).`);
  return new Sealed(text);
}
