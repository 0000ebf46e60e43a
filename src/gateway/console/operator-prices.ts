import type { PriceVersion } from '#catalogue/prices.ts';
import type { Model } from '#domain/model.ts';
import { decimalUsd, type Pico, parseUsd } from '#domain/money.ts';
import type { Amounts } from '#domain/price.ts';
import { Fault } from '#kit/fault.ts';
import { Sealed } from '#kit/sealed.ts';
import {
  type OperatorPricesAnswer,
  type PriceAmounts,
  type PriceSetAnswer,
  type ProposalAnswer,
  type ProposalsAnswer,
  priceConfirmRequest,
  priceProposalRequest,
} from '#wire/dashboard.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** Prices, with their history, set in two steps: proposed, and confirmed by the word that the proposal was answered with. */
export function operatorPriceRoutes(rooms: ConsoleRooms): Route[] {
  const { proposals } = rooms;
  const forOperator = { access: 'operator', errors: 'text' } as const;
  const theModel = (name: string): Model => {
    const model = rooms.models.resolve(name);
    if (!model) throw new Fault('thing-unknown', { outer: 'There is no such model.' });
    return model;
  };
  const history = async (name: string): Promise<OperatorPricesAnswer> => {
    const { id, price } = theModel(name);
    const prices = await rooms.prices(id);
    return {
      model: id,
      in_force: price.id,
      prices: prices.map((each) => ({
        id: each.id,
        price: told(each),
        effective_from: iso(each.effectiveFrom),
        set_at: iso(each.setAt),
        source: each.source,
      })),
    };
  };

  return [
    route(
      'GET /api/v1/operator/prices/:id',
      forOperator,
      async ({ params }) => await history(params['id'] ?? ''),
    ),
    route(
      'GET /api/v1/operator/prices/:org/:name',
      forOperator,
      async ({ params }) => await history(`${params['org']}/${params['name']}`),
    ),
    route(
      'GET /api/v1/operator/price-proposals',
      forOperator,
      async (): Promise<ProposalsAnswer> => ({
        proposals: (await proposals.waiting()).map((each) => ({
          id: each.id,
          model: each.modelId,
          price: told(each.amounts),
          effective_from: each.effectiveFrom === undefined ? null : iso(each.effectiveFrom),
          proposed_by: each.proposedBy,
          proposed_at: iso(each.proposedAt),
          expires_at: iso(each.expiresAt),
        })),
      }),
    ),
    route(
      'POST /api/v1/operator/price-proposals',
      { ...forOperator, body: priceProposalRequest },
      async (visit): Promise<ProposalAnswer> => {
        const { body } = visit;
        const { id: modelId } = theModel(body.model);
        const made = await proposals.propose({
          modelId,
          amounts: amountsOf(body),
          effectiveFrom: body.effective_from,
          forced: body.force,
          actor: visit.actor,
        });
        if ('refused' in made) throw new Fault('conflict', { outer: made.refused });
        const { proposal, token, before, warning } = made;
        const price = told(proposal.amounts);
        visit.changed = { before: before ? told(before) : null, after: { proposal: proposal.id, price } };
        visit.reply.code(201);
        return {
          id: proposal.id,
          model: modelId,
          price,
          effective_from: proposal.effectiveFrom === undefined ? null : iso(proposal.effectiveFrom),
          proposed_by: proposal.proposedBy,
          proposed_at: iso(proposal.proposedAt),
          expires_at: iso(proposal.expiresAt),
          before: before ? told(before) : null,
          warning: warning ?? null,
          token: token.open(),
        };
      },
    ),
    route(
      'POST /api/v1/operator/price-proposals/:id/confirm',
      { ...forOperator, body: priceConfirmRequest },
      async (visit): Promise<PriceSetAnswer> => {
        const answer = await proposals.confirm({
          id: visit.params['id'] ?? '',
          token: new Sealed(visit.body.token),
        });
        if (answer === 'unknown')
          throw new Fault('thing-unknown', { outer: 'No such proposal waits, or its token is another.' });
        if (answer === 'expired')
          throw new Fault('conflict', { outer: 'This proposal is too old: propose it again.' });
        if ('refused' in answer) throw new Fault('conflict', { outer: answer.refused });
        const { modelId, priceId, effectiveFrom } = answer;
        const set = { model: modelId, price_id: priceId, effective_from: iso(effectiveFrom) };
        visit.changed = { before: { price_id: theModel(modelId).price.id }, after: set };
        return set;
      },
    ),
    route('DELETE /api/v1/operator/price-proposals/:id', forOperator, async ({ params }) => {
      const id = params['id'] ?? '';
      if (!(await proposals.withdraw(id)))
        throw new Fault('thing-unknown', { outer: 'No such proposal waits.' });
      return { id, withdrawn: true };
    }),
  ];
}

const MILLION = 1_000_000n;
const iso = (ms: number): string => new Date(ms).toISOString();

function told(price: Amounts | PriceVersion): PriceAmounts {
  return price.unit === 'token'
    ? {
        input_price: decimalUsd(price.inputPico * MILLION),
        output_price: decimalUsd(price.outputPico * MILLION),
        request_price: null,
        minute_price: null,
      }
    : {
        input_price: null,
        output_price: null,
        request_price: decimalUsd(price.requestPico),
        minute_price: price.minutePico === undefined ? null : decimalUsd(price.minutePico),
      };
}

function amountsOf(body: {
  input_price?: string | undefined;
  output_price?: string | undefined;
  request_price?: string | undefined;
  minute_price?: string | undefined;
}): Amounts {
  const { input_price, output_price, request_price, minute_price } = body;
  if (request_price !== undefined && input_price === undefined && output_price === undefined) {
    return {
      unit: 'request',
      requestPico: parseUsd(request_price),
      ...(minute_price !== undefined && { minutePico: parseUsd(minute_price) }),
    };
  }
  if (
    input_price === undefined ||
    output_price === undefined ||
    request_price !== undefined ||
    minute_price !== undefined
  )
    throw new Fault('request-invalid', {
      outer:
        'Give input_price and output_price (dollars per million tokens), or request_price (and minute_price).',
    });
  return {
    unit: 'token',
    inputPico: perToken(input_price, 'input_price'),
    outputPico: perToken(output_price, 'output_price'),
  };
}

function perToken(text: string, param: string): Pico {
  const perMillion = parseUsd(text);
  if (perMillion % MILLION === 0n) return perMillion / MILLION;
  throw new Fault('request-invalid', {
    outer: 'A price per million tokens has at most six decimals.',
    param,
  });
}
