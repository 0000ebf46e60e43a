import { PLANS } from '#domain/plan.ts';
import { TIER_NAMES, type TierName, type TierTerms, tierOfPlan } from '#domain/tier.ts';
import { Fault } from '#kit/fault.ts';
import { figuresOf, type ObjectiveFigures, type ObjectiveVersion } from '#reliability/objective-terms.ts';
import { objectivesRequest, reservationRequest, tierRequest } from '#wire/console.ts';
import type {
  ObjectivesBody,
  ObjectiveTermsAnswer,
  OperatorTier,
  ReservationsAnswer,
  TiersAnswer,
} from '#wire/operator.ts';
import type { ConsoleRooms } from './rooms.ts';
import { enveloped, type Route, route } from './route.ts';

/** What plans and tiers give, for everybody to read; what the operator sets of them, and whom it keeps places for. */
export function tierRoutes(rooms: ConsoleRooms): Route[] {
  const forOperator = { access: 'operator', errors: 'text' } as const;
  return [
    route('GET /api/v1/plans', { access: 'public', errors: 'object' }, async () =>
      enveloped({
        plans: Object.values(PLANS).map((plan) => ({
          name: plan.name,
          title: plan.title,
          tier: tierOfPlan(plan.name),
          by_operator_only: plan.name === PLANS.business.name,
          monthly_usd: plan.monthlyCents / 100,
          requests_per_minute: plan.requestsPerMinute,
          requests_per_day: plan.requestsPerDay,
          concurrent: plan.concurrent,
          model_tiers: plan.modelTiers,
          covered_tiers: plan.coveredTiers,
          tokens_per_week: plan.tokensPerWeek,
          images_per_day: plan.imagesPerDay,
          fallback: plan.fallback,
        })),
        tiers: TIER_NAMES.map((name) => tierView(rooms, name)),
      }),
    ),
    route(
      'GET /api/v1/operator/tiers',
      forOperator,
      async (): Promise<TiersAnswer> => ({
        tiers: TIER_NAMES.map((name) => tierView(rooms, name)),
      }),
    ),
    route('PATCH /api/v1/operator/tiers/:name', { ...forOperator, body: tierRequest }, async (visit) => {
      const name = tierNamed(visit.params['name']);
      const terms = termsOf(visit.body);
      const before = tierView(rooms, name);
      await rooms.tiers.set(name, terms, { actor: visit.actor, at: rooms.clock.wallMs() });
      const after = tierView(rooms, name);
      visit.changed = { before, after };
      return after;
    }),
    route(
      'GET /api/v1/operator/tiers/:name/objectives',
      forOperator,
      async (visit): Promise<ObjectiveTermsAnswer> => {
        const name = tierNamed(visit.params['name']);
        const versions = await rooms.objectiveTerms.history(name);
        return {
          tier: name,
          objectives: objectivesBody(figuresOf(rooms.objectiveTerms.of(name))),
          versions: versions.map(versionBody),
        };
      },
    ),
    route(
      'PATCH /api/v1/operator/tiers/:name/objectives',
      { ...forOperator, body: objectivesRequest },
      async (visit) => {
        const name = tierNamed(visit.params['name']);
        const changes = figuresAsked(visit.body);
        if (Object.keys(changes).length === 0)
          throw new Fault('request-invalid', { outer: 'Name at least one objective to set.' });
        const before = objectivesBody(figuresOf(rooms.objectiveTerms.of(name)));
        const at = rooms.clock.wallMs();
        const version = await rooms.objectiveTerms.set(name, changes, { actor: visit.actor, at });
        const after = versionBody(version);
        visit.changed = { before, after };
        return after;
      },
    ),
    route(
      'GET /api/v1/operator/reservations',
      forOperator,
      async (): Promise<ReservationsAnswer> => ({
        reservations: (await rooms.reservations.list()).map((each) => ({
          id: each.id,
          consumer: each.consumerId,
          model: each.modelId,
          slots: each.slots,
          share_basis_points: each.share,
          release_idle_s: each.releaseIdleS,
          by: each.actor,
          since: new Date(each.createdAt).toISOString(),
        })),
      }),
    ),
    route(
      'POST /api/v1/operator/reservations',
      { ...forOperator, body: reservationRequest },
      async (visit) => {
        const { consumer, slots, share_basis_points: share, release_idle_s: releaseIdleS } = visit.body;
        const model = rooms.models.resolve(visit.body.model);
        if (!model) throw new Fault('thing-unknown', { outer: 'There is no such model.' });
        const id = rooms.ids('rsv');
        const answer = await rooms.reservations.add({
          id,
          consumerId: consumer,
          modelId: model.id,
          slots: slots ?? null,
          share: share ?? null,
          releaseIdleS,
          actor: visit.actor,
          at: rooms.clock.wallMs(),
        });
        if (answer === 'unknown-consumer')
          throw new Fault('thing-unknown', { outer: 'There is no such consumer.' });
        if (answer !== 'added') throw new Fault('conflict', { outer: WHY_NOT_RESERVED[answer] });
        visit.changed = { after: { reservation: id } };
        return { id };
      },
    ),
    route('DELETE /api/v1/operator/reservations/:id', forOperator, async (visit) => {
      const id = visit.params['id'] ?? '';
      const before = (await rooms.reservations.list()).find((each) => each.id === id);
      if (before) {
        const { consumerId: consumer, modelId: model, slots, share } = before;
        visit.changed = { before: { consumer, model, slots, share_basis_points: share } };
      }
      if (!(await rooms.reservations.end(id, rooms.clock.wallMs())))
        throw new Fault('thing-unknown', { outer: 'There is no such reservation.' });
      return { id };
    }),
  ];
}

