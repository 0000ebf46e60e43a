import type { Dispatcher } from '#hub/dispatch.ts';
import type { GatherCounts } from '#hub/gather.ts';
import type { Hub } from '#hub/hub.ts';
import type { Clock } from '#kit/clock.ts';
import type { Holds } from '#ledger/holds.ts';
import type { Journal } from '#ledger/journal.ts';
import type { Poster } from '#ledger/poster.ts';
import type { GaugeReading } from './metrics.ts';

/** What the rooms answer when somebody reads the metrics. */
export function marketGauges(rooms: {
  clock: Clock;
  hub: Hub;
  dispatcher: Dispatcher;
  /** Absent where no requests share calls. */
  gathered?: GatherCounts | undefined;
  money: { holds: Holds; journal: Journal; poster: Poster };
}): GaugeReading[] {
  const { hub, dispatcher, gathered, money } = rooms;
  const one = (name: string, help: string, read: () => number): GaugeReading => ({
    name,
    help,
    labels: [],
    read: () => [[{}, read()]],
  });
  return [
    one('cygnet_agents', 'Agents that are connected.', () => hub.links),
    one(
      'cygnet_requests_in_flight',
      'Requests that were dispatched and are not over.',
      () => dispatcher.active,
    ),
    one('cygnet_attempts_in_flight', 'Attempts at them, on agents.', () => hub.registry.inFlight),
    one('cygnet_stream_buffer_bytes', 'Bytes that wait for consumers.', () => hub.registry.bufferedBytes),
    one(
      'cygnet_ledger_behind_bytes',
      'Of the usage journal: served, not posted.',
      () => money.poster.lag.bytes,
    ),
    one(
      'cygnet_ledger_behind_seconds',
      'Since when the oldest of it waits.',
      () => money.poster.lag.sinceMs / 1_000,
    ),
    one('cygnet_ledger_failures', 'Postings that failed in a row.', () => money.poster.lag.failures),
    one('cygnet_journal_healthy', '1 while paid work is accepted.', () => (money.journal.healthy ? 1 : 0)),
    one(
      'cygnet_promised_usd',
      'Money promised to requests under way.',
      () => Number(money.holds.totals().reserved) / 1e12,
    ),
    {
      name: 'cygnet_candidates',
      help: 'Who could serve a model, by what routing makes of it.',
      labels: ['model', 'state'],
      *read() {
        for (const model of hub.registry.models()) {
          const states: Record<CandidateState, number> = {
            ready: 0,
            unhealthy: 0,
            open: 0,
            draining: 0,
            ineligible: 0,
          };
          for (const candidate of hub.candidates(model)) states[stateOf(candidate)] += 1;
          for (const [state, count] of Object.entries(states)) yield [{ model, state }, count];
        }
      },
    },
    {
      name: 'cygnet_node_reported',
      help: "An agent's own figures of its machine, by its names for them.",
      labels: ['node', 'figure'],
      *read() {
        for (const { nodeId, reported } of hub.registry.present()) {
          for (const [figure, value] of reported) yield [{ node: nodeId, figure }, value];
        }
      },
    },
    {
      name: 'cygnet_hub_events',
      help: 'What the hub counted since it started.',
      labels: ['event'],
      *read() {
        for (const [event, count] of Object.entries(hub.counters)) yield [{ event }, count as number];
      },
    },
    {
      name: 'cygnet_embeddings_gathered',
      help: 'Calls that carried several requests for embeddings, the requests in them, and those tried alone afterwards.',
      labels: ['what'],
      *read() {
        for (const [what, count] of Object.entries(gathered ?? {})) yield [{ what }, count as number];
      },
    },
  ];
}

type CandidateState = 'ready' | 'unhealthy' | 'open' | 'draining' | 'ineligible';

function stateOf(candidate: ReturnType<Hub['candidates']>[number]): CandidateState {
  if (!candidate.eligible) return 'ineligible';
  if (candidate.draining) return 'draining';
  if (candidate.breaker.state === 'open') return 'open';
  return candidate.health === 'unhealthy' ? 'unhealthy' : 'ready';
}
