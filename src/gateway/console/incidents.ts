import { Fault } from '#kit/fault.ts';
import { type ChangeFreeze, isInForce } from '#reliability/change-freeze.ts';
import type { Incident, TimelineStep } from '#reliability/incident-book.ts';
import type { MaintenanceWindow } from '#reliability/maintenance.ts';
import { postMortemDue } from '#reliability/post-mortem.ts';
import type { ModelPosture } from '#reliability/posture.ts';
import {
  type FreezesAnswer,
  freezeRequest,
  incidentNoteRequest,
  incidentOpenRequest,
  incidentResolveRequest,
  incidentSilenceRequest,
  incidentsQuery,
  maintenanceRequest,
  type OperatorIncident,
  objectivesQuery,
  type PostureAnswer,
  type PostureBody,
  postMortemRequest,
} from '#wire/incidents.ts';
import type {
  IncidentsAnswer,
  MaintenanceAnswer,
  ObjectivesAnswer,
  PostMortemAnswer,
} from '#wire/operator.ts';
import { cachedBy } from './cached.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route, type Visit } from './route.ts';

const DAY_MS = 86_400_000;
const LISTED_MAX = 200;
const MAINTENANCE_DAYS = 90;
const OBJECTIVES_KEPT_MS = 60_000;

/**
 * Incidents, the posture they bring about, objectives and maintenance, for operators: what `cygnet incidents`, `objectives` and
 * `maintenance` do.
 * Serving and the status page follow within ten and fifteen seconds.
 */
