import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { TierName } from '#domain/tier.ts';
import { silentLog } from '#kit/log.ts';
import { type FreshDatabase, freshDatabase } from '#support/postgres.ts';
import { usageRecord } from '#support/records.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { errorRow } from '#wire/errors.ts';
import { BurnWatch } from './burn-watch.ts';
import { IncidentBook } from './incident-book.ts';
import { IncidentWatch } from './incident-watch.ts';
import { LiveSignals, type PoolMember } from './live-signals.ts';
import { firstObjectives } from './objectives.ts';

let fresh: FreshDatabase;
const opened: FreshDatabase[] = [];
beforeEach(async () => {
  fresh = await freshDatabase();
  opened.push(fresh);
});
afterAll(async () => {
  await Promise.all(opened.map((each) => each.drop()));
});

const ready = (providerId: string, region = 'eu'): PoolMember => ({ providerId, region, ready: true });

/** A request of a tier that ended, well or not. */
const asked = (
  tier: TierName,
  failed: boolean,
  modelId: string,
  more: { region?: string; consumerId?: string } = {},
) => ({ tier, code: failed ? 'provider-failed' : null, modelId, consumerId: 'c', ...more });

/** One process of a market that sells `m`, with its clock in hand. */
function process(clock: VirtualClock, pool: PoolMember[], name = 'a') {
  const about = { nowMs: () => clock.nowMs(), blameOf: errorRow, objectives: firstObjectives };
  const signals = new LiveSignals(about);
  const burn = new BurnWatch(about);
  const book = new IncidentBook(fresh.database);
  const declared: string[] = [];
  let ids = 0;
  const watch = new IncidentWatch({
    clock,
    log: silentLog,
    makeId: (prefix) => `${prefix}_${name}${++ids}`,
    book,
    signals,
    burn,
    declaredFreezes: async () => declared,
    models: () => ['m'],
    pool: () => pool,
    standInOf: () => 'small',
  });
  const look = async (afterMs = 10_000): Promise<void> => {
    await clock.advance(afterMs);
    await watch.look();
  };
  const served = (count: number, more: Parameters<typeof usageRecord>[0] = {}): void => {
    for (let i = 0; i < count; i++)
      signals.served(usageRecord({ modelId: 'm', ...more }), { tier: 'pro', region: 'eu' });
  };
  return { signals, burn, book, watch, look, served, declared };
}