const WHY_NOT_RESERVED = {
  'not-business': 'Places are kept for consumers with the plan Business.',
  twice: 'The consumer has reserved places at this model; end that reservation first.',
  'too-much': 'The shares of a model may come to nine tenths together.',
} as const;

function tierView({ tiers, objectiveTerms }: ConsoleRooms, name: TierName): OperatorTier {
  const tier = tiers.of(name);
  const objectives = objectiveTerms.of(name);
  return {
    name: tier.name,
    title: tier.title,
    prompt_tokens_max: tier.promptTokensMax,
    output_tokens_max: tier.outputTokensMax,
    concurrent: tier.concurrent,
    burst: tier.burst,
    weight: tier.weight,
    queue_deadline_ms: tier.queueDeadlineMs,
    retries_max: tier.retriesMax,
    smaller_model: tier.smallerModel,
    price_factor: tier.priceFactor,
    objectives: {
      availability: objectives.availability,
      ttft_p95_ms: objectives.ttftP95Ms,
      ttlt_p95_ms: objectives.ttltP95Ms,
      server_errors: objectives.serverErrors,
      too_many_requests: objectives.tooMany,
    },
  };
}

function tierNamed(given: string | undefined): TierName {
  const name = TIER_NAMES.find((each) => each === given);
  if (!name) throw new Fault('thing-unknown', { outer: 'There is no such tier.' });
  return name;
}

function objectivesBody(figures: ObjectiveFigures): ObjectivesBody {
  return {
    availability_ppm: figures.availabilityPpm,
    ttft_p95_ms: figures.ttftP95Ms,
    ttlt_256_p95_ms: figures.ttlt256P95Ms,
    ttlt_512_p95_ms: figures.ttlt512P95Ms,
    server_errors_ppm: figures.serverErrorsPpm,
    too_many_ppm: figures.tooManyPpm,
  };
}

function versionBody(version: ObjectiveVersion): ObjectiveTermsAnswer['versions'][number] {
  return {
    ...objectivesBody(version.figures),
    by: version.actor,
    set_at: new Date(version.setMs).toISOString(),
    from: new Date(version.fromMs).toISOString(),
  };
}

function figuresAsked(body: Readonly<Record<string, unknown>>): Partial<ObjectiveFigures> {
  const changes: Record<string, unknown> = {};
  for (const [field, name] of Object.entries(FIGURES))
    if (body[field] !== undefined) changes[name] = body[field];
  return changes;
}

const FIGURES = {
  availability_ppm: 'availabilityPpm',
  ttft_p95_ms: 'ttftP95Ms',
  ttlt_256_p95_ms: 'ttlt256P95Ms',
  ttlt_512_p95_ms: 'ttlt512P95Ms',
  server_errors_ppm: 'serverErrorsPpm',
  too_many_ppm: 'tooManyPpm',
} as const satisfies Record<keyof ObjectivesBody, keyof ObjectiveFigures>;

function termsOf(body: Readonly<Record<string, unknown>>): Partial<TierTerms> {
  const terms: Record<string, unknown> = {};
  for (const [field, name] of Object.entries(FIELDS))
    if (body[field] !== undefined) terms[name] = body[field];
  return terms;
}

const FIELDS = {
  prompt_tokens_max: 'promptTokensMax',
  output_tokens_max: 'outputTokensMax',
  concurrent: 'concurrent',
  burst: 'burst',
  weight: 'weight',
  queue_deadline_ms: 'queueDeadlineMs',
  retries_max: 'retriesMax',
  smaller_model: 'smallerModel',
  price_factor: 'priceFactor',
} as const satisfies Record<string, keyof TierTerms>;
