import { refusalOfAsk } from '#hub/external/registration.ts';
import type { ProviderDetails } from '#identity/provider-desk.ts';
import { Fault } from '#kit/fault.ts';
import {
  type AsksAnswer,
  approvalRequest,
  askRequest,
  type ProviderAnswer,
  providerChangeRequest,
  providerSignUpRequest,
} from '#wire/console.ts';
import { askBody } from './endpoints.ts';
import { nextSteps } from './provider-status.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';
import { callerOf } from './throttle.ts';

/** What a provider's program and its owner ask and say about the provider: calls 6 to 9 of the Swan agent's contract. */
export function providerRoutes(rooms: ConsoleRooms): Route[] {
  const { clock, ids, providerDesk } = rooms;
  const forProvider = { access: 'provider', errors: 'object' } as const;

  return [
    route(
      'POST /api/v1/provider/signup',
      { access: 'public', errors: 'object', body: providerSignUpRequest },
      async (visit) => {
        if (rooms.signUp === 'closed') throw new Fault('sign-up-closed');
        await rooms.tries.take([{ kind: 'provider-sign-up', name: callerOf(visit.address) }]);
        const { name, owner_address: ownerAddress } = visit.body;
        const made = await rooms.accounts.signUpProvider({ name, ownerAddress });
        if (made === 'owner-taken') {
          throw new Fault('conflict', { outer: 'A provider with this owner address exists already.' });
        }
        await rooms.providers.look(made.providerId);
        await rooms.keys.look([made.keyId]);
        // The agent takes exactly 201 for success.
        visit.reply.code(201);
        return {
          provider_id: made.providerId,
          api_key: made.secret.open(),
          key_prefix: made.prefix,
          status: made.state,
          can_connect: true,
          message: 'The provider is registered. The key is shown this once.',
          next_steps: nextSteps(made.state, false),
        };
      },
    ),
    route(
      'POST /api/v1/provider/request-approval',
      { ...forProvider, body: approvalRequest },
      async (visit) => {
        const { providerId, body, actor } = visit;
        const at = clock.wallMs();
        const answer = await providerDesk.requestApproval({
          id: ids('appr'),
          providerId,
          providerName: body.provider_name,
          hardwareSummary: body.hardware_summary,
          contactEmail: body.contact_email,
          actor,
          at,
        });
        if (answer === 'unknown') throw new Fault('thing-unknown');
        if (typeof answer === 'object') {
          throw new Fault('conflict', {
            outer: `This provider is ${answer.refused.replace('_', ' ')}: there is nothing to approve.`,
          });
        }
        await rooms.providers.look(providerId);
        return {
          provider_id: providerId,
          status: 'under_review',
          message: 'The operator has been asked.',
          requested_at: new Date(at).toISOString(),
        };
      },
    ),
    route('GET /api/v1/provider/asks', forProvider, async (visit) => asksBody(rooms, visit.providerId)),
    route('PUT /api/v1/provider/asks', { ...forProvider, body: askRequest }, async (visit) => {
      const { providerId, body, actor } = visit;
      const model = rooms.models.resolve(body.model);
      if (!model) throw new Fault('model-unknown', { param: 'model' });
      const tooDear = body.ask && refusalOfAsk(body.ask, model);
      if (tooDear) throw new Fault('request-invalid', { outer: tooDear, param: 'ask' });
      await providerDesk.ask({
        id: ids('ask'),
        providerId,
        modelId: model.id,
        amounts: body.ask ?? undefined,
        actor,
        at: clock.wallMs(),
      });
      await rooms.providers.look(providerId);
      return asksBody(rooms, providerId);
    }),
    route('GET /api/v1/provider/me', forProvider, async (visit) => {
      const details = await providerDesk.details(visit.providerId);
      if (!details) throw new Fault('thing-unknown');
      return detailsBody(details);
    }),
    route('PUT /api/v1/provider/me', { ...forProvider, body: providerChangeRequest }, async (visit) => {
      const { providerId, body, actor } = visit;
      const answer = await providerDesk.setAddresses({
        id: providerId,
        ownerAddress: body.owner_address,
        workerAddress: body.worker_address,
        beneficiaryAddress: body.beneficiary_address,
        actor,
        at: clock.wallMs(),
      });
      if (answer === 'unknown') throw new Fault('thing-unknown');
      if (answer === 'owner-set')
        throw new Fault('conflict', { outer: 'The owner address is set and cannot be changed.' });
      if (answer === 'owner-taken')
        throw new Fault('conflict', { outer: 'This owner address belongs to another provider.' });
      const details = await providerDesk.details(providerId);
      return details && detailsBody(details);
    }),
  ];
}

/** Dollars as decimal texts, as an ask is sent; a model that is not named is asked the listed price for. */
function asksBody({ providers }: ConsoleRooms, providerId: string): AsksAnswer {
  const asks = [...(providers.find(providerId)?.asks ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { asks: asks.map(([model, price]) => ({ model, ask: askBody(price) })) };
}

function detailsBody(details: ProviderDetails): ProviderAnswer {
  return {
    id: details.id,
    name: details.name,
    status: details.state,
    owner_address: details.ownerAddress ?? '',
    worker_address: details.workerAddress ?? '',
    beneficiary_address: details.beneficiaryAddress ?? '',
    description: details.description,
    created_at: new Date(details.createdAt).toISOString(),
  };
}
