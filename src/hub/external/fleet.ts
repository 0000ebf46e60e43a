import type { KeyedEndpoint } from '#domain/external-endpoint.ts';
import { operationSet } from '#domain/operation.ts';
import type { Price } from '#domain/price.ts';
import { AddressList } from '#kit/address-list.ts';
import type { Clock, Timer } from '#kit/clock.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Randomness } from '#kit/random.ts';
import type { DeclaredModel } from '../declaration.ts';
import type { Hub } from '../hub.ts';
import type { EndpointSource, ModelFinder, SessionLog } from '../ports.ts';
import { Presence } from '../registry.ts';
import { type CheckResult, checkEndpoint } from './check.ts';
import { EndpointLink } from './endpoint-link.ts';
import { type NetworkRules, readEndpointUrl } from './endpoint-url.ts';
import { endpointHealth, endpointMoved } from './events.ts';
import { systemResolve } from './guarded-connect.ts';
import { type Line, openLine } from './line.ts';

const CHECK_EVERY_MS = 30_000;
/** A check comes this much earlier or later, so that a hundred endpoints are not asked in the same moment. */
const JITTER = 0.2;
/** So many checks in a row must fail before nothing is routed there; one good one ends it. */
const FAILURES_MAX = 2;

/**
 * The external endpoints of this market, kept in the hub's registry beside the agents: each is a node of its own with a
 * candidate for every model. What is added, changed or removed in the store is followed at once; answers under way on
 * what has left end by themselves.
 *
 * Each is asked every half minute for its models. Nothing is routed to one before its first good answer, nor after two
 * bad ones in a row; a model that it does not list is not offered, whatever was registered.
 */
export class ExternalFleet {
  readonly #parts: FleetParts;
  readonly #members = new Map<string, Member>();
  readonly #stopWatching: () => void;
  readonly #leaving = new Set<Promise<void>>();
  #closed = false;

  constructor(parts: FleetParts) {
    this.#parts = parts;
    this.#stopWatching = parts.endpoints.watch((id, endpoint) => this.#changed(id, endpoint));
    for (const endpoint of parts.endpoints.list()) this.#changed(endpoint.id, endpoint);
  }

  /** How an endpoint is; undefined when there is none with this id. */
  stateOf(id: string): EndpointState | undefined {
    return this.#members.get(id)?.state;
  }

  /** Looks at an endpoint now, outside its turn. Undefined when there is none with this id. */
  async check(id: string): Promise<EndpointState | undefined> {
    const member = this.#members.get(id);
    if (!member) return undefined;
    await member.check();
    return member.state;
  }

  /** Ends every attempt and closes every connection. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopWatching();
    const members = [...this.#members.values()];
    this.#members.clear();
    await Promise.all([...members.map((member) => member.close()), ...this.#leaving]);
  }

  #changed(id: string, endpoint: KeyedEndpoint | undefined): void {
    if (this.#closed) return;
    const before = this.#members.get(id);
    if (before && endpoint && before.takesAsksOf(endpoint))
      return endpointMoved(this.#parts.log, id, 'repriced');
    if (before) {
      this.#members.delete(id);
      const left = before.leave().finally(() => this.#leaving.delete(left));
      this.#leaving.add(left);
    }
    if (endpoint) this.#members.set(id, new Member(endpoint, this.#parts));
    endpointMoved(this.#parts.log, id, endpoint ? (before ? 'changed' : 'added') : 'removed');
  }
}

export interface FleetParts {
  readonly clock: Clock;
  readonly random: Randomness;
  readonly ids: IdMaker;
  readonly log: Logger;
  readonly hub: Pick<Hub, 'registry' | 'counters' | 'settings'>;
  readonly endpoints: EndpointSource;
  readonly models: ModelFinder;
  /** Writes down when an endpoint was sound; undefined: nobody does. */
  readonly sessions?: SessionLog | undefined;
  readonly rules: NetworkRules;
  /** How this market is named to endpoints that are markets themselves. */
  readonly marketName: string;
}