describe('incidents of a market', () => {
  test('the last provider leaves: a critical incident within a look, its posture, and its end when one is back', async () => {
    const clock = new VirtualClock();
    const pool = [ready('p')];
    const { watch, look, book } = process(clock, pool);
    await look();
    expect(watch.open).toEqual([]);
    pool.length = 0;
    await look();
    expect(watch.open).toMatchObject([
      { modelId: 'm', region: '', severity: 'critical', triggers: ['no-provider'] },
    ]);
    expect(watch.postureOf('m')).toMatchObject({ outputTokensMax: { hobby: 256 }, fallbackModel: 'small' });
    expect(watch.posture.freeze).toBe(true);
    // An hour later nobody is back, and it is still missed.
    for (let minute = 0; minute < 70; minute++) await look(60_000);
    expect(watch.open).toHaveLength(1);
    pool.push(ready('p'));
    await look();
    await look(280_000);
    expect(watch.open).toHaveLength(1);
    await look(10_000);
    expect(watch.open).toEqual([]);
    expect(watch.postureOf('m')).toBeUndefined();
    const [incident] = await book.since(0, 10);
    const steps = await book.steps([incident?.id ?? '']);
    expect(steps.map(({ kind, actor }) => `${kind} by ${actor}`)).toEqual([
      'opened by rule',
      'resolved by rule',
    ]);
  });

  test('a slow model is an incident after five minutes and not before', async () => {
    const clock = new VirtualClock();
    const { watch, look, served } = process(clock, [ready('p')]);
    for (let round = 0; round < 31; round++) {
      served(3, { ttftMs: 1_900 });
      await look();
    }
    expect(watch.open).toEqual([]);
    served(3, { ttftMs: 1_900 });
    await look();
    expect(watch.open).toMatchObject([{ severity: 'minor', triggers: ['slow'] }]);
    expect(watch.open[0]?.because).toContain('above 1500 ms for 5 minutes');
  });

  test('trouble of one region is of that region alone, and routing is told to go elsewhere', async () => {
    const clock = new VirtualClock();
    const pool = [ready('p', 'eu'), ready('q', 'us'), ready('r', 'us')];
    const { watch, look } = process(clock, pool);
    await look();
    pool[0] = { ...ready('p', 'eu'), ready: false };
    await look();
    expect(watch.open).toMatchObject([{ region: 'eu', severity: 'critical' }]);
    expect(watch.postureOf('m')?.avoidRegions).toEqual(['eu']);
  });

  test('two processes see the same trouble as one incident; it ends when neither has a reason left', async () => {
    const clock = new VirtualClock();
    const one = process(clock, [ready('p')], 'one');
    const two = process(clock, [ready('p')], 'two');
    for (const each of [one, two]) {
      each.served(20, { outcome: 'failed', errorCode: 'provider-failed', ttftMs: null });
      await each.look();
    }
    expect(one.watch.open).toHaveLength(1);
    expect(two.watch.open.map(({ id }) => id)).toEqual(one.watch.open.map(({ id }) => id));
    // Only the second goes on failing.
    for (let minute = 0; minute < 10; minute++) {
      two.served(20, { outcome: 'failed', errorCode: 'provider-failed', ttftMs: null });
      await two.look(30_000);
      await one.look(30_000);
    }
    expect(one.watch.open).toHaveLength(1);
    for (let minute = 0; minute < 12; minute++) {
      await one.look(30_000);
      await two.look(30_000);
    }
    expect(one.watch.open).toEqual([]);
  });

  test('a process that starts during an outage knows of it, and goes on missing who served', async () => {
    const clock = new VirtualClock();
    const pool = [ready('p')];
    const before = process(clock, pool);
    await before.look();
    pool.length = 0;
    await before.look();
    const after = process(clock, pool, 'b');
    for (let minute = 0; minute < 10; minute++) await after.look(60_000);
    expect(after.watch.open.map(({ id }) => id)).toEqual(['inc_a1']);
  });

  test('what an operator opened only an operator ends; silenced, nothing is done about it', async () => {
    const clock = new VirtualClock();
    const { watch, look, book } = process(clock, [ready('p')]);
    const atMs = clock.wallMs();
    const by = { actor: 'operator', atMs };
    const begun = {
      id: 'inc_1',
      modelId: 'm',
      region: '',
      severity: 'major',
      because: 'GPU on fire.',
    } as const;
    expect(await book.begin({ ...begun, triggers: [], ...by })).toBe(true);
    expect(await book.begin({ ...begun, id: 'inc_2', triggers: [], ...by })).toBe(false);
    await look();
    expect(watch.postureOf('m')?.fallbackModel).toBe('small');
    await book.silence('inc_1', { untilMs: atMs + 3_600_000, words: 'Known.', ...by });
    await look();
    expect(watch.postureOf('m')).toBeUndefined();
    await look(3_600_000);
    expect(watch.postureOf('m')?.fallbackModel).toBe('small');
    expect(await book.resolve('inc_1', { words: 'Put out.', ...by })).toBe(true);
    expect(await book.resolve('inc_1', { words: 'Again.', ...by })).toBe(false);
    await look();
    expect(watch.open).toEqual([]);
  });

  test('requests that are shed while it is full do not keep its incident open', async () => {
    const clock = new VirtualClock();
    const { watch, look, signals } = process(clock, [ready('p')]);
    for (let i = 0; i < 50; i++) signals.refused({ modelId: 'm', code: 'prompt-shed' });
    await look();
    expect(watch.open).toEqual([]);
  });

  test('a model that nobody ever served has no incident, however often it is asked for', async () => {
    const clock = new VirtualClock();
    const { watch, look, signals } = process(clock, []);
    for (let i = 0; i < 50; i++) signals.refused({ modelId: 'm', code: 'model-without-provider' });
    await look();
    expect(watch.open).toEqual([]);
  });

  test('a budget of a tier that pays freezes changes while it burns, and Hobby gets less of every model', async () => {
    const clock = new VirtualClock();
    const { watch, look, burn } = process(clock, [ready('p')]);
    await look();
    for (let i = 0; i < 100; i++) burn.note(asked('pro', i % 10 === 0, `m${i % 7}`));
    await look(3_600_000);
    for (let i = 0; i < 100; i++) burn.note(asked('pro', i % 10 === 0, `m${i % 7}`));
    await look();
    expect(watch.alerts.map(({ tier, rule }) => `${tier} ${rule.name}`)).toContain('pro fast');
    expect(watch.posture).toMatchObject({ freeze: true });
    expect(watch.posture.models.size).toBe(0);
    expect(watch.postureOf('any')).toMatchObject({
      outputTokensMax: { hobby: 256 },
      promptTokensMax: { hobby: 2_048 },
      fallbackModel: 'small',
      because: ['The error budget of pro burns.'],
    });
  });

  test('what an operator freezes is frozen at the next look, for its reason, and thaws when it is lifted', async () => {
    const { watch, look, declared } = process(new VirtualClock(), [ready('p')]);
    declared.push('The launch.');
    await look();
    expect(watch.posture).toMatchObject({
      freeze: true,
      frozenBecause: ['The launch.'],
      everywhere: undefined,
    });
    declared.length = 0;
    await look();
    expect(watch.posture).toMatchObject({ freeze: false, frozenBecause: [] });
  });

  test('a budget that Hobby alone burns freezes changes, and nothing else', async () => {
    const clock = new VirtualClock();
    const { watch, look, burn } = process(clock, [ready('p')]);
    await look();
    for (let hour = 0; hour < 2; hour++) {
      for (let i = 0; i < 100; i++) burn.note(asked('hobby', i % 5 === 0, 'm'));
      await look(hour === 0 ? 3_600_000 : 10_000);
    }
    expect(watch.alerts.map(({ tier, rule }) => `${tier} ${rule.name}`)).toContain('hobby fast');
    expect(watch.posture.freeze).toBe(true);
    expect(watch.postureOf('any')).toBeUndefined();
  });
});

