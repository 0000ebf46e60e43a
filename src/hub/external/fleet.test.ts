import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KeyedEndpoint } from '#domain/external-endpoint.ts';
import type { Clock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';
import { Sealed } from '#kit/sealed.ts';
import { MODEL, SECOND_MODEL, testHub } from '#support/test-hub.ts';
import { Upstream } from '#support/upstream.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { ExternalFleet, networkRules } from './fleet.ts';

// The checks run over real sockets; their rhythm is the virtual clock's.

let clock: VirtualClock;
let upstream: Upstream;
let fleet: ExternalFleet;
let store: FakeStore;
let hub: ReturnType<typeof testHub>['hub'];

class FakeStore {
  readonly known = new Map<string, KeyedEndpoint>();
  changed: (id: string, endpoint: KeyedEndpoint | undefined) => void = () => {};
  list = () => this.known.values();
  watch = (changed: FakeStore['changed']) => {
    this.changed = changed;
    return () => {};
  };
}

const endpoint = (over: Partial<KeyedEndpoint> = {}): KeyedEndpoint => ({
  id: 'ext_1',
  providerId: 'prov_one',
  name: 'mine',
  url: upstream.url,
  capacity: 3,
  models: [
    { modelId: MODEL, upstreamName: 'local-name', operations: ['chat/completions'] },
    { modelId: SECOND_MODEL, upstreamName: 'second', operations: ['chat/completions'] },
  ],
  key: new Sealed('sk-upstream'),
  ...over,
});

beforeEach(async () => {
  clock = new VirtualClock();
  upstream = await Upstream.open();
  upstream.models = ['local-name', 'second'];
  store = new FakeStore();
  open(clock);
});
afterEach(async () => {
  await fleet.close();
  await hub.close();
  await upstream.close();
});

function open(at: Clock, allowed: string[] = ['127.0.0.1']): void {
  const made = testHub(at);
  hub = made.hub;
  const random = seededRandomness(3);
  fleet = new ExternalFleet({
    clock: at,
    random,
    ids: idMaker(at, random),
    log: silentLog,
    hub,
    endpoints: store,
    models: made.rooms,
    rules: networkRules(allowed),
    marketName: 'cygnet-test',
  });
}

const known = (modelId: string = MODEL) => hub.candidates(modelId)[0];
describe('an endpoint', () => {
  test('is a candidate for every model of its own, behind no agent, once it has answered', async () => {
    store.changed('ext_1', endpoint());
    expect(known()).toMatchObject({ mode: 'external', health: 'unhealthy', nodeId: 'ext_1', capacity: 3 });
    await fleet.check('ext_1');
    expect(known()).toMatchObject({ health: 'healthy', eligible: true, linkCapacity: 3, ask: null });
    expect(known(SECOND_MODEL)).toMatchObject({ health: 'healthy', eligible: true });
    expect(fleet.stateOf('ext_1')).toMatchObject({ health: 'healthy', because: undefined });
  });

  test('is not offered for a model that it does not list, and for the others it is', async () => {
    upstream.models = ['second'];
    store.changed('ext_1', endpoint());
    await fleet.check('ext_1');
    expect(known()).toMatchObject({ eligible: false });
    expect(known(SECOND_MODEL)).toMatchObject({ eligible: true });
    expect(fleet.stateOf('ext_1')).toMatchObject({ health: 'healthy', missing: [MODEL] });
  });

  test('gets nothing after two bad checks in a row, and is back after one good one', async () => {
    store.changed('ext_1', endpoint());
    await fleet.check('ext_1');
    upstream.modelsStatus = 500;
    await fleet.check('ext_1');
    expect(known()?.health).toBe('healthy');
    await fleet.check('ext_1');
    expect(known()?.health).toBe('unhealthy');
    expect(fleet.stateOf('ext_1')).toMatchObject({ because: 'It answers with status 500.' });
    upstream.modelsStatus = 200;
    await fleet.check('ext_1');
    expect(known()?.health).toBe('healthy');
  });

  test('that does not take its key gets nothing, and its owner is told why', async () => {
    upstream.key = 'sk-another';
    store.changed('ext_1', endpoint());
    await fleet.check('ext_1');
    expect(known()?.health).toBe('unhealthy');
    expect(fleet.stateOf('ext_1')?.because).toBe('It does not accept the key (status 401).');
  });

  test('is looked at about every half minute, never in step with others', async () => {
    await fleet.close();
    const timers: { delayMs: number; run: () => void }[] = [];
    open({
      wallMs: () => clock.wallMs(),
      nowMs: () => clock.nowMs(),
      every: (periodMs, run) => clock.every(periodMs, run),
      endOfTurn: (run) => clock.endOfTurn(run),
      after: (delayMs, run) => {
        timers.push({ delayMs, run });
        return clock.after(delayMs, run);
      },
    });
    store.changed('ext_1', endpoint());
    await fleet.check('ext_1');
    for (let count = 2; count <= 6; count++) {
      timers.at(-1)?.run();
      // oxlint-disable-next-line no-await-in-loop -- joins the check that the timer began
      await fleet.check('ext_1');
      expect(upstream.checks).toBe(count);
    }
    const waits = timers.map(({ delayMs }) => delayMs).filter((delayMs) => delayMs > 20_000);
    expect(waits.every((ms) => ms >= 24_000 && ms <= 36_000)).toBe(true);
    expect(new Set(waits).size).toBe(6);
  });

  test('that leaves the store leaves the candidates, and is asked no more', async () => {
    store.changed('ext_1', endpoint());
    await fleet.check('ext_1');
    store.changed('ext_1', undefined);
    expect(known()).toBeUndefined();
    expect(fleet.stateOf('ext_1')).toBeUndefined();
    await clock.advance(120_000);
    expect(upstream.checks).toBe(1);
  });

  test('keeps its circuit and its record when it is registered again under its id', async () => {
    store.changed('ext_1', endpoint());
    const record = known()?.record;
    store.changed('ext_1', endpoint({ capacity: 9 }));
    expect(known()).toMatchObject({ capacity: 9 });
    expect(known()?.record).toBe(record);
  });

  test('that asks another price keeps its connections and its health, and its candidates ask it at once', async () => {
    store.changed('ext_1', endpoint());
    await fleet.check('ext_1');
    const [first, ...others] = endpoint().models;
    const wanted = { id: 'ask_1', unit: 'token', inputPico: 1n, outputPico: 1n } as const;
    const models = [{ ...(first as NonNullable<typeof first>), ask: wanted }, ...others];
    store.changed('ext_1', endpoint({ models }));
    expect(known()).toMatchObject({ health: 'healthy', eligible: true, ask: wanted });
    expect(known(SECOND_MODEL)).toMatchObject({ health: 'healthy', ask: null });
    store.changed('ext_1', endpoint());
    expect(known()).toMatchObject({ health: 'healthy', ask: null });
    expect(upstream.checks).toBe(1);
    store.changed('ext_1', endpoint({ models, capacity: 9 }));
    expect(known()).toMatchObject({ health: 'unhealthy', capacity: 9, ask: wanted });
  });

  test('whose key cannot be read is never asked, and its owner is told', () => {
    store.changed('ext_1', endpoint({ key: 'unreadable' }));
    expect(known()).toBeUndefined();
    expect(fleet.stateOf('ext_1')?.because).toContain('CYGNET_SECRET');
  });

  test('in a network that is not allowed any more is never asked', async () => {
    await fleet.close();
    open(clock, []);
    store.changed('ext_1', endpoint());
    await fleet.check('ext_1');
    expect(known()).toBeUndefined();
    expect(fleet.stateOf('ext_1')?.because).toContain('not on the public Internet');
    expect(upstream.asked).toEqual([]);
    expect(upstream.checks).toBe(0);
  });

  test('of a suspended provider is not eligible', async () => {
    store.changed('ext_1', endpoint({ providerId: 'prov_nobody' }));
    await fleet.check('ext_1');
    expect(known()).toMatchObject({ eligible: false });
  });
});
