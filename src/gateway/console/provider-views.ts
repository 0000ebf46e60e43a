import { decimalUsd } from '#domain/money.ts';
import { WHOLE } from '#rewards/score.ts';
import { settlementQuery } from '#wire/console.ts';
import type { NodesAnswer, OnboardingAnswer, PayoutsAnswer, StandingAnswer } from '#wire/dashboard.ts';
import { cached } from './cached.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** What a provider's pages show: its machines, where it stands, what it was paid and may claim, and its way in. */
export function providerViewRoutes(rooms: ConsoleRooms): Route[] {
  const { clock } = rooms;
  const forProvider = { access: 'provider', errors: 'object' } as const;
  const ofSeries = { ...forProvider, query: settlementQuery } as const;
  // A week of the usage list, for all providers alike.
  const scores = cached(clock, SCORES_KEPT_MS, () => rooms.rewards.scoresNow(clock.wallMs()));

  return [
    route('GET /api/v1/provider/me/nodes', forProvider, async ({ providerId }): Promise<NodesAnswer> => {
      return { nodes: await nodesOf(rooms, providerId) };
    }),
    route(
      'GET /api/v1/provider/me/standing',
      forProvider,
      async ({ providerId }): Promise<StandingAnswer> => {
        const all = await scores();
        const own = all.find((each) => each.providerId === providerId);
        const ranked = all.filter(({ excluded, score }) => excluded === undefined && score > 0n);
        const ahead = ranked.filter(({ score }) => score > (own?.score ?? 0n)).length;
        return {
          rank: own && own.score > 0n ? ahead + 1 : null,
          providers: ranked.length,
          score: share(own?.score),
          weight: share(own?.weight),
          excluded: own?.excluded ?? null,
          parts: PARTS.map(([name, countsFor]) => ({
            part: name,
            value: share(own?.parts[name]),
            counts_for: countsFor,
          })),
        };
      },
    ),
    route(
      'GET /api/v1/provider/me/payouts',
      ofSeries,
      async ({ providerId, query }): Promise<PayoutsAnswer> => {
        const { asset } = query;
        const claims = asset === 'SWAN' ? rooms.rewardClaims : rooms.claims;
        const { payout: account } = await rooms.funds.wallets.standing(providerId);
        if (!claims) {
          return {
            asset,
            decimals: null,
            payout_address: account ?? null,
            promised: null,
            claimed: null,
            payouts: [],
            claim: null,
          };
        }
        const [payouts, batches, standing] = await Promise.all([
          claims.payoutsTo(providerId, LISTED),
          claims.list(LISTED),
          account && claims.standingOf(account),
        ]);
        const newest = batches.find(({ state }) => state === 'confirmed');
        const proof = account && newest ? await claims.proofOf(newest, account) : undefined;
        const { chainId, contract, token } = claims.scope;
        return {
          asset,
          decimals: batches[0]?.decimals ?? null,
          payout_address: account ?? null,
          promised: standing ? standing.promised.toString() : null,
          claimed: standing ? standing.claimed.toString() : null,
          payouts: payouts.map(({ settlement, account: to, units, paid }) => ({
            batch: settlement.number,
            day: settlement.day,
            state: settlement.state,
            account: to,
            units: units.toString(),
            paid_usd: asset === 'USD' ? decimalUsd(paid) : null,
            made_at: iso(settlement.madeAt),
          })),
          claim:
            account && newest && proof
              ? {
                  chain_id: chainId,
                  contract,
                  token,
                  batch: newest.number,
                  account,
                  cumulative: proof.cumulative.toString(),
                  proof: [...proof.proof],
                }
              : null,
        };
      },
    ),
    route(
      'GET /api/v1/provider/me/onboarding',
      forProvider,
      async ({ providerId }): Promise<OnboardingAnswer> => {
        const [keys, sessions, standing, pledge] = await Promise.all([
          rooms.keyDesk.list(providerId),
          rooms.sessions.of(providerId, 1),
          rooms.funds.wallets.standing(providerId),
          rooms.funds.collateral.standingOf(providerId),
        ]);
        const provider = rooms.providers.find(providerId);
        const status = provider?.state ?? 'removed';
        const living = keys.filter(({ revoked }) => !revoked).length;
        const online = [...rooms.registry.everywhere()].filter(
          (each) => each.providerId === providerId,
        ).length;
        const { book } = rooms.benchmarks;
        const turns = book.ofProvider(providerId);
        const passed = turns.filter(
          ({ nodeId, modelId }) => book.against(nodeId, modelId) === undefined,
        ).length;
        const approved = status !== 'pending' && status !== 'under_review';
        const { life } = rooms;
        const steps: [OnboardingAnswer['steps'][number]['step'], boolean, boolean, string][] = [
          ['key', true, living > 0, `${living} keys`],
          [
            'connect',
            true,
            online > 0,
            online > 0
              ? online === 1
                ? '1 node is here'
                : `${online} nodes are here`
              : lastHere(sessions[0]),
          ],
          ['wallet', true, standing.payout !== undefined, standing.payout ?? 'no wallet has proven itself'],
          ['approval', life.approval === 'operator' || !approved, approved, status],
          [
            'collateral',
            life.demandsCollateral,
            pledge.enough,
            `${Number(pledge.covered) / 100} % of what is needed`,
          ],
          ['benchmark', life.demandsBenchmark, passed > 0, `${passed} of ${turns.length} passed`],
          ['active', true, status === 'active', status],
        ];
        let waiting = false;
        return {
          provider_id: providerId,
          status,
          reason: provider?.reason ?? '',
          steps: steps.map(([step, needed, done, detail]) => {
            const state = done ? 'done' : needed ? (waiting ? 'later' : 'now') : 'not-needed';
            waiting ||= state === 'now';
            return { step, state, detail };
          }),
        };
      },
    ),
  ];
}