/** What is known of an endpoint from its checks. */
export interface EndpointState {
  readonly health: 'unchecked' | 'healthy' | 'unhealthy';
  /** What was wrong at the last check, in a sentence; undefined when nothing was. */
  readonly because: string | undefined;
  /** Wall milliseconds; undefined before the first check. */
  readonly checkedAt: number | undefined;
  /** Registered models that it does not list. */
  readonly missing: readonly string[];
}

/** The rules for networks that the operator named (`CYGNET_EXTERNAL_ALLOW_NETWORKS`), with the system's resolver. */
export function networkRules(allowed: readonly string[]): NetworkRules {
  return { allowed: new AddressList(allowed), resolve: systemResolve };
}

/** One endpoint, from the moment it is known to the moment it leaves. */
class Member {
  #endpoint: KeyedEndpoint;
  readonly #parts: FleetParts;
  readonly #presence: Presence;
  readonly #line: Line | undefined;
  readonly #link: EndpointLink | undefined;
  #timer: Timer | undefined;
  #checking: Promise<void> | undefined;
  #failures = 0;
  #sessionId: string | undefined;
  #gone = false;
  state: EndpointState = { health: 'unchecked', because: undefined, checkedAt: undefined, missing: [] };

  constructor(endpoint: KeyedEndpoint, parts: FleetParts) {
    this.#endpoint = endpoint;
    this.#parts = parts;
    const { clock, ids, hub, random } = parts;
    this.#presence = new Presence({
      linkId: ids('link'),
      nodeId: endpoint.id,
      providerId: endpoint.providerId,
      mode: 'external',
      keyId: null,
      connectedAtMs: clock.nowMs(),
      evict: () => {},
      // Whoever runs a server that others reach as well keeps it warm himself.
      warmUp: () => Promise.resolve('unanswered'),
      providerChanged: () => {},
    });
    const place = readEndpointUrl(endpoint.url, parts.rules.allowed);
    const { key } = endpoint;
    if ('refusal' in place || key === 'unreadable') {
      const because = 'refusal' in place ? place.refusal : KEY_UNREADABLE;
      this.state = { health: 'unhealthy', because, checkedAt: undefined, missing: [] };
      return;
    }
    this.#line = openLine(place, {
      key,
      capacity: endpoint.capacity,
      rules: parts.rules,
      marketName: parts.marketName,
    });
    const { registry, counters, settings } = hub;
    const presence = this.#presence;
    this.#link = new EndpointLink({
      id: presence.linkId,
      line: this.#line,
      models: endpoint.models,
      clock,
      random,
      counters,
      settings,
      occupancy: {
        began: (modelId) => registry.began(presence, modelId),
        ended: (modelId) => registry.ended(presence, modelId),
        buffered: (delta) => registry.buffered(presence, delta),
        missing: (modelId) => registry.missing(presence, modelId),
      },
    });
    registry.enter(presence, this.#link);
    registry.serve(presence, this.#offers(), {
      vramGb: null,
      linkCapacity: endpoint.capacity,
      requestBytesMax: settings.requestBytesMaxNew,
    });
    registry.price(presence, asksOf(endpoint));
    this.#tell('unhealthy');
    void this.check();
  }

  /** Takes over the asks of `changed` where nothing else of it is new: connections and health stay. */
  takesAsksOf(changed: KeyedEndpoint): boolean {
    if (!sameButForAsks(this.#endpoint, changed)) return false;
    this.#endpoint = changed;
    this.#parts.hub.registry.price(this.#presence, asksOf(changed));
    return true;
  }

  /** Looks once; a look under way is the one. The next follows in half a minute. */
  async check(): Promise<void> {
    const line = this.#line;
    if (!line || this.#gone) return;
    this.#checking ??= this.#look(line).finally(() => {
      this.#checking = undefined;
    });
    await this.#checking;
  }

  /** Offers nothing more, and closes once nothing is under way. */
  async leave(): Promise<void> {
    this.#goAway();
    await this.#link?.retire();
  }

  async close(): Promise<void> {
    this.#goAway();
    await this.#link?.close();
  }

  #goAway(): void {
    this.#gone = true;
    this.#timer?.cancel();
    this.#unsound('removed, changed, or this market closes');
    if (this.#link) this.#parts.hub.registry.leave(this.#presence);
  }

  async #look(line: Line): Promise<void> {
    const { clock, random } = this.#parts;
    this.#timer?.cancel();
    const result = await checkEndpoint(line, clock);
    if (this.#gone) return;
    this.#judge(result);
    const waitMs = CHECK_EVERY_MS * (1 - JITTER + 2 * JITTER * random.float());
    this.#timer = clock.after(waitMs, () => void this.check());
  }

  #judge(result: CheckResult): void {
    const { registry } = this.#parts.hub;
    const before = this.state.health;
    const checkedAt = this.#parts.clock.wallMs();
    if (result.healthy) {
      this.#failures = 0;
      this.#presence.heardAtMs = this.#parts.clock.nowMs();
      registry.ready(this.#presence, result.models);
      const missing = this.#endpoint.models
        .filter(({ upstreamName }) => !result.models.has(upstreamName))
        .map(({ modelId }) => modelId);
      const because = missing.length > 0 ? 'It does not list every registered model.' : undefined;
      this.state = { health: 'healthy', because, checkedAt, missing };
    } else {
      this.#failures += 1;
      const health = before === 'healthy' && this.#failures < FAILURES_MAX ? 'healthy' : 'unhealthy';
      this.state = { ...this.state, health, because: result.because, checkedAt };
    }
    const { health, because } = this.state;
    if (health === before) return;
    this.#tell(health === 'healthy' ? 'healthy' : 'unhealthy');
    if (health === 'healthy') this.#sound();
    else this.#unsound(because ?? 'it failed its checks');
    endpointHealth(this.#parts.log, this.#endpoint, { health, because });
  }

  /** While it answers its checks, an endpoint is as good as connected: each such while is a session of its own. */
  #sound(): void {
    const { linkId: id, providerId, nodeId, heardAtMs } = this.#presence;
    const sessionId = `${id}/${Math.round(heardAtMs)}`;
    this.#sessionId = sessionId;
    this.#parts.sessions?.began({ id: sessionId, linkId: id, providerId, nodeId, mode: 'external' });
  }

  #unsound(why: string): void {
    if (this.#sessionId === undefined) return;
    const heardAgoMs = this.#gone ? 0 : this.#parts.clock.nowMs() - this.#presence.heardAtMs;
    this.#parts.sessions?.ended(this.#sessionId, { why, attemptsLost: 0, heardAgoMs });
    this.#sessionId = undefined;
  }

  #tell(word: 'healthy' | 'unhealthy'): void {
    const words = Object.fromEntries(this.#endpoint.models.map((model) => [model.upstreamName, word]));
    this.#parts.hub.registry.health(this.#presence, words);
  }

  #offers(): DeclaredModel[] {
    return this.#endpoint.models.flatMap(({ modelId, upstreamName, operations }) => {
      const model = this.#parts.models.resolve(modelId);
      if (!model) return [];
      return [
        {
          modelId: model.id,
          name: upstreamName,
          capacity: this.#endpoint.capacity,
          operations: operationSet(operations),
          quantization: null,
          parameters: null,
          version: null,
        },
      ];
    });
  }
}

const KEY_UNREADABLE = 'Its key cannot be read with the present CYGNET_SECRET: register it again.';

function asksOf({ models }: KeyedEndpoint): ReadonlyMap<string, Price> {
  return new Map(models.flatMap(({ modelId, ask }) => (ask ? [[modelId, ask]] : [])));
}

function sameButForAsks(one: KeyedEndpoint, other: KeyedEndpoint): boolean {
  return withoutAsks(one) === withoutAsks(other);
}

function withoutAsks({ key, models, ...endpoint }: KeyedEndpoint): string {
  const opened = typeof key === 'object' ? key.open() : key;
  return JSON.stringify([endpoint, models.map(({ ask: _ask, ...model }) => model), opened]);
}
