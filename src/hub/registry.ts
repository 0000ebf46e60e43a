import { LRUCache } from 'lru-cache';
import type { StatedHardware } from '#domain/hardware-tier.ts';
import type { Provider, ProviderState } from '#domain/party.ts';
import type { Price } from '#domain/price.ts';
import { newBreaker } from '#routing/breaker.ts';
import type { Breaker, Candidate, ServiceRecord } from '#routing/candidate.ts';
import { type Falls, isFlapping, noFalls, noteFall } from '#routing/flapping.ts';
import { newRecord } from '#routing/score.ts';
import type { DeclaredModel } from './declaration.ts';
import type { Link } from './link.ts';
import type { Notice } from './notices.ts';
import type { ProviderStates, Standings } from './ports.ts';
import type { WarmUpAnswer } from './warm-up-desk.ts';

/**
 * Who is here now, as plain candidates for routing. One list per model, changed in place when somebody comes, goes,
 * drains or falls ill, so that a request costs no more than a look-up.
 *
 * What was measured of a node on a model (its circuit, its service record) outlives the connection: a provider that
 * keeps coming back keeps its record.
 */
export class Registry {
  readonly #providers: ProviderStates;
  readonly #standings: Pick<Standings, 'against' | 'behind'> | undefined;
  readonly #byModel = new Map<string, PresentCandidate[]>();
  readonly #byLink = new Map<string, Presence>();
  readonly #byNode = new Map<string, Presence>();
  readonly #remembered: LRUCache<string, Measured>;
  readonly #bufferBytesMax: { readonly link: number; readonly hub: number };
  #bufferedBytes = 0;
  readonly #nowMs: () => number;
  /** Why candidates of a provider stand behind others, by provider. */
  #behind: ReadonlyMap<string, string> = new Map();
  /** Of those who are connected here: who came, went, changed or has another load, for whoever follows. */
  #touched: Set<Presence> | undefined;

  constructor(parts: {
    /** Monotonic milliseconds. */
    nowMs: () => number;
    providers: ProviderStates;
    standings?: Pick<Standings, 'against' | 'behind'> | undefined;
    recordsMax: number;
    linkBufferBytesMax: number;
    hubBufferBytesMax: number;
  }) {
    this.#nowMs = parts.nowMs;
    this.#providers = parts.providers;
    this.#standings = parts.standings;
    this.#remembered = new LRUCache({ max: parts.recordsMax });
    this.#bufferBytesMax = { link: parts.linkBufferBytesMax, hub: parts.hubBufferBytesMax };
  }

  /** Everybody who lists the model, fit or not. The list is the registry's own: read it, do not keep or change it. */
  candidates(modelId: string): Candidate[] {
    return this.#byModel.get(modelId) ?? [];
  }