describe('one cause', () => {
  /** Half an hour of requests, all well, and then a minute in which those that `fails` names do not. */
  async function burned(
    parts: ReturnType<typeof process>,
    requests: readonly { modelId: string; region?: string; consumerId: string }[],
    fails: (request: { modelId: string; region?: string; consumerId: string }) => boolean,
  ): Promise<void> {
    const { burn, look } = parts;
    for (let i = 0; i < 180; i++) {
      for (const each of requests) burn.note(asked('pro', false, each.modelId, each));
      await look();
    }
    for (let i = 0; i < 6; i++) {
      for (const each of requests) burn.note(asked('pro', fails(each), each.modelId, each));
      await look();
    }
  }
  const consumers = Array.from({ length: 60 }, (_, i) => `cons_${i}`);

  test('that burns the budgets of a tier, a model, two regions and 60 consumers is one incident, with one note', async () => {
    const clock = new VirtualClock();
    const parts = process(clock, [ready('p', 'eu'), ready('q', 'us')]);
    parts.burn.contracted(new Map(consumers.map((id) => [id, 0.999])));
    const requests = consumers.map((consumerId, i) => ({
      modelId: 'm',
      region: i % 2 === 0 ? 'eu' : 'us',
      consumerId,
    }));
    await burned(parts, requests, () => true);
    expect(parts.watch.alerts.filter(({ consumerId }) => consumerId !== '').length).toBeGreaterThanOrEqual(
      60,
    );
    expect(parts.watch.open).toMatchObject([
      { modelId: 'm', region: '', severity: 'minor', triggers: ['budget-burns'] },
    ]);
    const steps = await parts.book.steps(parts.watch.open.map(({ id }) => id));
    expect(steps.map(({ kind, internal }) => [kind, internal])).toEqual([
      ['opened', false],
      ['note', true],
    ]);
    expect(steps[1]?.words).toMatch(/cons_0, .* and 50 more/);
    // All but the tier's own follow from something else, so nobody is told of them.
    const own = parts.watch.alerts.filter(({ explainedBy }) => explainedBy === '');
    expect(new Set(own.map(({ tier, modelId, consumerId }) => tier + modelId + consumerId))).toEqual(
      new Set(['pro']),
    );
  });

  test('in one of two regions is an incident of that region and model', async () => {
    const clock = new VirtualClock();
    const parts = process(clock, [ready('p', 'eu'), ready('q', 'us')]);
    const requests = Array.from({ length: 200 }, (_, i) => ({
      modelId: i % 2 === 0 ? 'm' : 'n',
      region: i % 100 === 0 ? 'us' : 'eu',
      consumerId: 'c',
    }));
    await burned(parts, requests, ({ region }) => region === 'us');
    expect(parts.watch.open.map(({ modelId, region }) => [modelId, region])).toEqual([['m', 'us']]);
    expect(parts.watch.postureOf('m')).toMatchObject({
      avoidRegions: ['us'],
      outputTokensMax: { hobby: 256 },
      fallbackModel: 'small',
    });
  });

  test('that reaches one consumer alone is its alert, and no incident for everybody to read', async () => {
    const clock = new VirtualClock();
    const parts = process(clock, [ready('p')]);
    parts.burn.contracted(new Map([['cons_0', 0.999]]));
    const requests = Array.from({ length: 200 }, (_, i) => ({
      modelId: 'm',
      region: 'eu',
      consumerId: i === 0 ? 'cons_0' : 'c',
    }));
    await burned(parts, requests, ({ consumerId }) => consumerId === 'cons_0');
    expect(parts.watch.open).toEqual([]);
    expect(parts.watch.alerts.map(({ rule }) => rule.name)).toEqual(['sharp']);
    for (const alert of parts.watch.alerts)
      expect(alert).toMatchObject({ consumerId: 'cons_0', explainedBy: '', lastFailed: 'm' });
    expect(parts.watch.posture).toMatchObject({ freeze: true, everywhere: undefined });
  });

  test('that is spread over all models is one incident of the whole market, which ends with it', async () => {
    const clock = new VirtualClock();
    const parts = process(clock, [ready('p')]);
    const requests = Array.from({ length: 200 }, (_, i) => ({ modelId: `m${i}`, consumerId: 'c' }));
    let asks = 0;
    // Two in three fail, each model four times: too few to say so of any by itself.
    await burned(parts, requests, () => asks++ % 3 !== 0);
    expect(parts.watch.open.map(({ modelId }) => modelId)).toEqual(['']);
    await parts.look(360_000);
    await parts.look(310_000);
    expect(parts.watch.open).toEqual([]);
  });
});

describe('a timeline', () => {
  test('is never changed', async () => {
    const book = new IncidentBook(fresh.database);
    const by = { actor: 'operator', atMs: Date.UTC(2026, 10, 20) };
    await book.begin({
      id: 'i',
      modelId: 'm',
      region: '',
      severity: 'minor',
      because: 'x',
      triggers: [],
      ...by,
    });
    expect(await book.note('i', { words: 'Looking.', ...by })).toBe(true);
    expect(await book.note('none', { words: 'Looking.', ...by })).toBe(false);
    await expect(fresh.database.sql`update incident_steps set words = 'better'`).rejects.toThrow(
      'append-only',
    );
    await expect(fresh.database.sql`delete from incident_steps`).rejects.toThrow('append-only');
  });
});
