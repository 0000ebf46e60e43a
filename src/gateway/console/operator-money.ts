import { decimalUsd, formatUsd, parseUsd } from '#domain/money.ts';
import { PLANS } from '#domain/plan.ts';
import { TIER_NAMES } from '#domain/tier.ts';
import { Fault } from '#kit/fault.ts';
import { planNow, settleNow } from '#settlement/by-hand.ts';
import type { Settlement } from '#settlement/store.ts';
import type { Trail, TrailTransaction } from '#settlement/trail.ts';
import { verifyClaims } from '#settlement/verify.ts';
import { settlementQuery } from '#wire/console.ts';
import {
  type ApprovalsAnswer,
  type BatchAnswer,
  burnRequest,
  collateralConfirmRequest,
  rejectionRequest,
  type SettleAnswer,
  settleRequest,
} from '#wire/dashboard.ts';
import type { LimitsAnswer, OperatorCollateralAnswer } from '#wire/operator.ts';
import { depositBody } from './collateral.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/**
 * What operators see of payouts, pledges and burns and decide about them; who waits for approval;
 * and what holds for everybody (limits, plans, tiers), which is set where the market is started.
 */
export function operatorMoneyRoutes(rooms: ConsoleRooms): Route[] {
  const forOperator = { access: 'operator', errors: 'text' } as const;

  return [
    route('GET /api/v1/operator/approvals', forOperator, async (): Promise<ApprovalsAnswer> => {
      const all = await rooms.providerDesk.list(LISTED);
      const waiting = all.filter(({ state }) => WAITING.has(state));
      const asked = await rooms.providerDesk.asked(waiting.map(({ id }) => id));
      return {
        approvals: waiting.map((each) => {
          const request = asked.get(each.id);
          return {
            provider: each.id,
            name: each.name,
            status: each.state,
            since: iso(each.since),
            nodes: each.nodes,
            asked: request
              ? { hardware: request.hardware, contact: request.contact, at: iso(request.at) }
              : null,
          };
        }),
      };
    }),
    route(
      'POST /api/v1/operator/settlements',
      { ...forOperator, body: settleRequest },
      async (visit): Promise<SettleAnswer> => {
        const { asset, until, minimum_usd, dry_run } = visit.body;
        const minimum = minimum_usd === undefined ? undefined : parseUsd(minimum_usd);
        const desk = asset === 'SWAN' ? rooms.rewardClaims : rooms.claims;
        if (!desk) throw new Fault('thing-unknown', { outer: 'This market settles no such thing.' });
        const wish = { asset, until, minimum };
        if (dry_run) {
          const { batch, decimals } = await planNow(rooms.settling, wish);
          return {
            dry_run,
            until,
            batch: null,
            decimals,
            increase: batch.increase.toString(),
            payouts: batch.payouts.length,
            carried_over: batch.carriedOver.slice(0, LISTED).map((each) => ({
              provider: each.providerId,
              name: rooms.providers.find(each.providerId)?.name ?? null,
              reason: each.reason,
              owed: asset === 'SWAN' ? each.owed.toString() : decimalUsd(each.owed),
            })),
          };
        }
        const progress = await settleNow(rooms.settling, wish);
        const made = progress?.settlement;
        visit.changed = {
          after: { batch: made?.number ?? null, increase: made?.increase.toString() ?? '0' },
        };
        return {
          dry_run,
          until,
          batch: made?.number ?? null,
          decimals: made?.decimals ?? 0,
          increase: made?.increase.toString() ?? '0',
          payouts: made?.accounts ?? 0,
          carried_over: [],
        };
      },
    ),
    route(
      'GET /api/v1/operator/settlements/:batch',
      { ...forOperator, query: settlementQuery },
      async ({ params, query }): Promise<BatchAnswer> => {
        const desk = query.asset === 'SWAN' ? rooms.rewardClaims : rooms.claims;
        const text = params['batch'] ?? '';
        const batch = desk && /^[1-9]\d{0,14}$/.test(text) ? await desk.find(Number(text)) : undefined;
        if (!desk || !batch) throw new Fault('thing-unknown', { outer: 'There is no such batch.' });
        const [file, payouts, trail, heldBy] = await Promise.all([
          desk.fileOf(batch),
          desk.payoutsOf(batch, LISTED),
          desk.trailOf(batch),
          rooms.audits.heldBy(),
        ]);
        const { ok, accounts, findings } = await verifyClaims(file);
        return {
          batch: batch.number,
          day: batch.day,
          state: batch.state,
          decimals: batch.decimals,
          increase: batch.increase.toString(),
          total: batch.total.toString(),
          root: batch.root,
          chain_id: desk.scope.chainId,
          contract: desk.scope.contract,
          token: desk.scope.token,
          steps: stepsOf(batch, trail, { ok, findings }),
          collected: { ...trail.collected, units: trail.collected.units.toString() },
          verifier: { ok, accounts, findings: [...findings] },
          payouts: payouts.map((each) => ({
            provider: each.providerId,
            name: rooms.providers.find(each.providerId)?.name ?? null,
            account: each.account,
            units: each.units.toString(),
            paid_usd: query.asset === 'USD' ? decimalUsd(each.paid) : null,
          })),
          held_by: heldBy ?? null,
        };
      },
    ),
    route(
      'GET /api/v1/operator/collateral',
      forOperator,
      async (): Promise<OperatorCollateralAnswer> => ({
        pending: (await rooms.funds.collateral.pending()).map((deposit) => ({
          provider: deposit.providerId,
          provider_name: rooms.providers.find(deposit.providerId)?.name ?? null,
          ...depositBody(deposit),
        })),
      }),
    ),
    route(
      'POST /api/v1/operator/collateral/:id/confirm',
      { ...forOperator, body: collateralConfirmRequest },
      async (visit) => {
        const { reference, amount_usd } = visit.body;
        const id = visit.params['id'] ?? '';
        const answer = await rooms.funds.collateral.confirmDollars(id, {
          reference,
          ...(amount_usd !== undefined && { amount: parseUsd(amount_usd) }),
        });
        if (answer === 'unknown')
          throw new Fault('thing-unknown', { outer: 'No such dollars are announced.' });
        visit.changed = { before: { status: 'pending' }, after: { status: 'confirmed' } };
        return { id, status: 'confirmed', changed: answer === 'confirmed' };
      },
    ),
    route(
      'POST /api/v1/operator/collateral/:id/reject',
      { ...forOperator, body: rejectionRequest },
      async (visit) => {
        const id = visit.params['id'] ?? '';
        const answer = await rooms.funds.collateral.reject(id, visit.body.reason);
        if (answer === 'unknown') throw new Fault('thing-unknown', { outer: 'There is no such deposit.' });
        if (answer === 'decided')
          throw new Fault('conflict', { outer: 'This deposit was decided on before.' });
        visit.changed = { before: { status: 'pending' }, after: { status: 'rejected' } };
        return { id, status: 'rejected' };
      },
    ),
    route('GET /api/v1/operator/burns', forOperator, async () => ({
      burns: (await rooms.funds.burns.list(LISTED)).map((each) => ({
        tx_hash: each.transaction,
        units: each.units.toString(),
        spent_usd: decimalUsd(each.spent),
        verified: each.verified,
        actor: each.actor,
        at: iso(each.at),
      })),
    })),
    route('POST /api/v1/operator/burns', { ...forOperator, body: burnRequest }, async (visit) => {
      const { tx_hash: transaction, spent_usd } = visit.body;
      const spent = spent_usd === undefined ? undefined : parseUsd(spent_usd);
      const answer = await rooms.funds.burns.note({ transaction, spent, actor: visit.actor });
      if (answer.state === 'refused') throw new Fault('conflict', { outer: answer.reason });
      const { burn } = answer;
      visit.changed = { after: { spent: formatUsd(burn.spent) } };
      return {
        tx_hash: burn.transaction,
        units: burn.units.toString(),
        spent_usd: decimalUsd(burn.spent),
        new: answer.state === 'noted',
      };
    }),
    route(
      'GET /api/v1/operator/limits',
      forOperator,
      async (): Promise<LimitsAnswer> => ({
        // Set where the market is started, and the same for everybody.
        limits: {
          requests_per_minute: rooms.settings.limits.requestsPerMinute,
          concurrent_per_key: rooms.settings.limits.concurrentPerKey,
          body_bytes: rooms.settings.limits.bodyBytesMax,
          messages: rooms.settings.limits.messagesMax,
          message_chars: rooms.settings.limits.messageCharsMax,
          input_tokens: rooms.settings.limits.inputTokensMax,
          output_tokens: rooms.settings.limits.outputTokensMax,
          embedding_tokens: rooms.settings.limits.embeddingTokensMax,
          request_timeout_ms: rooms.settings.limits.requestTimeoutMs,
        },
        playground: {
          enabled: rooms.settings.playground.enabled,
          requests_per_hour: rooms.settings.playground.requestsPerHour,
          output_tokens: rooms.settings.playground.outputTokensMax,
        },
        tiers: TIER_NAMES.map((each) => rooms.tiers.of(each)).map(
          ({ name, title, weight, queueDeadlineMs }) => ({
            name,
            title,
            weight,
            queue_deadline_ms: queueDeadlineMs,
          }),
        ),
        plans: Object.values(PLANS).map((plan) => ({
          name: plan.name,
          title: plan.title,
          monthly_usd: plan.monthlyCents / 100,
          requests_per_minute: plan.requestsPerMinute,
          requests_per_day: plan.requestsPerDay,
          concurrent: plan.concurrent,
          model_tiers: plan.modelTiers,
        })),
        split: {
          version: rooms.policy.version,
          fee_percent: rooms.policy.feeBasisPoints / 100,
          provider_percent: rooms.policy.shares.provider / 100,
          treasury_percent: rooms.policy.shares.treasury / 100,
          burn_percent: rooms.policy.shares.burn / 100,
        },
        settles: [
          ...(rooms.claims ? (['USD'] as const) : []),
          ...(rooms.rewardClaims ? (['SWAN'] as const) : []),
        ],
        provider_demands: { ...rooms.life },
      }),
    ),
  ];
}