  /** The models that somebody lists now. */
  *models(): IterableIterator<string> {
    for (const [modelId, list] of this.#byModel) if (list.length > 0) yield modelId;
  }

  /** The link of a candidate; undefined when it has gone. */
  linkOf(candidate: Candidate): Link | undefined {
    return this.#byLink.get(candidate.linkId)?.link;
  }

  /** Takes a place at a candidate for a call that is not sent yet. The answer gives it back, once. */
  holdPlace(candidate: Candidate, modelId: string): () => void {
    const presence = this.#byLink.get(candidate.linkId);
    if (!presence) return () => {};
    this.began(presence, modelId);
    let held = true;
    return () => {
      if (held) this.ended(presence, modelId);
      held = false;
    };
  }

  /** Has the node of a candidate load its model. */
  async warmUp(candidate: Candidate, modelId: string): Promise<WarmUpAnswer> {
    return (await this.#byLink.get(candidate.linkId)?.warmUp(modelId)) ?? 'unanswered';
  }

  /** What was measured of a node on a model, connected or not; undefined when nothing is remembered. */
  recordOf(providerId: string, nodeId: string, modelId: string): ServiceRecord | undefined {
    return this.#remembered.peek(`${providerId} ${nodeId} ${modelId}`)?.record;
  }

  /** A provider, as the house knows it. */
  providerOf(providerId: string): Provider | undefined {
    return this.#providers.find(providerId);
  }

  /** The state of a provider, as the house knows it. */
  providerState(providerId: string): ProviderState | undefined {
    return this.#providers.stateOf(providerId);
  }

  /** Who is connected under this node id. */
  presenceOf(nodeId: string): Presence | undefined {
    return this.#byNode.get(nodeId);
  }

  /** Everybody who is connected here. */
  *present(): IterableIterator<Presence> {
    for (const presence of this.#byLink.values()) if (presence.gateway === undefined) yield presence;
  }

  /** Everybody who is connected here or at another gateway that told of it. */
  everywhere(): IterableIterator<Presence> {
    return this.#byLink.values();
  }

  /** Whoever is connected here by this link. */
  presenceByLink(linkId: string): Presence | undefined {
    const presence = this.#byLink.get(linkId);
    return presence?.gateway === undefined ? presence : undefined;
  }

  /**
   * Begins to follow who is connected here. What is answered tells, each time, of whom something changed since the last
   * time: they came, went, serve other models, or have another load. For one follower: it takes the news away.
   */
  follow(): () => ReadonlySet<Presence> {
    this.#touched = new Set(this.present());
    return () => {
      const touched = this.#touched ?? new Set();
      if (touched.size > 0) this.#touched = new Set();
      return touched;
    };
  }

  /** Is the node of a candidate connected to this very process? */
  isHere(candidate: Candidate): boolean {
    return this.presenceByLink(candidate.linkId) !== undefined;
  }

  /** Attempts under way on all links of this process. */
  get inFlight(): number {
    let sum = 0;
    for (const presence of this.present()) sum += presence.inFlight;
    return sum;
  }

  /** Bytes that wait for consumers on all links. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** A node is here, or at another gateway. Whoever was here under its id must have left before. */
  enter(presence: Presence, link: Link): void {
    presence.link = link;
    this.#changed(presence);
    this.#byLink.set(presence.linkId, presence);
    if (presence.gateway === undefined) this.#byNode.set(presence.nodeId, presence);
  }

  /** What others have under way at a node of another gateway. Its own requests this process counts itself. */
  elsewhere(
    presence: Presence,
    counts: { readonly link: number; readonly models: ReadonlyMap<string, number> },
  ): void {
    presence.inFlight += counts.link - presence.elsewhere.link;
    for (const candidate of presence.known.values()) {
      const before = presence.elsewhere.models.get(candidate.modelId) ?? 0;
      candidate.inFlight += (counts.models.get(candidate.modelId) ?? 0) - before;
      candidate.linkInFlight = presence.inFlight;
    }
    presence.elsewhere = counts;
  }

  /** Replaces what a node serves, whole. Candidates of models that stay keep their counts. */
  serve(presence: Presence, models: readonly DeclaredModel[], about: ServiceTerms): void {
    presence.vramGb = about.vramGb;
    presence.linkCapacity = about.linkCapacity;
    presence.requestBytesMax = about.requestBytesMax;
    this.#changed(presence);
    const wanted = new Map(models.map((model) => [model.modelId, model]));
    for (const candidate of presence.serving.values()) {
      if (!wanted.has(candidate.modelId)) this.#withdraw(presence, candidate);
    }
    for (const model of models) {
      const candidate = presence.known.get(model.modelId) ?? this.#candidate(presence, model.modelId);
      candidate.name = model.name;
      candidate.capacity = model.capacity;
      candidate.operations = model.operations;
      candidate.linkCapacity = about.linkCapacity;
      candidate.maxRequestBytes = about.requestBytesMax;
      candidate.vramGb = about.vramGb;
      candidate.quantization = model.quantization;
      candidate.parameters = model.parameters;
      candidate.version = model.version;
      candidate.ready = true;
      if (!presence.serving.has(model.modelId)) this.#list(presence, candidate);
      this.#refresh(presence, candidate);
    }
  }

  /** What a node asks for its models from now on; for one that is not named, the listed price. */
  price(presence: Presence, asks: ReadonlyMap<string, Price>): void {
    for (const candidate of presence.serving.values()) candidate.ask = asks.get(candidate.modelId) ?? null;
  }

  /** A node has left: none of its candidates is offered any more. */
  leave(presence: Presence): void {
    for (const candidate of presence.serving.values()) {
      // Whoever asked for no more work first leaves in order.
      if (!presence.draining) noteFall(candidate.falls, this.#nowMs());
      this.#withdraw(presence, candidate);
    }
    this.#touch(presence);
    this.#byLink.delete(presence.linkId);
    if (this.#byNode.get(presence.nodeId) === presence) this.#byNode.delete(presence.nodeId);
  }

  /** The agent's word on the health of the models it serves; of others it has none. */
  health(presence: Presence, words: Readonly<Record<string, Candidate['health']>>): void {
    presence.ill = namesOfIll(words);
    for (const candidate of presence.serving.values()) {
      if (!Object.hasOwn(words, candidate.name)) continue;
      const word = words[candidate.name] ?? 'unknown';
      if (word !== candidate.health) this.#changed(presence);
      if (word === 'unhealthy' && candidate.health !== 'unhealthy' && candidate.health !== 'unknown')
        noteFall(candidate.falls, this.#nowMs());
      candidate.health = word;
      this.#refresh(presence, candidate);
    }
  }

  /** The models that the agent lists as ready, by its own names: it serves no other for now. */
  ready(presence: Presence, names: ReadonlySet<string>): void {
    for (const candidate of presence.serving.values()) {
      if (candidate.ready !== names.has(candidate.name)) this.#changed(presence);
      candidate.ready = names.has(candidate.name);
      this.#refresh(presence, candidate);
    }
  }

  /** The agent says it does not have a model that it listed. Its next word on it decides. */
  missing(presence: Presence, modelId: string): void {
    const candidate = presence.serving.get(modelId);
    if (!candidate) return;
    candidate.ready = false;
    this.#changed(presence);
    this.#refresh(presence, candidate);
  }

  /** A node asks for no more work, or does so no longer. */
  drain(presence: Presence, draining: boolean): void {
    presence.draining = draining;
    this.#changed(presence);
    for (const candidate of presence.serving.values()) candidate.draining = draining;
  }

  /** A provider's state changed. */
  providerChanged(providerId: string): void {
    for (const presence of this.#byLink.values()) {
      if (presence.providerId !== providerId) continue;
      presence.providerChanged(this.#providers.find(providerId));
      for (const candidate of presence.serving.values()) this.#refresh(presence, candidate);
    }
  }

  /** Providers whose candidates stand behind others from now on, each with the reason; everybody else no longer does. */
  putBehind(reasons: ReadonlyMap<string, string>): void {
    this.#behind = reasons;
    for (const list of this.#byModel.values()) for (const candidate of list) this.#place(candidate);
  }

  /** Something that keeps a node from serving came or went. */
  standingChanged(nodeId: string): void {
    for (const presence of this.#byLink.values()) {
      if (presence.nodeId !== nodeId) continue;
      for (const candidate of presence.serving.values()) this.#refresh(presence, candidate);
    }
  }

  /** By model: what keeps a node from serving it, beside its provider's state. */
  against(presence: Presence): Map<string, string> {
    const found = new Map<string, string>();
    for (const candidate of presence.serving.values()) {
      const reason = this.#standingAgainst(presence, candidate);
      if (reason !== undefined) found.set(candidate.modelId, reason);
    }
    return found;
  }

  began(presence: Presence, modelId: string): void {
    const candidate = presence.known.get(modelId);
    if (candidate) candidate.inFlight += 1;
    this.#count(presence, 1);
  }

  ended(presence: Presence, modelId: string): void {
    const candidate = presence.known.get(modelId);
    if (candidate) candidate.inFlight -= 1;
    this.#count(presence, -1);
  }

  /** Notes bytes that wait for consumers. False when they are more than a link, or the whole hub, may keep. */
  buffered(presence: Presence, delta: number): boolean {
    presence.bufferedBytes += delta;
    this.#bufferedBytes += delta;
    return (
      presence.bufferedBytes <= this.#bufferBytesMax.link && this.#bufferedBytes <= this.#bufferBytesMax.hub
    );
  }

  #changed(presence: Presence): void {
    presence.changes += 1;
    this.#touch(presence);
  }

  #touch(presence: Presence): void {
    if (presence.gateway === undefined) this.#touched?.add(presence);
  }

  #count(presence: Presence, by: 1 | -1): void {
    presence.inFlight += by;
    this.#touch(presence);
    for (const candidate of presence.serving.values()) candidate.linkInFlight = presence.inFlight;
  }

  #candidate(presence: Presence, modelId: string): PresentCandidate {
    const { breaker, record, falls } = this.#measured(presence, modelId);
    const candidate: PresentCandidate = {
      id: `${presence.linkId}/${modelId}`,
      modelId,
      name: modelId,
      ready: true,
      listedAt: -1,
      linkId: presence.linkId,
      nodeId: presence.nodeId,
      providerId: presence.providerId,
      providerNames: [],
      mode: presence.mode,
      health: 'unknown',
      eligible: false,
      ineligibleBecause: undefined,
      behind: undefined,
      draining: presence.draining,
      inFlight: 0,
      linkInFlight: presence.inFlight,
      capacity: 0,
      operations: 0,
      linkCapacity: 0,
      maxRequestBytes: 0,
      vramGb: null,
      quantization: null,
      parameters: null,
      version: null,
      region: null,
      dataPolicy: 'unstated',
      ask: null,
      connectedAtMs: presence.connectedAtMs,
      breaker,
      record,
      falls,
    };
    presence.known.set(modelId, candidate);
    return candidate;
  }

  #measured(presence: Presence, modelId: string): Measured {
    const key = `${presence.providerId} ${presence.nodeId} ${modelId}`;
    const known = this.#remembered.get(key);
    if (known) return known;
    const fresh: Measured = { breaker: newBreaker(), record: newRecord(), falls: noFalls() };
    this.#remembered.set(key, fresh);
    return fresh;
  }

  #list(presence: Presence, candidate: PresentCandidate): void {
    presence.serving.set(candidate.modelId, candidate);
    candidate.linkInFlight = presence.inFlight;
    candidate.draining = presence.draining;
    candidate.health = 'unknown';
    this.#place(candidate);
    let list = this.#byModel.get(candidate.modelId);
    if (!list) {
      list = [];
      this.#byModel.set(candidate.modelId, list);
    }
    candidate.listedAt = list.length;
    list.push(candidate);
  }

  #withdraw(presence: Presence, candidate: PresentCandidate): void {
    presence.serving.delete(candidate.modelId);
    const list = this.#byModel.get(candidate.modelId) ?? [];
    // The last one takes its place: when ten thousand leave at once, nobody is looked for and nobody moves up.
    const last = list.pop();
    if (last && last !== candidate) {
      list[candidate.listedAt] = last;
      last.listedAt = candidate.listedAt;
    }
    candidate.listedAt = -1;
    // Somebody may still hold the candidate from a choice made just now.
    candidate.eligible = false;
    candidate.ineligibleBecause = 'the agent does not serve this model any more';
    // Touched when it goes, so that those who left last are forgotten last.
    const { breaker, record, falls } = candidate;
    this.#remembered.set(`${presence.providerId} ${presence.nodeId} ${candidate.modelId}`, {
      breaker,
      record,
      falls,
    });
  }

  #refresh(presence: Presence, candidate: PresentCandidate): void {
    const provider = this.#providers.find(presence.providerId);
    candidate.ineligibleBecause = candidate.ready
      ? (reasonOf(provider) ?? this.#standingAgainst(presence, candidate))
      : candidate.health === 'unhealthy'
        ? SERVER_SILENT
        : 'the agent does not list this model as ready';
    if (provider) {
      candidate.providerNames = [provider.id.toLowerCase(), provider.name.toLowerCase()];
      candidate.region = provider.region;
      candidate.dataPolicy = provider.dataPolicy;
      // Endpoints have asks of their own.
      if (presence.mode === 'websocket') candidate.ask = provider.asks?.get(candidate.modelId) ?? null;
    }
    candidate.eligible = candidate.ineligibleBecause === undefined;
    this.#place(candidate);
  }

  /** Said anew with each heartbeat, so that what is forgotten counts no longer. */
  #place(candidate: PresentCandidate): void {
    candidate.behind =
      this.#behind.get(candidate.providerId) ??
      this.#standings?.behind?.(candidate.nodeId, candidate.modelId) ??
      (isFlapping(candidate.falls, this.#nowMs()) ? 'it came and went too often just now' : undefined);
  }

  /** External endpoints are looked at in their own way (`external/check.ts`). */
  #standingAgainst(presence: Presence, candidate: PresentCandidate): string | undefined {
    if (presence.mode === 'external') return undefined;
    return this.#standings?.against(presence.nodeId, candidate.modelId);
  }
}

