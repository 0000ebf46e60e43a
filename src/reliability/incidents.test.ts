import { describe, expect, test } from 'vitest';
import { BURN_RULES } from './burn-alerts.ts';
import type { GroupAlert } from './burn-watch.ts';
import { after, type IncidentState, type IncidentStep, nextStep, QUIET_MS } from './incident.ts';
import { OBJECTIVES } from './objectives.ts';
import { type OpenIncident, postureOf } from './posture.ts';
import { type ComponentFigures, type Trigger, triggersOf } from './triggers.ts';

const well: ComponentFigures = {
  probesFailed: 0,
  requests: 1_000,
  failures: 0,
  streams: 800,
  disconnects: 0,
  ttftP95Ms: 300,
  ttftCount: 900,
  slowForMs: 0,
  ready: 4,
  usual: 4,
};

describe('what makes an incident', () => {
  const table: [string, Partial<ComponentFigures>, string[]][] = [
    ['all well', {}, []],
    ['one failed probe is bad luck', { probesFailed: 1 }, []],
    ['two in a row are not', { probesFailed: 2 }, ['probes-fail major']],
    ['one request in fifty', { failures: 20 }, ['errors-rise minor']],
    ['one in ten', { failures: 100 }, ['errors-rise major']],
    ['four failures of a quiet model prove nothing', { requests: 4, failures: 4 }, []],
    ['slow for four minutes', { ttftP95Ms: 4_000, slowForMs: 240_000 }, []],
    ['slow for five', { ttftP95Ms: 4_000, slowForMs: 300_000 }, ['slow minor']],
    ['a twentieth of the streams break', { disconnects: 40 }, ['disconnects-rise major']],
    ['half of the providers are gone', { ready: 2 }, ['pool-shrinks minor']],
    ['all are', { ready: 0 }, ['no-provider critical']],
    ['a model that never had one is none of our business', { ready: 0, usual: 0 }, []],
    ['one of one provider is the usual', { ready: 1, usual: 1 }, []],
    [
      'worst first',
      { ready: 0, failures: 20, probesFailed: 5 },
      ['no-provider critical', 'probes-fail major', 'errors-rise minor'],
    ],
  ];
  test.each(table)('%s', (_, about, expected) => {
    const found = triggersOf({ ...well, ...about }, OBJECTIVES.pro);
    expect(found.map(({ name, severity }) => `${name} ${severity}`)).toEqual(expected);
  });

  test('each says what was measured and where the line is', () => {
    const [slow] = triggersOf({ ...well, ttftP95Ms: 4_000, slowForMs: 330_000 }, OBJECTIVES.pro);
    expect(slow?.because).toBe('the p95 of the time to first token is 4000 ms, above 1500 ms for 5 minutes');
  });
});

describe('the life of an incident', () => {
  const slow: Trigger = { name: 'slow', severity: 'minor', because: 'slow' };
  const errors: Trigger = { name: 'errors-rise', severity: 'major', because: 'errors' };

  /** Looks each minute; answers the steps with the minute in which they came. */
  function live(looks: readonly (readonly Trigger[])[]): string[] {
    let open: IncidentState | undefined;
    const steps: string[] = [];
    looks.forEach((triggers, minute) => {
      const nowMs = minute * 60_000;
      const step: IncidentStep | undefined = nextStep(open, triggers, nowMs);
      if (step) steps.push(`${minute} ${step.kind}${'severity' in step ? ` ${step.severity}` : ''}`);
      open = after(open, { step, triggers, nowMs, id: `inc_${minute}` });
    });
    return steps;
  }

  test('opens, gets worse, and is over when nothing held for five minutes', () => {
    const looks = [[], [slow], [slow], [slow, errors], [errors], [slow], [], [], [], [], []];
    expect(live(looks)).toEqual(['1 opened minor', '3 changed major', '10 resolved']);
  });

  test('a flapping component is one incident', () => {
    const looks = Array.from({ length: 20 }, (_, minute) => (minute % 3 === 0 ? [slow] : []));
    expect(live(looks)).toEqual(['0 opened minor']);
  });

  test('what comes after the end is a new one', () => {
    const quiet = Array.from({ length: QUIET_MS / 60_000 }, () => []);
    expect(live([[slow], ...quiet, [slow]])).toEqual(['0 opened minor', '5 resolved', '6 opened minor']);
  });

  test('remembers the worst it has been', () => {
    const first = after(undefined, {
      step: { kind: 'opened', severity: 'major', triggers: [errors] },
      triggers: [errors],
      nowMs: 0,
      id: 'inc_1',
    });
    const step: IncidentStep = { kind: 'changed', severity: 'minor', triggers: [slow] };
    const later = after(first, { step, triggers: [slow], nowMs: 1, id: 'unused' });
    expect(later).toMatchObject({ id: 'inc_1', severity: 'minor', worst: 'major' });
  });
});

describe('posture', () => {
  const incident = (about: Partial<OpenIncident> = {}): OpenIncident => ({
    modelId: 'large',
    region: '',
    severity: 'major',
    triggers: ['errors-rise'],
    because: '100 of 1000 requests failed',
    silenced: false,
    ...about,
  });
  const small = (): string => 'small';

  test('nothing wrong, nothing done', () => {
    expect(postureOf([], [], small)).toEqual({ freeze: false, frozenBecause: [], models: new Map() });
  });

  test('a severe incident cuts Hobby back, sheds very long prompts and lets the smaller model stand in', () => {
    const posture = postureOf([incident()], [], small).models.get('large');
    expect(posture).toMatchObject({
      outputTokensMax: { hobby: 256 },
      promptTokensMax: { hobby: 2_048, pro: 16_384, business: 16_384 },
      fallbackModel: 'small',
      because: ['100 of 1000 requests failed'],
    });
  });

  test('a minor one touches Hobby alone', () => {
    const posture = postureOf([incident({ severity: 'minor', triggers: ['slow'] })], [], small).models.get(
      'large',
    );
    expect(posture?.outputTokensMax).toEqual({ hobby: 256 });
    expect(posture?.promptTokensMax).toEqual({ hobby: 2_048 });
    expect(posture?.fallbackModel).toBeUndefined();
  });

  test('trouble in one region sends requests to the others', () => {
    expect(postureOf([incident({ region: 'eu' })], [], small).models.get('large')?.avoidRegions).toEqual([
      'eu',
    ]);
  });

  test('two incidents of one model: the stricter of each', () => {
    const posture = postureOf([incident({ severity: 'minor', triggers: ['slow'] }), incident()], [], small);
    expect(posture.models.get('large')?.promptTokensMax).toMatchObject({ hobby: 2_048, pro: 16_384 });
    expect(posture.models.get('large')?.because).toHaveLength(2);
  });

  test('a silenced incident is shown and changes nothing', () => {
    expect(postureOf([incident({ silenced: true })], [], small)).toEqual({
      freeze: false,
      frozenBecause: [],
      models: new Map(),
    });
  });

  test('changes wait while a budget burns fast, not for a ticket', () => {
    const alertOf = (name: string): GroupAlert => ({
      tier: 'pro',
      modelId: '',
      region: '',
      consumerId: '',
      lastFailed: '',
      rule: BURN_RULES.find((rule) => rule.name === name) as (typeof BURN_RULES)[0],
      longRate: 20,
      shortRate: 20,
    });
    expect(postureOf([], [alertOf('fast')], small).freeze).toBe(true);
    expect(postureOf([], [alertOf('slow')], small).freeze).toBe(false);
  });
});