const LISTED = 1_000;
const WAITING: ReadonlySet<string> = new Set(['pending', 'under_review', 'approved', 'activating']);
const iso = (ms: number): string => new Date(ms).toISOString();

/** How far a batch has come, in the order of `src/settlement/day.ts`. */
function stepsOf(
  batch: Settlement,
  { cutAt, moves, inForce, transactions, collected }: Trail,
  verdict: { ok: boolean; findings: readonly string[] },
): BatchAnswer['steps'] {
  const { state } = batch;
  const revoked = state === 'revoked';
  const sent = state === 'submitted' || state === 'confirmed' || revoked;
  const confirmed = state === 'confirmed' || revoked;
  const step = (
    name: BatchAnswer['steps'][number]['step'],
    done: boolean,
    detail: string,
    about: { at?: number | undefined; purpose?: TrailTransaction['purpose'] } = {},
  ): BatchAnswer['steps'][number] => ({
    step: name,
    done,
    at: about.at === undefined ? null : iso(about.at),
    detail,
    transactions: transactions
      .filter(({ purpose }) => purpose === about.purpose)
      .map(({ hash, block, outcome, signedAt }) => ({
        hash,
        block: block?.toString() ?? null,
        outcome: outcome ?? null,
        signed_at: iso(signedAt),
      })),
  });
  const funding = transactions.filter(({ purpose }) => purpose === 'funding');
  return [
    step('cut', true, `entries up to ${batch.cut}, of ${batch.day}`, { at: cutAt }),
    step('batch', true, batch.accounts === 1 ? 'one account' : `${batch.accounts} accounts`, {
      at: batch.madeAt,
    }),
    step('published', true, `claims file with the SHA-256 ${batch.claimsHash}`),
    step(
      'verified',
      verdict.ok,
      verdict.ok ? 'the independent verifier agrees, asked a moment ago' : (verdict.findings[0] ?? ''),
    ),
    step('funded', sent, fundingWords(sent, funding.length), {
      at: funding[0]?.signedAt,
      purpose: 'funding',
    }),
    step('submitted', sent, sent ? `the root ${batch.root}` : 'waits for the chain', {
      at: moves.submitted,
      purpose: 'publishing',
    }),
    step(
      'confirmed',
      confirmed,
      revoked
        ? 'revoked on chain before anybody could claim it'
        : sent && !confirmed
          ? 'waits for blocks'
          : '',
      { at: moves.revoked ?? moves.confirmed },
    ),
    step(
      'in-force',
      inForce,
      inForce ? 'can no longer be revoked' : revoked ? 'never: it was revoked' : 'waits for the time lock',
      { at: moves['in-force'] },
    ),
    step(
      'collected',
      collected.accounts === collected.of && inForce,
      `taken in full by ${collected.accounts} of ${collected.of}`,
    ),
  ];
}

function fundingWords(sent: boolean, transfers: number): string {
  if (transfers > 0) return `${transfers === 1 ? 'one transfer' : `${transfers} transfers`} to the contract`;
  return sent ? 'the contract had enough' : 'asked once the verifier agrees';
}
