import { COLLATERAL_REQUIRED } from '#domain/collateral.ts';
import { type Pico, parseUsd } from '#domain/money.ts';
import type { CollateralDeposit } from '#funds/collateral.ts';
import { Fault } from '#kit/fault.ts';
import { collateralDepositRequest, collateralRefundRequest } from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { enveloped, type Route, route } from './route.ts';

/**
 * What providers pledge: where to (call 10 of the Swan agent), what stands (call 11, for people and not for keys), and
 * telling of a deposit. Amounts of tokens are texts in the smallest unit; of dollars, decimal texts.
 */
export function collateralRoutes(rooms: ConsoleRooms): Route[] {
  const forProvider = { access: 'provider', errors: 'text' } as const;
  const forUser = { access: 'provider-user', errors: 'text' } as const;
  const refused = (why: string): Fault =>
    new Fault('conflict', { outer: SENTENCES[why] ?? 'That cannot be done now.' });

  return [
    route('GET /api/v1/provider/collateral/contract', { access: 'public', errors: 'object' }, async () => {
      const { chain } = rooms.funds.collateral;
      return enveloped({
        chains: (chain?.assets ?? []).map(({ asset, token, decimals }) => ({
          chain_id: chain?.chain.id,
          chain_name: NAMES[chain?.chain.id ?? 0] ?? `chain ${chain?.chain.id}`,
          contract_address: chain?.contract,
          token_address: token,
          token_symbol: asset,
          token_decimals: decimals,
          min_collateral: Number(COLLATERAL_REQUIRED.basic[asset] / 10n ** BigInt(STATED_DECIMALS[asset])),
          // The market's own way to the chain may carry a key; a wallet has one of its own.
          rpc_url: '',
          explorer_url: '',
          faucet_url: '',
        })),
      });
    }),
    route('GET /api/v1/provider/collateral', forUser, async (visit) => {
      const { providerId } = visit;
      const { collateral, collateralRequired } = rooms.funds;
      const [standing, deposits] = await Promise.all([
        collateral.standingOf(providerId),
        collateral.depositsOf(providerId),
      ]);
      return enveloped({
        required: collateralRequired,
        hardware_class: standing.hardware,
        covered_percent: Number(standing.covered) / 100,
        enough: standing.enough,
        pledges: standing.pledges.map((each) => ({
          asset: each.asset,
          deposited: `${each.deposited}`,
          locked: `${each.locked}`,
          waiting: `${each.waiting}`,
          slashed: `${each.slashed}`,
          refunded: `${each.refunded}`,
          refundable_at: each.refundableAt === undefined ? null : new Date(each.refundableAt).toISOString(),
          status: statusOf(each),
        })),
        deposits: deposits.map(depositBody),
      });
    }),
    route(
      'POST /api/v1/provider/collateral/deposit',
      { ...forProvider, body: collateralDepositRequest },
      async (visit) => {
        const { body, providerId } = visit;
        const { collateral } = rooms.funds;
        const deposit =
          'tx_hash' in body
            ? await collateral.submit(providerId, {
                transaction: body.tx_hash,
                ...(body.chain_id !== undefined && { chainId: body.chain_id }),
              })
            : await collateral.announceDollars(providerId, atLeastACent(parseUsd(body.amount_usd)));
        return enveloped(depositBody(deposit));
      },
    ),
    route(
      'POST /api/v1/provider/collateral/refund',
      { ...forUser, body: collateralRefundRequest },
      async (visit) => {
        const { amount_usd: text } = visit.body;
        const asked = text === undefined ? undefined : atLeastACent(parseUsd(text));
        const answer = await rooms.funds.collateral.requestRefund(visit.providerId, asked);
        if ('refused' in answer) throw refused(answer.refused);
        return enveloped({
          status: 'refund_requested',
          refundable_at: new Date(answer.refundableAt).toISOString(),
        });
      },
    ),
    route('DELETE /api/v1/provider/collateral/refund', forUser, async (visit) => {
      const answer = await rooms.funds.collateral.cancelRefund(visit.providerId);
      if (answer !== 'cancelled') throw refused(answer.refused);
      return enveloped({ status: 'confirmed' });
    }),
  ];
}

/** The stage of a pledge, in the contract's words. */
function statusOf(pledge: { locked: bigint; waiting: bigint; refunded: bigint }): string {
  if (pledge.waiting > 0n) return 'refund_requested';
  if (pledge.locked > 0n) return 'confirmed';
  return pledge.refunded > 0n ? 'refunded' : 'slashed';
}

export function depositBody(deposit: CollateralDeposit) {
  return {
    id: deposit.id,
    method: deposit.method,
    asset: deposit.asset,
    amount: deposit.amount === null ? null : `${deposit.amount}`,
    chain_id: deposit.chainId,
    tx_hash: deposit.transaction,
    status: deposit.state,
    reason: deposit.reason,
    created_at: new Date(deposit.createdAt).toISOString(),
  };
}

function atLeastACent(amount: Pico): Pico {
  if (amount >= CENT) return amount;
  throw new Fault('request-invalid', { outer: 'The amount is at least a cent.', param: 'amount_usd' });
}

const CENT = parseUsd('0.01');
const SENTENCES: Readonly<Record<string, string>> = {
  'amount-missing': 'There are no pledged dollars to ask back.',
  'not-enough-locked': 'Less than that is pledged and not asked back yet.',
  'nothing-waiting': 'No refund is waiting.',
};
/** In which the required amounts are stated. */
const STATED_DECIMALS = { USDC: 6, USDT: 6, SWAN: 18 } as const;
const NAMES: Readonly<Record<number, string>> = {
  254: 'Swan Chain',
  31_337: 'Local chain',
  20_241_133: 'Swan Proxima',
};