/** What is said of a model that its agent, or a check of ours, calls unhealthy. */
export const SERVER_SILENT = 'your model server does not answer, or is not what it is pinned to';

/** A node may name any model as ill; what it may have us keep is bounded. */
const ILL_KEPT_MAX = 50;
const ILL_CHARS_MAX = 200;

function namesOfIll(words: Readonly<Record<string, Candidate['health']>>): string[] {
  return Object.keys(words)
    .filter((name) => words[name] === 'unhealthy' && name.length <= ILL_CHARS_MAX)
    .slice(0, ILL_KEPT_MAX);
}

function reasonOf(provider: Provider | undefined): string | undefined {
  if (!provider) return 'the provider is not known';
  if (provider.state !== 'active') return `the provider is ${provider.state.replace('_', ' ')}`;
  return provider.withheldUntil === undefined
    ? undefined
    : `no requests until ${new Date(provider.withheldUntil).toISOString()}, for a failure that was found`;
}

interface Measured {
  readonly breaker: Breaker;
  readonly record: ServiceRecord;
  readonly falls: Falls;
}

/** A candidate with what the registry keeps beside it. */
interface PresentCandidate extends Candidate {
  readonly modelId: string;
  /** The agent's own name of the model. */
  name: string;
  ready: boolean;
  /** Its place in the list of its model. */
  listedAt: number;
  readonly falls: Falls;
}

