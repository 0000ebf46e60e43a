import type { Model } from '#domain/model.ts';
import type { KeyRecord, Provider, ProviderState } from '#domain/party.ts';
import { Hub, type HubParts } from '#hub/hub.ts';
import { type Job, ONE_ANSWER } from '#hub/link.ts';
import type { ProviderStates } from '#hub/ports.ts';
import type { HubSettings } from '#hub/settings.ts';
import type { Clock } from '#kit/clock.ts';
import { idMaker } from '#kit/id.ts';
import { silentLog } from '#kit/log.ts';
import { seededRandomness } from '#kit/random.ts';

export const MODEL = 'zai-org/GLM-4.7-Flash';
export const SLUG = 'glm-4.7-flash';
export const SECOND_MODEL = 'Qwen/Qwen3-8B';

/** A hub with two providers (`sk-prov-one`, `sk-prov-two`), two models, and rooms that are maps. */
export function testHub(
  clock: Clock,
  options: { settings?: Partial<HubSettings>; parts?: Partial<HubParts> } = {},
) {
  const rooms = new TestRooms();
  const random = seededRandomness(7);
  const hub = new Hub(
    {
      clock,
      random,
      ids: idMaker(clock, random),
      log: silentLog,
      keys: rooms,
      providers: rooms.providers,
      nodes: rooms,
      models: rooms,
      isRevoked: (keyId) => rooms.revoked.has(keyId),
      ...options.parts,
    },
    // Turns end when a test moves its clock: nobody waits for one unless the test is about that.
    { handshakesPerTurn: Number.POSITIVE_INFINITY, ...options.settings },
  );
  return { hub, rooms };
}

class TestRooms {
  readonly keys = new Map<string, KeyRecord>([
    ['sk-prov-one', key('key_one', 'provider', 'prov_one')],
    ['sk-prov-two', key('key_two', 'provider', 'prov_two')],
    ['sk-prov-test', key('key_test', 'provider', 'prov_test')],
    ['sk-swan-consumer', key('key_consumer', 'consumer', 'cons_one')],
  ]);
  readonly revoked = new Set<string>();
  readonly states = new Map<string, ProviderState>([
    ['prov_one', 'active'],
    ['prov_two', 'active'],
    ['prov_test', 'active'],
  ]);
  /** By provider: until when (wall milliseconds) a failure keeps it from requests. */
  readonly withheld = new Map<string, number>();
  readonly owners = new Map<string, string>();
  readonly models = new Map<string, Model>();
  /** Replaced by a test that wants the store slow or away. */
  storeAnswers: () => Promise<void> = () => Promise.resolve();
  readonly #watchers = new Set<(provider: Provider) => void>();

  constructor() {
    for (const model of [testModel(MODEL, SLUG, 24), testModel(SECOND_MODEL, 'qwen3-8b', 16)]) {
      this.models.set(model.id, model);
      this.models.set(model.slug, model);
    }
  }

  find(secret: string): KeyRecord | 'unknown' | 'malformed' | 'revoked' {
    const record = this.keys.get(secret);
    if (!record) return secret.startsWith('sk-') ? 'unknown' : 'malformed';
    return this.revoked.has(record.id) ? 'revoked' : record;
  }

  /** Keys that were made elsewhere: known once they are looked for. */
  readonly newer = new Map<string, KeyRecord>();

  async seek(secret: string): Promise<void> {
    await this.storeAnswers();
    const record = this.newer.get(secret);
    if (record) this.keys.set(secret, record);
  }

  readonly providers: ProviderStates = {
    find: (providerId) => {
      const state = this.states.get(providerId);
      if (state === undefined) return undefined;
      const withheldUntil = this.withheld.get(providerId);
      return {
        id: providerId,
        name: providerId,
        state,
        region: null,
        dataPolicy: 'unstated',
        ...(withheldUntil !== undefined && { withheldUntil }),
      };
    },
    stateOf: (providerId) => this.states.get(providerId),
    watch: (changed) => {
      this.#watchers.add(changed);
      return () => this.#watchers.delete(changed);
    },
  };

  setState(providerId: string, state: ProviderState): void {
    this.states.set(providerId, state);
    const provider = this.providers.find(providerId) as Provider;
    for (const changed of this.#watchers) changed(provider);
  }

  async bind(nodeId: string, providerId: string): Promise<'bound' | 'foreign'> {
    await this.storeAnswers();
    const owner = this.owners.get(nodeId) ?? providerId;
    this.owners.set(nodeId, owner);
    return owner === providerId ? 'bound' : 'foreign';
  }

  resolve(name: string): Model | undefined {
    return this.models.get(name);
  }
}

function key(id: string, kind: KeyRecord['kind'], ownerId: string): KeyRecord {
  return { id, kind, ownerId, name: id, prefix: id.slice(0, 8), revoked: false };
}

function testModel(id: string, slug: string, minVramGb: number): Model {
  return {
    id,
    slug,
    aliases: [],
    name: id,
    category: 'llm',
    contextTokens: 8_192,
    maxOutputTokens: 2_048,
    minVramGb,
    active: true,
    canary: null,
    price: { id: 'price_1', unit: 'token', inputPico: 1n, outputPico: 2n },
  };
}

let jobs = 0;

/** A job as dispatch would hand it to a link. */
export function testJob(over: Partial<Job> = {}): Job {
  const stream = over.stream ?? true;
  return {
    attemptId: `att_${++jobs}`,
    modelId: MODEL,
    completionId: 'chatcmpl-test',
    createdS: 1_763_600_000,
    operation: 'chat/completions',
    expects: ONE_ANSWER,
    stream,
    body: Buffer.from(JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Hi' }], stream })),
    set: {},
    deadlineMs: 120_000,
    ...over,
  };
}