export function incidentRoutes(rooms: ConsoleRooms): Route[] {
  const forOperator = { access: 'operator', errors: 'object' } as const;
  const { clock } = rooms;
  // Minutes of a month, of every tier, model and region.
  const objectives = cachedBy(clock, OBJECTIVES_KEPT_MS, async (days) => {
    const until = clock.wallMs();
    const from = until - Number(days) * DAY_MS;
    return { from, until, rows: await rooms.objectives({ from, until }) };
  });
  const found = async (visit: Visit<unknown, unknown>): Promise<Incident> => {
    const incident = await rooms.incidents.book.find(visit.params['id'] ?? '');
    if (!incident) throw new Fault('thing-unknown', { outer: 'There is no such incident.' });
    return incident;
  };
  const shown = async (id: string): Promise<OperatorIncident> => {
    const incident = await rooms.incidents.book.find(id);
    if (!incident) throw new Fault('thing-unknown', { outer: 'There is no such incident.' });
    return incidentBody(incident, await rooms.incidents.book.steps([id]), clock.wallMs());
  };
  const modelOf = (name: string | undefined): string => {
    if (name === undefined) return '';
    const model = rooms.models.resolve(name);
    if (!model) throw new Fault('thing-unknown', { outer: 'There is no such model.', param: 'model' });
    return model.id;
  };

  return [
    route(
      'GET /api/v1/operator/incidents',
      { ...forOperator, query: incidentsQuery },
      async (visit): Promise<IncidentsAnswer> => {
        const nowMs = clock.wallMs();
        const all = await rooms.incidents.book.since(nowMs - visit.query.days * DAY_MS, LISTED_MAX);
        const steps = await rooms.incidents.book.steps(all.map(({ id }) => id));
        return { incidents: all.map((each) => incidentBody(each, steps, nowMs)) };
      },
    ),
    route('GET /api/v1/operator/incidents/:id', forOperator, async (visit) => shown((await found(visit)).id)),
    route('POST /api/v1/operator/incidents', { ...forOperator, body: incidentOpenRequest }, async (visit) => {
      const { words, model, region, severity } = visit.body;
      const id = rooms.ids('inc');
      const begun = await rooms.incidents.book.begin({
        id,
        modelId: modelOf(model),
        region,
        severity,
        triggers: [],
        because: words,
        atMs: clock.wallMs(),
        actor: visit.actor,
      });
      if (!begun)
        throw new Fault('conflict', {
          outer: 'There is an open incident of that already: add a note to it.',
        });
      visit.changed = { after: { incident: id, severity } };
      return await shown(id);
    }),
    route(
      'POST /api/v1/operator/incidents/:id/notes',
      { ...forOperator, body: incidentNoteRequest },
      async (visit) => {
        const { id } = await found(visit);
        await rooms.incidents.book.note(id, { ...visit.body, atMs: clock.wallMs(), actor: visit.actor });
        return await shown(id);
      },
    ),
    route(
      'POST /api/v1/operator/incidents/:id/silence',
      { ...forOperator, body: incidentSilenceRequest },
      async (visit) => {
        const { id, silencedUntilMs } = await found(visit);
        const { minutes, words } = visit.body;
        const atMs = clock.wallMs();
        const about = { untilMs: atMs + minutes * 60_000, atMs, actor: visit.actor, words };
        if (!(await rooms.incidents.book.silence(id, about))) throw over();
        visit.changed = {
          before: { silenced_until: silencedUntilMs === null ? null : iso(silencedUntilMs) },
          after: { silenced_until: iso(about.untilMs) },
        };
        return await shown(id);
      },
    ),
    route(
      'POST /api/v1/operator/incidents/:id/resolve',
      { ...forOperator, body: incidentResolveRequest },
      async (visit) => {
        const { id } = await found(visit);
        const about = { atMs: clock.wallMs(), actor: visit.actor, words: visit.body.words };
        if (!(await rooms.incidents.book.resolve(id, about))) throw over();
        visit.changed = { before: { resolved_at: null }, after: { resolved_at: iso(about.atMs) } };
        return await shown(id);
      },
    ),
    route(
      'GET /api/v1/operator/incidents/:id/post-mortem',
      forOperator,
      async (visit): Promise<PostMortemAnswer> => {
        const incident = await found(visit);
        const { draft, steps } = await rooms.incidents.postMortem(incident, clock.wallMs());
        const due = postMortemDue(incident, steps);
        return {
          id: incident.id,
          draft,
          due_at: due === undefined ? null : iso(due),
          published: steps.findLast(({ kind }) => kind === 'post-mortem')?.words ?? null,
        };
      },
    ),
    route(
      'POST /api/v1/operator/incidents/:id/post-mortem',
      { ...forOperator, body: postMortemRequest },
      async (visit) => {
        const { id } = await found(visit);
        const about = { atMs: clock.wallMs(), actor: visit.actor, words: visit.body.words };
        if (!(await rooms.incidents.book.publish(id, about)))
          throw new Fault('conflict', { outer: 'This incident is not over.' });
        visit.changed = { after: { post_mortem: 'published' } };
        return await shown(id);
      },
    ),
    route('GET /api/v1/operator/posture', forOperator, async (): Promise<PostureAnswer> => {
      const { posture, alerts } = rooms.watch;
      return {
        changes_frozen: posture.freeze,
        frozen_because: [...posture.frozenBecause],
        alerts: alerts.map(
          ({ tier, modelId, region, consumerId, explainedBy, rule, longRate, shortRate }) => ({
            tier,
            model: modelId,
            region,
            consumer: consumerId,
            explained_by: explainedBy,
            rule: rule.name,
            severity: rule.severity,
            long_rate: longRate,
            short_rate: shortRate,
          }),
        ),
        everywhere: posture.everywhere ? postureBody(posture.everywhere) : null,
        models: [...posture.models].map(([model, each]) => ({ model, ...postureBody(each) })),
      };
    }),
    route(
      'GET /api/v1/operator/objectives',
      { ...forOperator, query: objectivesQuery },
      async (visit): Promise<ObjectivesAnswer> => {
        const { from, until, rows } = await objectives(String(visit.query.days));
        return {
          from: iso(from),
          until: iso(until),
          objectives: rows.map(({ tier, modelId, region, requests, indicators, budget, ...stretch }) => ({
            tier,
            model: modelId,
            region,
            from: iso(stretch.from),
            until: iso(stretch.until),
            requests,
            indicators,
            budget_minutes: { allowed: budget.allowed, spent: budget.spent, left: budget.left },
          })),
        };
      },
    ),
    route('GET /api/v1/operator/freezes', forOperator, async (): Promise<FreezesAnswer> => {
      const nowMs = clock.wallMs();
      const all = await rooms.incidents.freezes(nowMs - MAINTENANCE_DAYS * DAY_MS);
      return { freezes: all.map((each) => freezeBody(each, nowMs)) };
    }),
    route('POST /api/v1/operator/freezes', { ...forOperator, body: freezeRequest }, async (visit) => {
      const { words, until } = visit.body;
      const fromMs = clock.wallMs();
      const untilMs = until === undefined ? null : Date.parse(until);
      if (untilMs !== null && untilMs <= fromMs)
        throw new Fault('request-invalid', { outer: 'That is over already.', param: 'until' });
      const freeze = { id: rooms.ids('frz'), words, actor: visit.actor, fromMs, untilMs };
      await rooms.incidents.declareFreeze(freeze);
      const body = freezeBody({ ...freeze, liftedMs: null, liftedBy: null }, fromMs);
      visit.changed = { after: body };
      return body;
    }),
    route('DELETE /api/v1/operator/freezes/:id', forOperator, async (visit) => {
      const id = visit.params['id'] ?? '';
      if (!(await rooms.incidents.liftFreeze(id, { actor: visit.actor, atMs: clock.wallMs() })))
        throw new Fault('thing-unknown', { outer: 'There is no such freeze in force.' });
      visit.changed = { before: { lifted: false }, after: { lifted: true } };
      return { id, lifted: true };
    }),
    route(
      'GET /api/v1/operator/maintenance',
      forOperator,
      async (): Promise<MaintenanceAnswer> => ({
        windows: (await rooms.incidents.windows(clock.wallMs() - MAINTENANCE_DAYS * DAY_MS)).map(windowBody),
      }),
    ),
    route(
      'POST /api/v1/operator/maintenance',
      { ...forOperator, body: maintenanceRequest },
      async (visit) => {
        const { words, from, until, model } = visit.body;
        const announcedMs = clock.wallMs();
        const [fromMs, untilMs] = [Date.parse(from), Date.parse(until)];
        if (untilMs <= fromMs)
          throw new Fault('request-invalid', { outer: '`until` comes after `from`.', param: 'until' });
        if (untilMs <= announcedMs)
          throw new Fault('request-invalid', {
            outer: 'That is over already: maintenance is announced ahead.',
            param: 'until',
          });
        const window = { id: rooms.ids('mnt'), modelId: modelOf(model), words, announcedMs, fromMs, untilMs };
        const excluded = await rooms.incidents.announce(window);
        visit.changed = { after: { ...windowBody(window), excluded } };
        return { ...windowBody(window), excluded };
      },
    ),
    route('DELETE /api/v1/operator/maintenance/:id', forOperator, async (visit) => {
      const id = visit.params['id'] ?? '';
      if (!(await rooms.incidents.callOff(id, clock.wallMs())))
        throw new Fault('thing-unknown', { outer: 'There is no such window that could be called off.' });
      visit.changed = { before: { called_off: false }, after: { called_off: true } };
      return { id, called_off: true };
    }),
  ];
}

