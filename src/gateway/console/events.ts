import { decimalUsd } from '#domain/money.ts';
import { dayOf, dayStart } from '#domain/window.ts';
import { Fault } from '#kit/fault.ts';
import {
  type BalanceEvent,
  eventsQuery,
  type IncidentsEvent,
  type NodesEvent,
  type OperatorEvent,
  type SettlementEvent,
  type UsageEvent,
} from '#wire/dashboard.ts';
import { type Listener, type LiveSources, TOPICS, type Topic } from '../live-events.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';
import { Throttle } from './throttle.ts';

/**
 * The stream of what changes: for a session its user's topics, for a key its owner's. A key that may do less than its owner
 * hears nothing of the account's money and use: it was given to somebody who is trusted with less.
 */
export function eventRoutes(rooms: ConsoleRooms): Route[] {
  // Whoever asks how things are asks the database at once.
  const looks = new Throttle({ burst: 30, everyMs: 2_000 });
  return [
    route(
      'GET /api/v1/events',
      { access: 'anyone-known', errors: 'text', query: eventsQuery },
      async (visit) => {
        const wanted = visit.query.topics ?? TOPICS;
        const { consumerId, providerId, isOperator } = visit.parties;
        const may = (topic: Topic): boolean => {
          if (topic === 'balance' || topic === 'usage') return consumerId !== undefined && !visit.isScoped;
          if (topic === 'nodes') return providerId !== undefined;
          return topic !== 'operator' || isOperator;
        };
        const listener: Listener = {
          // Of the account, not of one of its keys: it has as many places as it would with one.
          account: consumerId ?? providerId ?? visit.actor,
          consumerId,
          providerId,
          isOperator,
          sessionId: visit.sessionIfAny,
          keyHolds: visit.keyHolds,
          topics: new Set(wanted.filter(may)),
        };
        if (visit.query.once === 'true') {
          looks.take(listener.account, rooms.clock.nowMs());
          visit.reply.type(EVENT_STREAM);
          return await rooms.live.once(listener);
        }
        const { raw } = visit.reply;
        const leave = rooms.live.join(listener, {
          write: (text) => {
            if (!raw.headersSent) {
              raw.writeHead(200, {
                'content-type': EVENT_STREAM,
                'cache-control': 'no-store',
                'x-content-type-options': 'nosniff',
                // Proxies that gather answers would hold events back.
                'x-accel-buffering': 'no',
                'x-request-id': visit.request.id,
              });
            }
            raw.write(text);
          },
          get waitingBytes() {
            return raw.writableLength;
          },
          end: (how) => {
            if (how === 'now') raw.destroy();
            else raw.end();
          },
        });
        if (leave === 'full') {
          throw new Fault('too-many-at-once', {
            outer: 'Too many pages listen at once. Close some, or try again later.',
            retryAfterS: 30,
          });
        }
        visit.reply.hijack();
        raw.once('close', leave);
        return undefined;
      },
    ),
  ];
}

/** What pages are told, from the rooms that know it. */
export function liveSources(
  rooms: Pick<
    ConsoleRooms,
    'clock' | 'accounts' | 'own' | 'registry' | 'incidents' | 'claims' | 'providerDesk' | 'funds' | 'audits'
  >,
): LiveSources {
  const { clock, own } = rooms;
  const today = () => ({ from: dayStart(dayOf(clock.wallMs())), until: clock.wallMs() + 1 });
  return {
    sessions: (ids) => rooms.accounts.lastingSessions(ids),
    balances: async (ids) => {
      const found = await own.balances(ids, { from: 0, until: 0 });
      return mapped(
        found,
        ({ total, held }): BalanceEvent => ({
          total_usd: decimalUsd(total),
          held_usd: decimalUsd(held),
          available_usd: decimalUsd(total - held),
        }),
      );
    },
    usage: async (ids) => {
      const found = await own.totals(ids, today());
      return mapped(
        found,
        (each): UsageEvent => ({
          day: new Date(today().from).toISOString().slice(0, 10),
          requests: each.requests,
          failed: each.failed,
          tokens: each.tokens,
          spend_usd: decimalUsd(each.spent),
        }),
      );
    },
    nodes: (ids) => {
      const nodes = new Map<string, NodesEvent>(
        ids.map((id) => [id, { online: 0, in_flight: 0, nodes: [] }]),
      );
      for (const { providerId, nodeId, mode, inFlight } of rooms.registry.everywhere()) {
        const of = nodes.get(providerId);
        if (!of) continue;
        of.online += 1;
        of.in_flight += inFlight;
        if (of.nodes.length < NODES_MAX)
          of.nodes.push({ node_id: nodeId, connection_mode: mode, in_flight: inFlight });
      }
      return nodes;
    },
    incidents: async (): Promise<IncidentsEvent> => ({
      open: (await rooms.incidents.book.open()).map((each) => ({
        id: each.id,
        model: each.modelId,
        region: each.region,
        severity: each.severity,
        because: each.because,
        opened_at: new Date(each.openedMs).toISOString(),
      })),
    }),
    settlement: async (): Promise<SettlementEvent> => {
      const [newest] = (await rooms.claims?.list(1)) ?? [];
      return { newest: newest ? { batch: newest.number, day: newest.day, state: newest.state } : null };
    },
    operator: async (): Promise<OperatorEvent> => {
      const [providers, pledges, heldBy] = await Promise.all([
        rooms.providerDesk.list(PROVIDERS_LISTED),
        rooms.funds.collateral.pending(),
        rooms.audits.heldBy(),
      ]);
      return {
        approvals_waiting: providers.filter(({ state }) => state === 'pending' || state === 'under_review')
          .length,
        collateral_waiting: pledges.length,
        payouts_held: heldBy !== undefined,
      };
    },
  };
}

const EVENT_STREAM = 'text/event-stream; charset=utf-8';
const NODES_MAX = 100;
const PROVIDERS_LISTED = 1_000;

function mapped<T>(found: ReadonlyMap<string, T>, tell: (each: T) => object): Map<string, object> {
  return new Map([...found].map(([id, each]) => [id, tell(each)]));
}
