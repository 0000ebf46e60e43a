import { beforeEach, describe, expect, test } from 'vitest';
import { CHAT_ONLY } from '#domain/operation.ts';
import { seededRandomness } from '#kit/random.ts';
import { choose } from '#routing/choose.ts';
import { healthAware } from '#routing/strategies/health-aware.ts';
import { smallNeed } from '#support/candidate.ts';
import { FakeLink } from '#support/fake-link.ts';
import { Presence, Registry } from './registry.ts';

// Health that comes and goes, and providers put behind: what the registry makes of them for routing.

let nowMs: number;
let registry: Registry;
beforeEach(() => {
  nowMs = 1_000_000;
  registry = new Registry({
    nowMs: () => nowMs,
    providers: {
      find: (id) => ({ id, name: id, state: 'active', region: null, dataPolicy: 'unstated' }),
      stateOf: () => 'active',
      watch: () => () => {},
    },
    recordsMax: 1_000,
    linkBufferBytesMax: 1_000,
    hubBufferBytesMax: 1_000,
  });
});

let links = 0;
function enters(name: string, node = name): Presence {
  const presence = new Presence({
    linkId: `link_${++links}`,
    nodeId: `node-${node}`,
    providerId: `prov_${name}`,
    mode: 'websocket',
    keyId: null,
    connectedAtMs: nowMs - 60_000,
    evict: () => {},
    warmUp: () => Promise.resolve('unanswered'),
    providerChanged: () => {},
  });
  registry.enter(presence, new FakeLink(presence.linkId));
  registry.serve(
    presence,
    [
      {
        modelId: 'model',
        name: 'model',
        capacity: 8,
        operations: CHAT_ONLY,
        quantization: null,
        parameters: null,
        version: null,
      },
    ],
    { vramGb: 24, linkCapacity: 8, requestBytesMax: 1_000_000 },
  );
  registry.health(presence, { model: 'healthy' });
  return presence;
}

const first = (): string | undefined =>
  choose(smallNeed, registry.candidates('model'), {
    strategy: healthAware(),
    nowMs,
    random: seededRandomness(1),
  }).picks[0]?.providerId;
const behind = (name: string) =>
  registry.candidates('model').find(({ providerId }) => providerId === `prov_${name}`)?.behind;

describe('a model that is ill and well in turn', () => {
  test('stands behind one that stays, however well it calls itself, until that is forgotten', () => {
    const flapping = enters('flapping');
    const steady = enters('steady');
    // Better in every figure.
    for (const candidate of registry.candidates('model'))
      if (candidate.providerId === 'prov_flapping') candidate.record.success = 1;
    expect(first()).toBe('prov_flapping');
    for (let i = 0; i < 3; i++) {
      registry.health(flapping, { model: 'unhealthy' });
      expect(first()).toBe('prov_steady');
      registry.health(flapping, { model: 'healthy' });
      nowMs += 5_000;
    }
    expect(behind('flapping')).toBe('it came and went too often just now');
    expect(first()).toBe('prov_steady');
    expect(behind('steady')).toBeUndefined();
    // It is still there for whom nobody else can serve.
    registry.leave(steady);
    expect(first()).toBe('prov_flapping');
    enters('steady');
    nowMs += 1_200_000;
    registry.ready(flapping, new Set(['model']));
    expect(behind('flapping')).toBeUndefined();
    expect(first()).toBe('prov_flapping');
  });

  test('is not forgiven for a new connection', () => {
    let presence = enters('flapping');
    for (let i = 0; i < 3; i++) {
      registry.leave(presence);
      nowMs += 2_000;
      presence = enters('flapping');
    }
    expect(behind('flapping')).toBeDefined();
  });

  test('one that asks for no more work before it leaves has not fallen', () => {
    let presence = enters('orderly');
    for (let i = 0; i < 10; i++) {
      registry.drain(presence, true);
      registry.leave(presence);
      presence = enters('orderly');
    }
    expect(behind('orderly')).toBeUndefined();
  });
});

describe('a provider that is put behind', () => {
  test('stands behind with every node, also those that come later, and no longer once it is taken back', () => {
    enters('poor');
    enters('sound');
    registry.putBehind(new Map([['prov_poor', 'it failed too often']]));
    expect(first()).toBe('prov_sound');
    // 200 new nodes of the same provider begin with no record at all, and none of them goes first.
    for (let i = 0; i < 200; i++) enters('poor', `poor-${i}`);
    expect(first()).toBe('prov_sound');
    expect(behind('sound')).toBeUndefined();
    registry.putBehind(new Map());
    expect(registry.candidates('model').every((candidate) => candidate.behind === undefined)).toBe(true);
  });
});