function over(): Fault {
  return new Fault('conflict', { outer: 'This incident is over already.' });
}

function postureBody(posture: ModelPosture): PostureBody {
  return {
    output_tokens_max: posture.outputTokensMax,
    prompt_tokens_max: posture.promptTokensMax,
    avoid_regions: [...posture.avoidRegions],
    fallback_model: posture.fallbackModel ?? null,
    because: [...posture.because],
  };
}

function incidentBody(incident: Incident, steps: readonly TimelineStep[], nowMs: number): OperatorIncident {
  const { silencedUntilMs } = incident;
  const due = postMortemDue(incident, steps);
  return {
    id: incident.id,
    model: incident.modelId,
    region: incident.region,
    severity: incident.severity,
    worst: incident.worst,
    triggers: [...incident.triggers],
    because: incident.because,
    opened_by: incident.openedBy,
    opened_at: iso(incident.openedMs),
    silenced_until: silencedUntilMs !== null && silencedUntilMs > nowMs ? iso(silencedUntilMs) : null,
    resolved_at: incident.resolvedMs === null ? null : iso(incident.resolvedMs),
    post_mortem_due_at: due === undefined ? null : iso(due),
    steps: steps
      .filter(({ incidentId }) => incidentId === incident.id)
      .map(({ atMs, kind, actor, words, internal }) => ({ at: iso(atMs), kind, actor, words, internal })),
  };
}

function freezeBody(freeze: ChangeFreeze, nowMs: number): FreezesAnswer['freezes'][number] {
  return {
    id: freeze.id,
    words: freeze.words,
    by: freeze.actor,
    from: iso(freeze.fromMs),
    until: freeze.untilMs === null ? null : iso(freeze.untilMs),
    in_force: isInForce(freeze, nowMs),
    lifted_at: freeze.liftedMs === null ? null : iso(freeze.liftedMs),
    lifted_by: freeze.liftedBy,
  };
}

function windowBody(window: MaintenanceWindow) {
  return {
    id: window.id,
    model: window.modelId,
    words: window.words,
    announced_at: iso(window.announcedMs),
    from: iso(window.fromMs),
    until: iso(window.untilMs),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
