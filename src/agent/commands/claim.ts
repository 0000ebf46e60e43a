import { readFileSync } from 'node:fs';
import { type Address, type Hex, parseAddress } from '#domain/hex.ts';
import { type Clock, pause } from '#kit/clock.ts';
import { claimCall, claimedCall, inForceCall, inForceNumber } from '../claim-call.ts';
import type { AgentEnv } from '../env.ts';
import { askChain, askNumber, type Signer, signer } from '../json-rpc.ts';
import type { Market } from '../market.ts';
import { SettingsError } from '../settings.ts';
import { type AccessOptions, withMarket } from './access.ts';
import { type Answer, usd } from './print.ts';

/**
 * `cygnet agent claim`: what the market's batches promise to the provider's wallet, and collecting it. The proof comes from the
 * market, the rest is between the wallet and the contract, which pays what its root says and nothing else: a market that lies
 * can make a claim fail. Claiming twice pays once, since the contract pays the difference to what it paid before.
 */
export interface ClaimOptions extends AccessOptions {
  readonly wallet?: string | undefined;
  readonly setWallet?: string | undefined;
  readonly rpc?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly contract?: string | undefined;
}

const WAIT_MS = 120_000;
const POLL_MS = 500;

export async function claim(options: ClaimOptions, env: AgentEnv, clock: Clock): Promise<Answer> {
  const key = walletKey(options, env);
  return await withMarket(options, env, async ({ market, key: providerKey }) => {
    if (options.setWallet !== undefined) {
      const wallet = addressOf('--set-wallet', options.setWallet);
      await market.setAddress(providerKey, { beneficiary_address: wallet });
      return {
        value: { beneficiary_address: wallet },
        lines: [`Earnings are paid to ${wallet} from now on.`],
      };
    }
    const signing = key === undefined ? undefined : await signer(key);
    const me = await market.me(providerKey);
    const account =
      signing?.address ??
      (options.wallet === undefined
        ? parseAddress(me.beneficiary_address || me.owner_address || '')
        : addressOf('--wallet', options.wallet));
    if (account === undefined)
      throw new SettingsError('No wallet is set at the market. Set one: cygnet agent claim --set-wallet 0x…');
    const promised = await promisedTo(market, account, options);
    if (!promised) {
      const stats = await market.stats(providerKey).catch(() => undefined);
      return {
        value: { account, promised: '0', claimable: '0' },
        lines: [
          `No batch that is in force promises anything to ${account}. Earned until now: ${usd(stats?.total_earnings_usdc)}. Days are settled after midnight UTC, above the market's minimum.`,
        ],
      };
    }
    if (options.rpc === undefined) return byHand(promised, undefined);
    const paid = await paidBy(options.rpc, promised);
    if (paid >= promised.cumulative)
      return {
        value: { ...described(promised), claimable: '0' },
        lines: [
          `Everything that was promised to ${account} is paid: ${tokens(paid, promised.decimals)} tokens.`,
        ],
      };
    if (!signing) return byHand(promised, paid);
    const hash = await send(options.rpc, promised, signing, clock);
    const got = promised.cumulative - paid;
    return {
      value: { ...described(promised), claimable: `${got}`, transaction: hash },
      lines: [`${account} was paid ${tokens(got, promised.decimals)} tokens in ${hash}.`],
    };
  });
}

interface Promised {
  readonly chainId: number;
  readonly contract: Address;
  readonly token: Address;
  readonly decimals: number;
  readonly batch: number;
  readonly account: Address;
  readonly cumulative: bigint;
  readonly call: Hex;
}

async function promisedTo(
  market: Market,
  account: Address,
  { contract: known, rpc }: ClaimOptions,
): Promise<Promised | undefined> {
  const listed = await market.settlements();
  if (!listed) throw new SettingsError(`The market at ${market.url} settles on no chain.`);
  const contract = addressOf('the contract', listed.contract);
  const token = addressOf('the token', listed.token);
  if (known !== undefined && addressOf('--contract', known) !== contract)
    throw new SettingsError(`The market names the contract ${contract}, and you know ${known}.`);
  // A batch that is published is paid from when its time lock is over: the contract knows which one that is now.
  const number =
    rpc === undefined
      ? Math.max(
          0,
          ...listed.settlements.filter(({ state }) => state === 'confirmed').map(({ batch }) => batch),
        )
      : await inForce(rpc, listed.chain_id, contract, token);
  const proof = number === 0 ? undefined : await market.proof(number, account);
  if (!proof) return undefined;
  const cumulative = BigInt(proof.cumulative);
  return {
    chainId: listed.chain_id,
    contract,
    token,
    decimals: listed.settlements.find(({ batch }) => batch === number)?.decimals ?? 0,
    batch: number,
    account,
    cumulative,
    call: claimCall({ token, account, cumulative, proof: proof.proof as Hex[] }),
  };
}

