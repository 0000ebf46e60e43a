import { createReadStream } from 'node:fs';
import path from 'node:path';
import { parseAddress } from '#domain/hex.ts';
import { Fault } from '#kit/fault.ts';
import type { ClaimsDesk } from '#settlement/claims-desk.ts';
import type { Settlement } from '#settlement/store.ts';
import { settlementQuery } from '#wire/console.ts';
import type { ProofAnswer, SettlementAnswer } from '#wire/settlements.ts';
import type { ConsoleRooms } from './rooms.ts';
import { enveloped, type Route, route } from './route.ts';

const LISTED = 100;

/**
 * Settlements, for anybody to check: the batches, their claims files byte for byte, and the proof of an account. None
 * of it is secret: it all stands on chain, or follows from what does. Rewards have batches of their own: `?asset=SWAN`.
 */
export function settlementRoutes(rooms: ConsoleRooms): Route[] {
  const open = { access: 'public', errors: 'object', query: settlementQuery } as const;
  const deskOf = ({ asset }: { asset: 'USD' | 'SWAN' }): ClaimsDesk => {
    const desk = asset === 'SWAN' ? rooms.rewardClaims : rooms.claims;
    if (desk) return desk;
    throw new Fault('thing-unknown', {
      outer: rooms.claims ? 'This market settles no rewards.' : 'This market settles on no chain.',
    });
  };
  const batchOf = async (desk: ClaimsDesk, params: Readonly<Record<string, string>>): Promise<Settlement> => {
    const text = params['batch'] ?? '';
    const found = /^[1-9]\d{0,14}$/.test(text) ? await desk.find(Number(text)) : undefined;
    if (!found) throw new Fault('thing-unknown', { outer: 'There is no such batch.' });
    return found;
  };

  return [
    route('GET /api/v1/settlements', open, async (visit) => {
      const desk = deskOf(visit.query);
      const { chainId, contract, token } = desk.scope;
      const settlements = await desk.list(LISTED);
      return enveloped({ chain_id: chainId, contract, token, settlements: settlements.map(settlementBody) });
    }),
    route('GET /api/v1/settlements/:batch', open, async (visit) =>
      enveloped(settlementBody(await batchOf(deskOf(visit.query), visit.params))),
    ),
    route('GET /api/v1/settlements/:batch/claims', open, async (visit) => {
      const desk = deskOf(visit.query);
      const file = await desk.fileOf(await batchOf(desk, visit.params));
      visit.reply
        .type('application/x-ndjson')
        .header('content-disposition', `attachment; filename="${path.basename(file)}"`);
      return createReadStream(file);
    }),
    route('GET /api/v1/settlements/:batch/proof/:account', open, async (visit) => {
      const desk = deskOf(visit.query);
      const settlement = await batchOf(desk, visit.params);
      const account = parseAddress(visit.params['account'] ?? '');
      if (!account)
        throw new Fault('request-invalid', { outer: 'The account is no address.', param: 'account' });
      const found = await desk.proofOf(settlement, account);
      if (!found) throw new Fault('thing-unknown', { outer: 'This batch promises nothing to that account.' });
      const { chainId, contract, token } = desk.scope;
      const answer: ProofAnswer = {
        chain_id: chainId,
        contract,
        token,
        batch: settlement.number,
        account,
        cumulative: found.cumulative.toString(),
        increase: found.increase.toString(),
        proof: found.proof,
      };
      return enveloped(answer);
    }),
  ];
}

function settlementBody(settlement: Settlement): SettlementAnswer {
  return {
    batch: settlement.number,
    day: settlement.day,
    state: settlement.state,
    cut: settlement.cut.toString(),
    accounts: settlement.accounts,
    increase: settlement.increase.toString(),
    total: settlement.total.toString(),
    decimals: settlement.decimals,
    root: settlement.root,
    claims_hash: settlement.claimsHash,
    made_at: new Date(settlement.madeAt).toISOString(),
  };
}