/** What a node offers, as far as it is the same for all its models. */
export interface ServiceTerms {
  readonly vramGb: number | null;
  readonly linkCapacity: number;
  readonly requestBytesMax: number;
}

/** One node, or one external endpoint, that is here. Made by its session or the fleet, kept current by the registry. */
export class Presence {
  readonly linkId: string;
  readonly nodeId: string;
  readonly providerId: string;
  readonly mode: Candidate['mode'];
  /** The key that it registered with; an external endpoint has none. */
  readonly keyId: string | null;
  readonly connectedAtMs: number;
  /** Its last sign of life, in monotonic milliseconds. */
  heardAtMs: number;
  /** Set once the node has entered. */
  link: Link | undefined;
  /** Ends the session of this node. */
  readonly evict: (why: 'replaced' | 'key-revoked') => void;
  /** Has the node load a model of its own by a small request that nobody pays for. */
  readonly warmUp: (modelId: string) => Promise<WarmUpAnswer>;
  /** Tells the session that its provider has another state. */
  readonly providerChanged: (provider: Provider | undefined) => void;
  /** Tells the agent's operator something; undefined where nobody could hear it. */
  readonly tell: ((notice: Notice) => void) | undefined;
  readonly serving = new Map<string, PresentCandidate>();
  /** Also those withdrawn: attempts of theirs may still run. Only models of the catalogue, so it is bounded. */
  readonly known = new Map<string, PresentCandidate>();
  draining = false;
  inFlight = 0;
  bufferedBytes = 0;
  linkCapacity = 0;
  requestBytesMax = 0;
  /** The gateway that it is connected to, where that is another than this one. */
  readonly gateway: string | undefined;
  /** Its agent holds links to several gateways at once, and a newer one is no reason to end an older. */
  readonly several: boolean;
  /** Rises whenever something changes of which other gateways are told. */
  changes = 0;
  /** Of another gateway's node: what it has under way that is not ours. */
  elsewhere: { readonly link: number; readonly models: ReadonlyMap<string, number> } = {
    link: 0,
    models: new Map(),
  };
  vramGb: number | null = null;
  /** The models that its agent called unhealthy last, by the agent's names: such a one may be offered no more. */
  ill: readonly string[] = [];
  /** What its agent says of its GPU; undefined when nothing. */
  hardware: StatedHardware | undefined;
  /** What its agent last said of the machine, by the agent protocol's names of figures: its own word, unchecked. */
  readonly reported = new Map<string, number>();

  constructor(
    about: Pick<
      Presence,
      | 'linkId'
      | 'nodeId'
      | 'providerId'
      | 'mode'
      | 'keyId'
      | 'connectedAtMs'
      | 'evict'
      | 'warmUp'
      | 'providerChanged'
    > & {
      readonly tell?: (notice: Notice) => void;
      readonly gateway?: string;
      readonly several?: boolean;
    },
  ) {
    this.gateway = about.gateway;
    this.several = about.several ?? false;
    this.linkId = about.linkId;
    this.nodeId = about.nodeId;
    this.providerId = about.providerId;
    this.mode = about.mode;
    this.keyId = about.keyId;
    this.connectedAtMs = about.connectedAtMs;
    this.heardAtMs = about.connectedAtMs;
    this.evict = about.evict;
    this.warmUp = about.warmUp;
    this.providerChanged = about.providerChanged;
    this.tell = about.tell;
  }

  /** The agent's own name of a model. */
  nameOf(modelId: string): string {
    return this.known.get(modelId)?.name ?? modelId;
  }
}