const SCORES_KEPT_MS = 300_000;
const LISTED = 100;
const PARTS = [
  ['inferences', 0.3],
  ['tokens', 0.25],
  ['uptime', 0.2],
  ['quality', 0.15],
  ['diversity', 0.1],
] as const;
const iso = (ms: number): string => new Date(ms).toISOString();

/** A part of `WHOLE` as a number from 0 to 1, to six places. */
function share(of: bigint | undefined): number {
  return Number(((of ?? 0n) * 1_000_000n) / WHOLE) / 1_000_000;
}

function lastHere(session: { readonly lastHeardAt: number; readonly why: string } | undefined): string {
  return session ? `last here at ${iso(session.lastHeardAt)}: ${session.why}` : 'never here yet';
}

/** A provider's machines: what they said of themselves, and how they are in this process now. */
export async function nodesOf(
  rooms: Pick<ConsoleRooms, 'clock' | 'registry' | 'providerDesk'>,
  providerId: string,
): Promise<NodesAnswer['nodes']> {
  const { clock } = rooms;
  const here = new Map(
    [...rooms.registry.everywhere()]
      .filter((each) => each.providerId === providerId)
      .map((each) => [each.nodeId, each]),
  );
  const nodes = await rooms.providerDesk.nodes(providerId);
  return nodes.map((node) => {
    const presence = here.get(node.nodeId);
    return {
      node_id: node.nodeId,
      name: node.name,
      hardware: { ...node.hardware },
      first_seen: iso(node.firstSeen),
      last_seen: iso(presence ? clock.wallMs() - unheardMs(presence, clock.nowMs()) : node.lastSeen),
      online: presence !== undefined,
      draining: presence?.draining ?? false,
      in_flight: presence?.inFlight ?? 0,
      capacity: presence?.linkCapacity ?? null,
      models: [...(presence?.serving.values() ?? [])].map((each) => ({
        model: each.modelId,
        health: each.health,
        eligible: each.eligible,
        behind: each.behind ?? null,
        in_flight: each.inFlight,
        capacity: each.capacity,
      })),
    };
  });
}

/** Of a node at another gateway, that one's word is news as long as the link stands. */
function unheardMs(of: { gateway: string | undefined; heardAtMs: number }, nowMs: number): number {
  return of.gateway === undefined ? nowMs - of.heardAtMs : 0;
}