async function inForce(rpc: string, chainId: number, contract: Address, token: Address): Promise<number> {
  const id = await askNumber(rpc, 'eth_chainId', []);
  if (Number(id) !== chainId)
    throw new SettingsError(`The chain at ${rpc} is ${id}, and the market settles on ${chainId}.`);
  const call = { to: contract, data: inForceCall(token) };
  return inForceNumber(await askChain<Hex>(rpc, 'eth_call', [call, 'latest']));
}

async function paidBy(rpc: string, { contract, token, account }: Promised): Promise<bigint> {
  return await askNumber(rpc, 'eth_call', [{ to: contract, data: claimedCall(token, account) }, 'latest']);
}

async function send(
  rpc: string,
  { chainId, contract, call }: Promised,
  signing: Signer,
  clock: Clock,
): Promise<Hex> {
  const [nonce, gas, block] = await Promise.all([
    askNumber(rpc, 'eth_getTransactionCount', [signing.address, 'latest']),
    askNumber(rpc, 'eth_estimateGas', [{ from: signing.address, to: contract, data: call }]),
    askChain<{ baseFeePerGas?: Hex }>(rpc, 'eth_getBlockByNumber', ['latest', false]),
  ]);
  const tip = await askNumber(rpc, 'eth_maxPriorityFeePerGas', []).catch(() => 1_000_000n);
  const raw = await signing.sign({
    chainId,
    nonce: Number(nonce),
    to: contract,
    data: call,
    gas: (gas * 12n) / 10n,
    maxPriorityFeePerGas: tip,
    maxFeePerGas: 2n * BigInt(block.baseFeePerGas ?? '0x0') + tip,
  });
  const hash = await askChain<Hex>(rpc, 'eth_sendRawTransaction', [raw]);
  const until = clock.nowMs() + WAIT_MS;
  while (clock.nowMs() < until) {
    const receipt = await askChain<{ status: Hex }>(rpc, 'eth_getTransactionReceipt', [hash]).catch(
      () => undefined,
    );
    if (receipt) {
      if (BigInt(receipt.status) !== 1n) throw new Error(`The transaction ${hash} failed.`);
      return hash;
    }
    await pause(clock, POLL_MS);
  }
  throw new Error(
    `The transaction ${hash} is sent, and in no block after two minutes. Look at it again later.`,
  );
}

function byHand(promised: Promised, paid: bigint | undefined): Answer {
  const { account, cumulative, decimals, contract, chainId, call, batch } = promised;
  const open = paid === undefined ? undefined : cumulative - paid;
  return {
    value: { ...described(promised), ...(open !== undefined && { claimable: `${open}` }) },
    lines: [
      `Batch ${batch} promises ${account} ${tokens(cumulative, decimals)} tokens since ever${open === undefined ? '' : `, of which ${tokens(open, decimals)} are not collected yet`}.`,
      'Collect them, once the batch is in force, with any wallet by this call; it pays to that account whoever sends it:',
      `  chain ${chainId}, to ${contract}, data ${call}`,
      'Or here: set CYGNET_WALLET_KEY (or --key-file), and name the chain with --rpc <url>.',
    ],
  };
}

function described({ chainId, contract, token, batch, account, cumulative, call }: Promised): object {
  return { account, batch, chain_id: chainId, contract, token, promised: `${cumulative}`, call };
}

function tokens(units: bigint, decimals: number): string {
  const text = units.toString().padStart(decimals + 1, '0');
  const whole = text.slice(0, text.length - decimals);
  const part = text.slice(text.length - decimals).replace(/0+$/, '');
  return part === '' ? whole : `${whole}.${part}`;
}

function addressOf(what: string, text: string): Address {
  const address = parseAddress(text);
  if (!address) throw new SettingsError(`${what} ${text}: an address is 0x and 40 hexadecimal digits.`);
  return address;
}

function walletKey({ keyFile }: ClaimOptions, env: AgentEnv): Hex | undefined {
  let text = env.CYGNET_WALLET_KEY;
  if (keyFile !== undefined) {
    try {
      text = readFileSync(keyFile, 'utf8').trim();
    } catch (error) {
      throw new SettingsError(`${keyFile} cannot be read (${(error as NodeJS.ErrnoException).code}).`, {
        cause: error,
      });
    }
  }
  if (text === undefined) return undefined;
  const key = text.startsWith('0x') ? text : `0x${text}`;
  // Never with the text itself: it may be a key with a letter too many.
  if (!/^0x[0-9a-fA-F]{64}$/.test(key))
    throw new SettingsError('The wallet key is 0x and 64 hexadecimal digits, and this is not.');
  return key as Hex;
}
