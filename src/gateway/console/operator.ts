import { Fault } from '#kit/fault.ts';
import { providerMoveRequest } from '#wire/console.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** What operators see of the books, and see and decide about providers. Every decision is written down with who took it. */
export function operatorRoutes(rooms: ConsoleRooms): Route[] {
  const forOperator = { access: 'operator', errors: 'text' } as const;
  return [
    route('GET /api/v1/operator/providers', forOperator, async () => ({
      providers: (await rooms.providerDesk.list(LISTED)).map((provider) => ({
        id: provider.id,
        name: provider.name,
        status: provider.state,
        reason: provider.reason,
        since: new Date(provider.since).toISOString(),
        created_at: new Date(provider.createdAt).toISOString(),
        nodes: provider.nodes,
      })),
    })),
    route('GET /api/v1/operator/audits', forOperator, async () => {
      const [runs, strangers] = await Promise.all([rooms.audits.list(), rooms.audits.strangers()]);
      return {
        audits: runs.map((run) => ({
          at: new Date(run.at).toISOString(),
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
          found_at: new Date(foundAt).toISOString(),
        })),
      };
    }),
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
