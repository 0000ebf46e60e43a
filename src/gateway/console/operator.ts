import { type ListedProvider, movesFrom } from '#identity/providers.ts';
import { pause } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import { providerMoveRequest } from '#wire/console.ts';
import {
  type AuditNowAnswer,
  type AuditsAnswer,
  explanationRequest,
  type OperatorProvider,
  type OperatorProviderAnswer,
  type OperatorProvidersAnswer,
} from '#wire/operator.ts';
import { runBody } from './benchmarks.ts';
import { nodesOf } from './provider-views.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';
import { chargeOf } from './sla.ts';

/** What operators see of the books, and see and decide about providers. Every decision is written down with who took it. */
export function operatorRoutes(rooms: ConsoleRooms): Route[] {
  const forOperator = { access: 'operator', errors: 'text' } as const;
  /** Providers as they are listed, with what is connected in this moment. */
  const lines = () => {
    const here = new Map<string, { online: number; inFlight: number }>();
    for (const { providerId, inFlight } of rooms.registry.everywhere()) {
      const of = here.get(providerId) ?? { online: 0, inFlight: 0 };
      here.set(providerId, { online: of.online + 1, inFlight: of.inFlight + inFlight });
    }
    return (provider: ListedProvider): OperatorProvider => ({
      id: provider.id,
      name: provider.name,
      status: provider.state,
      reason: provider.reason,
      since: iso(provider.since),
      created_at: iso(provider.createdAt),
      nodes: provider.nodes,
      online: here.get(provider.id)?.online ?? 0,
      in_flight: here.get(provider.id)?.inFlight ?? 0,
    });
  };
  return [
    route(
      'GET /api/v1/operator/providers',
      forOperator,
      async (): Promise<OperatorProvidersAnswer> => ({
        providers: (await rooms.providerDesk.list(LISTED)).map(lines()),
      }),
    ),
    route(
      'GET /api/v1/operator/providers/:id',
      forOperator,
      async (visit): Promise<OperatorProviderAnswer> => {
        const id = visit.params['id'] ?? '';
        const [details, listed] = await Promise.all([
          rooms.providerDesk.details(id),
          rooms.providerDesk.list(LISTED),
        ]);
        const provider = listed.find((each) => each.id === id);
        if (!provider || !details) throw new Fault('thing-unknown', { outer: 'There is no such provider.' });
        const [nodes, asked, runs, charges] = await Promise.all([
          nodesOf(rooms, id),
          rooms.providerDesk.asked([id]),
          rooms.benchmarks.store.latest({ providerId: id, limit: RUNS }),
          rooms.agreements.charges({ providerId: id, limit: RUNS }),
        ]);
        const request = asked.get(id);
        return {
          provider: {
            ...lines()(provider),
            region: details.region,
            description: details.description,
            owner_address: details.ownerAddress,
            beneficiary_address: details.beneficiaryAddress,
            last_connected_at: details.lastConnectedAt === null ? null : iso(details.lastConnectedAt),
            asked: request
              ? { hardware: request.hardware, contact: request.contact, at: iso(request.at) }
              : null,
          },
          may_become: movesFrom(provider.state),
          nodes,
          runs: runs.map((run) => ({ provider_id: run.providerId, ...runBody(run) })),
          charges: charges.map((each) => ({ ...chargeOf(each), provider: each.providerId })),
        };
      },
    ),
    route('POST /api/v1/operator/audits', forOperator, async (visit): Promise<AuditNowAnswer> => {
      const made = rooms.audits.now().then((balanced) => ({ balanced }));
      // A large ledger takes longer than anybody waits for: it goes on, and stands in the list when it is done.
      const waited = new AbortController();
      const nothingYet = (): AuditNowAnswer => ({ balanced: null });
      const late = pause(rooms.clock, AUDIT_WAIT_MS, waited.signal).then(nothingYet, nothingYet);
      made.catch((error: unknown) => rooms.log.error({ err: error }, 'An audit by hand could not be made.'));
      const answer = await Promise.race([made, late]).finally(() => waited.abort());
      visit.changed = { after: answer };
      return answer;
    }),
    route('GET /api/v1/operator/audits', forOperator, async (): Promise<AuditsAnswer> => {
      const [runs, strangers, heldBy] = await Promise.all([
        rooms.audits.list(),
        rooms.audits.strangers(),
        rooms.audits.heldBy(),
      ]);
      return {
        audits: runs.map((run) => ({
          at: iso(run.at),
          occasion: run.occasion,
          balanced: run.balanced,
          chain_asked: run.chainAsked,
          took_ms: run.tookMs,
          differences: run.differences,
        })),
        unknown_to_the_ledger: strangers.map(({ id, what, detail, foundAt }) => ({
          id,
          what,
          detail,
          found_at: iso(foundAt),
        })),
        held_by: heldBy ?? null,
      };
    }),
    route(
      'POST /api/v1/operator/strangers/:id/explanation',
      { ...forOperator, body: explanationRequest },
      async (visit) => {
        const id = visit.params['id'] ?? '';
        const answer = await rooms.audits.explain(id, visit.body.resolution);
        if (answer === 'unknown')
          throw new Fault('thing-unknown', { outer: 'There is nothing of that name.' });
        if (answer === 'known') throw new Fault('conflict', { outer: 'That was explained before.' });
        visit.changed = { before: { explained: false }, after: { explained: true } };
        return { id, explained: true };
      },
    ),
    route(
      'POST /api/v1/operator/providers/:id/status',
      { ...forOperator, body: providerMoveRequest },
      async (visit) => {
        const { state, reason } = visit.body;
        const id = visit.params['id'] ?? '';
        const at = rooms.clock.wallMs();
        visit.changed = {
          before: { status: rooms.providers.find(id)?.state ?? null },
          after: { status: state },
        };
        const answer = await rooms.providerDesk.move({ id, to: state, reason, actor: visit.actor, at });
        if (answer === 'unknown') throw new Fault('thing-unknown', { outer: 'There is no such provider.' });
        if (typeof answer === 'object') {
          throw new Fault('conflict', {
            outer: `This provider is ${answer.refused} and cannot become ${state}.`,
          });
        }
        await rooms.providers.look(id);
        return { id, status: state, changed: answer === 'moved' };
      },
    ),
  ];
}

const LISTED = 1_000;
const RUNS = 100;
const AUDIT_WAIT_MS = 20_000;
const iso = (ms: number): string => new Date(ms).toISOString();
