import { type Cover, coveredOf, NO_COVER, uncovered } from '#domain/cover.ts';
import type { Model } from '#domain/model.ts';
import type { Pico } from '#domain/money.ts';
import type { KeyAnswer, KeyRecord } from '#domain/party.ts';
import { planOf } from '#domain/plan.ts';
import { NO_PREFERENCES, type PreferredSort } from '#domain/preferences.ts';
import { asksMore, type Price, priceOf } from '#domain/price.ts';
import type { Fallback, Try } from '#domain/serving.ts';
import {
  firstTiers,
  type Tier,
  type TierName,
  type TierOf,
  tierOfPlan,
  tierPrice,
  WHOLE_PRICE,
} from '#domain/tier.ts';
import type { Trace } from '#domain/trace.ts';
import { NO_USAGE, type Usage } from '#domain/usage.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import type { DispatchEnd, Dispatcher, NobodyToPick, Order, PickNext, Run, Wish } from '#hub/dispatch.ts';
import type { Answer } from '#hub/link.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import { RecordInDoubt, type UsageJournal } from '#ledger/ports.ts';
import type { ModelPosture } from '#reliability/posture.ts';
import type { Candidate } from '#routing/candidate.ts';
import { type ErrorCode, errorBody, errorRow } from '#wire/errors.ts';
import { BYTES_PER_TOKEN_GUESS, BYTES_PER_TOKEN_MOST, billedUsage } from './bill.ts';
import { DeliveredText } from './delivered.ts';
import {
  type Ask,
  type Ceiling,
  type Endpoint,
  type RoutingAsk,
  type TokenLimits,
  usageBody,
} from './endpoint.ts';
import { checkAddress, checkModel } from './key-scope.ts';
import { capHeaders, placeHeaders, rateHeaders } from './limit-headers.ts';
import type { Limits, PlaceVerdict, RateVerdict } from './limits.ts';
import type { Quotas } from './plan-quotas.ts';
import { outputCap, postureHeaders, shed, standInPlace } from './posture.ts';
import { readShortcut } from './preferences.ts';
import type { RecountJob } from './recount.ts';
import { noteRefusal, type Refusals, rounded } from './refusal-note.ts';
import type { Headers, Reply } from './reply.ts';
import type { ReservedPlaces } from './reserved-places.ts';
import { sendError } from './send-error.ts';
import type { CapsLeft } from './spend-caps.ts';
import type { WaitingRoom } from './waiting-room.ts';

/**
 * The journey of every paid request, in order, each refusal beside its step:
 *
 *     key (401, before the body is read) · place among the key's requests (429) · body (400, 413) · model (404) ·
 *     rate (429) · somebody who could serve (503) · hold (402) · dispatch · relay · usage durable · last byte
 *
 * Nothing between the key and the first token waits for a disk or a database, except a hold that outgrows what this
 * process has set aside for the consumer.
 *
 * Money: the hold is the most the request can cost beyond what the consumer's plan covers of it. The charge follows from
 * what was delivered (`bill.ts`), is never more than the hold, and is in the journal before the consumer sees the end of
 * the answer. An answer that the provider
 * broke costs nothing; one that the consumer left is charged for what was passed on. If the process dies in between, the
 * consumer was not told that the answer is complete, nothing is charged, and the hold dissolves with the lease.
 */
export interface InferenceRooms {
  readonly clock: Clock;
  readonly ids: IdMaker;
  readonly log: Logger;
  readonly settings: InferenceSettings;
  readonly keys: { find(secret: string): KeyAnswer };
  readonly models: { resolve(name: string): Model | undefined };
  readonly limits: Limits;
  readonly holds: Holds;
  /** What consumers' plans cover; absent: nothing. */
  readonly quotas?: Quotas;
  readonly journal: UsageJournal;
  readonly dispatcher: Dispatcher;
  /** Who should serve this first; the code of the refusal when nobody can. */
  readonly pick: PickNext;
  readonly isQuarantined: (order: Order) => boolean;
  /** Where requests wait for a busy model; without it they are refused at once. */
  readonly waiting?: WaitingRoom;
  /** Places that are kept for some; absent: none are. */
  readonly reserved?: Pick<ReservedPlaces, 'asked' | 'began' | 'hasRoom'>;
  readonly recounter: { has(modelId: string): boolean; submit(job: RecountJob): void };
  /** Told of each request that was dispatched, once, when it is over. `queueMs`: from acceptance until then. */
  readonly served: (
    record: UsageRecord,
    about: {
      candidate: Candidate | undefined;
      tier: TierName;
      queueMs: number | undefined;
      trace: Trace | undefined;
    },
  ) => void;
  /** Told of each request for a model that was refused before anybody was asked. */
  readonly refused: (about: { consumerId: string; modelId: string; tier: TierName; code: string }) => void;
  /** Told of each request that ends without a usage record, once; absent: nobody wants to know. */
  readonly refusals?: Refusals;
  /** Whether requests are part of traces. */
  readonly traced?: boolean;
  /** The terms of tiers as they stand now; absent: as a market begins. */
  readonly tiers?: TierOf;
  /** What is different for a model while something is wrong with it; absent: nothing ever is. */
  readonly posture?: (modelId: string) => ModelPosture | undefined;
}

/** The hold book (`ledger/holds.ts`) with the spend caps of keys in front (`spend-caps.ts`). */
export interface Holds {
  reserve(
    consumerId: string,
    amount: Pico,
    key: KeyRecord,
  ): true | Promise<true | 'short' | 'unavailable' | 'cap-day' | 'cap-month'>;
  settle(consumerId: string, reserved: Pico, charged: Pico, key: KeyRecord): void;
  release(consumerId: string, reserved: Pico, key: KeyRecord): void;
  /** What the key's spend caps leave; for the headers of an answer. */
  capsLeft?(key: KeyRecord): CapsLeft | undefined;
}

export interface InferenceSettings extends TokenLimits {
  /** The split policy new charges are made under. */
  readonly policy: string;
  /** How much of an answer is kept for counting its tokens exactly. */
  readonly recountBytesMax: number;
  /** Whether small requests for embeddings may share calls. */
  readonly gathers?: boolean;
  /** Where this gateway is, as the operator names it. */
  readonly region?: string | undefined;
}

/** A caller whose key was accepted. `leave` must be called once, when the request is over. */
export interface Caller {
  readonly key: KeyRecord;
  readonly requestId: string;
  readonly acceptedMs: number;
  readonly place: PlaceVerdict;
  readonly leave: () => void;
  /** Taken already, where the caller has a limit of its own. */
  readonly rate?: RateVerdict;
  /** The markets that the request has passed on its way here. */
  readonly via?: string;
  /** The trace that it belongs to. */
  readonly trace?: Trace;
  /** The one candidate that may serve it, by its id. */
  readonly to?: string;
  /** What a balance that does not suffice is called, where it is not the caller's. */
  readonly whenShort?: ErrorCode;
}

const NOBODY_TRIED: ReadonlySet<string> = new Set();
const DONE = Buffer.from('data: [DONE]\n\n');
const SMALLEST_DEFAULT_OUTPUT = 16;
/**
 * How far an answer may go beyond its tokens: a token may take two events (reasoning and text, a call and its name), and
 * an event with the probabilities of twenty tokens is about four kilobytes.
 */
const EVENTS_PER_TOKEN_MAX = 2;
const SPARE_EVENTS = 64;
const BYTES_PER_TOKEN_MAX = 4_096;
const SPARE_BYTES = 1_048_576;
/** Failures before any content that another model may not meet. */
const FALLS_BACK: ReadonlySet<string> = new Set([
  'prompt-too-long',
  'provider-cut-off',
  'gateway-lost',
  'provider-failed',
  'model-without-provider',
  'providers-busy',
  'provider-too-slow',
]);

/** Whose request it is, as its headers say. */
export interface Whose extends Pick<Caller, 'rate' | 'whenShort'> {
  readonly key: KeyRecord;
}

/**
 * Decides on the headers alone whether whoever has this key may send a request: at once, or with a promise where other
 * gateways have to be asked. Throws a `Fault` (403, 429, 503). `address` answers where the caller is; without it a key that is
 * bound to addresses is refused.
 */
export function admit(
  rooms: InferenceRooms,
  whose: Whose,
  arrival: Pick<Caller, 'requestId' | 'acceptedMs'>,
  address?: () => string,
): Caller | Promise<Caller> {
  checkAddress(whose.key, address);
  if (!rooms.journal.healthy)
    throw new Fault('ledger-unavailable', { inner: 'journal unhealthy', retryAfterS: 5 });
  const place = rooms.limits.enter(whose.key);
  return place instanceof Promise
    ? place.then((known) => callerIn(rooms, whose, { ...arrival, place: known }))
    : callerIn(rooms, whose, { ...arrival, place });
}

/** The consumer's key that a header carries. Throws a `Fault` (401). */
export function consumerKey(keys: InferenceRooms['keys'], authorization: string | undefined): KeyRecord {
  const secret = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (secret === undefined) throw new Fault('key-missing');
  const key = keys.find(secret);
  if (key === 'revoked') throw new Fault('key-revoked');
  if (key === 'expired') throw new Fault('key-expired');
  if (key === 'suspended') throw new Fault('account-suspended');
  if (typeof key === 'string') throw new Fault('key-unknown');
  if (key.kind !== 'consumer') throw new Fault('key-of-provider');
  return key;
}

function callerIn(
  rooms: InferenceRooms,
  whose: Whose,
  arrival: Pick<Caller, 'requestId' | 'acceptedMs' | 'place'>,
): Caller {
  const { key } = whose;
  if (!arrival.place.allowed) throw tooManyAtOnce(arrival.place);
  let inside = true;
  return {
    ...whose,
    ...arrival,
    leave: () => {
      if (inside) rooms.limits.leave(key);
      inside = false;
    },
  };
}

/**
 * Serves one request. `read` is what the endpoint's reader says of `bytes`. Never throws: every failure becomes an answer.
 * Resolves when the request is over.
 */
export async function serve<A extends Ask>(
  rooms: InferenceRooms,
  endpoint: Endpoint<A>,
  caller: Caller,
  read: A | Fault | Promise<A | Fault>,
  bytes: Buffer,
  reply: Reply,
): Promise<void> {
  let rate: RateVerdict | undefined;
  let current: PaidJob<A> | undefined;
  let modelId: string | undefined;
  let asked: A | undefined;
  try {
    const ask = read instanceof Promise ? await read : read;
    if (ask instanceof Fault) throw ask;
    asked = ask;
    const wanted = wantedModel(rooms, endpoint, caller, ask, ask.model);
    // All names are judged before anything is tried: a slip in the last is told at once, not on the day it is needed.
    const journey = inTrouble(rooms, endpoint, caller, ask, [
      wanted,
      ...otherModels(rooms, endpoint, caller, ask, wanted),
    ]);
    modelId = wanted.model.id;
    const taken =
      caller.rate ?? rooms.limits.takeRequest(caller.key, wanted.model.category, rooms.clock.nowMs());
    rate = taken instanceof Promise ? await taken : taken;
    if (!rate.allowed) throw overRate(rate, wanted.model.category);
    // Who asks for one candidate does not stand in the line of all.
    const waiting = caller.to === undefined ? rooms.waiting : undefined;
    let earlier: readonly Try[] = [];
    for (let next = journey.shift(); next; ) {
      const job: PaidJob<A> = new PaidJob(rooms, endpoint, caller, ask, next, rate, bytes, reply);
      job.earlier = earlier;
      job.isFirstChoice = next.model === wanted.model;
      current = job;
      rooms.reserved?.asked(job.model.id, job.consumerId);
      next = journey.shift();
      if (rooms.isQuarantined(job.order)) throw new Fault('request-quarantined', { retryAfterS: 60 });
      // Whoever waits for this model already goes first; whoever named another model need not wait.
      let picked =
        waiting?.isBusy(job.model.id) && !job.hasPlace() ? BUSY : rooms.pick(job.order, NOBODY_TRIED);
      if ('none' in picked) {
        if (next) continue;
        if (!waiting || picked.none !== 'providers-busy') throw nobody(picked, job.model, caller.key);
      }
      // Only now: a body that no agent could take is told so first.
      checkLength(rooms.settings.inputTokensMax, endpoint, ask, job.terms);
      const { tier } = job;
      const waits = shed(rooms.posture?.(job.model.id), { endpoint, ask, tier });
      if (waits && next) continue;
      if (waits) throw waits;
      // Who would wait in vain is told so before money is looked for: that may ask a database, and refusals are the most in a crowd.
      if (waiting && !next && 'none' in picked && picked.none === 'providers-busy') {
        const late = waiting.late(job);
        if (late) throw nobody(late, job.model, caller.key);
      }
      const holding = job.hold();
      if (holding) {
        await holding;
        // Many may have waited for the same answer, and whoever had room for one of them is full now.
        if (!('none' in picked)) picked = rooms.pick(job.order, NOBODY_TRIED);
      }
      if (waiting && !next && 'none' in picked && picked.none === 'providers-busy') {
        // oxlint-disable-next-line no-await-in-loop -- one model after the other is what fallbacks are.
        const waited = await job.turn(picked);
        if (waited === 'over') break;
        picked = waited;
      }
      if ('none' in picked) {
        job.release();
        if (reply.gone) {
          job.noteEnd('client-left');
          return;
        }
        if (next) continue;
        throw nobody(picked, job.model, caller.key);
      }
      const first = picked.candidate;
      // oxlint-disable-next-line no-await-in-loop -- one model after the other is what fallbacks are.
      if ((await job.serve(first, next !== undefined)) === 'over') break;
      earlier = job.tries;
    }
  } catch (error) {
    current?.release();
    const fault = error instanceof Fault ? error : new Fault('internal', { cause: error });
    if (!(error instanceof Fault))
      rooms.log.error({ request: caller.requestId, err: error }, 'A request met a bug.');
    sendError(reply, fault, rate && rateHeaders(rate));
    logRefusal(rooms, caller, fault);
    modelId = current?.model.id ?? modelId;
    if (modelId !== undefined) {
      const { ownerId: consumerId, plan } = caller.key;
      rooms.refused({ consumerId, modelId, tier: tierOfPlan(plan), code: fault.code });
    }
    if (current) current.noteEnd(fault.code);
    else {
      const { key, requestId, acceptedMs } = caller;
      noteRefusal(rooms, {
        key,
        requestId,
        acceptedMs,
        operation: endpoint.operation,
        code: fault.code,
        modelId: modelId ?? namedModel(rooms, asked),
        streamed: asked?.stream ?? false,
      });
    }
  } finally {
    caller.leave();
  }
}

/** A model as a request names it, with what routing is to heed. */
interface Wanted {
  readonly model: Model;
  readonly wish: Wish | undefined;
  /** It is the smaller model, in the place of the one that was asked for. */
  readonly standsIn?: boolean;
}

/** The models of a request with the smaller one among them, where the first is in trouble and its consumer may get it. */
function inTrouble<A extends Ask>(
  rooms: InferenceRooms,
  endpoint: Endpoint<A>,
  caller: Caller,
  ask: A,
  models: Wanted[],
): Wanted[] {
  const [first] = models as [Wanted];
  const name = rooms.posture?.(first.model.id)?.fallbackModel;
  if (name === undefined || caller.to !== undefined) return models;
  const place = standInPlace(endpoint, ask, tierOf(rooms, caller.key).smallerModel);
  if (place === 'never') return models;
  let smaller: Wanted;
  try {
    smaller = wantedModel(rooms, endpoint, caller, ask, name);
  } catch (error) {
    // Off sale, or not this caller's to ask: then there is none for it.
    if (error instanceof Fault) return models;
    throw error;
  }
  if (asksMore(smaller.model.price, first.model.price)) return models;
  if (models.some(({ model }) => model.id === smaller.model.id)) return models;
  const standIn = { ...smaller, standsIn: true };
  return place === 'before' ? [standIn, ...models] : [...models, standIn];
}

function tierOf(rooms: InferenceRooms, key: KeyRecord): Tier {
  return (rooms.tiers ?? firstTiers)(tierOfPlan(key.plan));
}

/** The model that `name` means, if this caller may ask it this. Throws a `Fault` (400, 403, 404). */
function wantedModel<A extends Ask>(
  rooms: InferenceRooms,
  endpoint: Endpoint<A>,
  caller: Caller,
  ask: A,
  name: string,
): Wanted {
  let model = rooms.models.resolve(name);
  let sort: PreferredSort | undefined;
  if (!model && ask.routing) {
    const shortcut = readShortcut(name);
    model = rooms.models.resolve(shortcut.model);
    ({ sort } = shortcut);
  }
  if (!model?.active) throw new Fault('model-unknown', { param: name === ask.model ? 'model' : 'models' });
  if (!endpoint.categories.has(model.category)) {
    throw new Fault('request-invalid', {
      outer: `${model.id} does not answer ${endpoint.name}.`,
      param: 'model',
    });
  }
  checkModel(caller.key, model);
  const misfit = endpoint.misfit?.(ask, model);
  if (misfit) throw new Fault('request-invalid', misfit);
  return { model, wish: wishOf(ask.routing, model, sort) };
}

/** The model of the catalogue that a request names, whether or not its caller may ask it this. */
function namedModel(rooms: InferenceRooms, ask: Ask | undefined): string | null {
  if (!ask) return null;
  const model = rooms.models.resolve(ask.model) ?? rooms.models.resolve(readShortcut(ask.model).model);
  return model?.id ?? null;
}

function wishOf(
  routing: RoutingAsk | undefined,
  model: Model,
  sort: PreferredSort | undefined,
): Wish | undefined {
  if (!routing) return model.canary ? { model } : undefined;
  const { preferences, parameters, conversation } = routing;
  return {
    model,
    parameters,
    ...((preferences ?? sort) !== undefined && {
      preferences: { ...(preferences ?? NO_PREFERENCES), ...(sort && { sort }) },
    }),
    ...(conversation !== undefined && { conversation }),
  };
}

/** The further models of a request, in order, each once. */
function otherModels<A extends Ask>(
  rooms: InferenceRooms,
  endpoint: Endpoint<A>,
  caller: Caller,
  ask: A,
  first: Wanted,
): Wanted[] {
  const names = ask.routing?.fallbackModels ?? [];
  if (names.length === 0) return [];
  const seen = new Set([first.model.id]);
  return names
    .map((name) => wantedModel(rooms, endpoint, caller, ask, name))
    .filter(({ model }) => !seen.has(model.id) && seen.add(model.id));
}

/**
 * Refuses (400) text that is certainly longer than the market or the tier takes (exactly, only the model itself can tell), and
 * answers that may be longer than the tier's.
 */
function checkLength<A extends Ask>(tokensMax: number, endpoint: Endpoint<A>, ask: A, tier: Tier): void {
  const { promptTokensMax, outputTokensMax, title } = tier;
  const bytes = endpoint.textBytes?.(ask) ?? 0;
  if (bytes > tokensMax * BYTES_PER_TOKEN_MOST) {
    throw new Fault('prompt-too-long', {
      outer: `A prompt may have at most ${tokensMax} tokens here.`,
      param: 'messages',
    });
  }
  if (promptTokensMax !== null && bytes > promptTokensMax * BYTES_PER_TOKEN_MOST) {
    throw new Fault('prompt-too-long', {
      outer: `A prompt may have at most ${promptTokensMax} tokens in the tier ${title}.`,
      param: 'messages',
    });
  }
  if (outputTokensMax !== null && (ask.maxTokens ?? 0) > outputTokensMax) {
    throw new Fault('request-invalid', {
      outer: `An answer may have at most ${outputTokensMax} tokens in the tier ${title}.`,
      param: ask.named?.maxCompletionTokens === undefined ? 'max_tokens' : 'max_completion_tokens',
    });
  }
}

/** Everybody who could serve is at work. */
const BUSY: NobodyToPick = { none: 'providers-busy' };

function nobody(refusal: NobodyToPick & { retryAfterS?: number }, model: Model, key: KeyRecord): Fault {
  const { none, filter, agentsOnly, retryAfterS = 5 } = refusal;
  if (agentsOnly && none === 'model-without-provider') {
    return new Fault(none, {
      outer: `No agent is serving ${model.id} now, and the plan ${planOf(key.plan).title} has no fallback beyond them.`,
      retryAfterS: 5,
    });
  }
  if (filter === undefined) return new Fault(none, { retryAfterS });
  return new Fault(none, {
    outer: `No provider of ${model.id} is left by 'provider.${filter}'.`,
    param: `provider.${filter}`,
  });
}

/** What an order says is settled by its hold. */
type Settled<T> = { -readonly [K in keyof T]: T[K] };

/** One request from its hold to its last byte. */
class PaidJob<A extends Ask> {
  readonly order: Order;
  readonly #rooms: InferenceRooms;
  readonly #endpoint: Endpoint<A>;
  readonly #caller: Caller;
  readonly #ask: A;
  readonly model: Model;
  readonly tier: TierName;
  readonly terms: Tier;
  /** Attempts at other models of the request. */
  earlier: readonly Try[] = [];
  /** All attempts, once they are over. */
  tries: readonly Try[] = [];
  isFirstChoice = true;
  /** The listed price, as the tier pays it. */
  readonly #listed: Price;
  readonly #rate: RateVerdict;
  readonly #reply: Reply;
  readonly #standsIn: string | undefined;
  /** The most tokens of an answer while the model is in trouble. */
  readonly #cap: number | undefined;
  readonly #ceiling: Ceiling;
  readonly #text: DeliveredText | undefined;
  #outputCeiling: number;
  #reserved: Pico = 0n;
  #cover: Cover = NO_COVER;
  #run: Run | undefined;
  #firstMs: number | undefined;
  #queueMs: number | undefined;
  /** How long it waited for a turn. */
  #waitedMs: number | null = null;
  #events = 0;
  #bytes = 0;
  #tokens = 0;
  #contentBytes = 0;
  #unconsumed = 0;
  #result: Buffer | undefined;
  #answer: Answer | undefined;
  #mode: 'websocket' | 'external' = 'websocket';
  /** Of the candidate at work: its ask, else the listed price. Never above that, so the hold suffices. */
  #price: Price;
  #left = false;

  constructor(
    rooms: InferenceRooms,
    endpoint: Endpoint<A>,
    caller: Caller,
    ask: A,
    { model, wish, standsIn }: Wanted,
    rate: RateVerdict,
    bytes: Buffer,
    reply: Reply,
  ) {
    this.#rooms = rooms;
    this.#endpoint = endpoint;
    this.#caller = caller;
    this.#ask = ask;
    this.model = model;
    this.#rate = rate;
    this.#reply = reply;
    this.#ceiling = endpoint.ceiling(ask, model, rooms.settings);
    this.terms = tierOf(rooms, caller.key);
    this.tier = this.terms.name;
    this.#listed = tierPrice(model.price, this.terms.priceFactor);
    this.#standsIn = standsIn ? model.id : undefined;
    this.#outputCeiling = this.#ceiling.outputTokens;
    const { outputTokensMax, retriesMax } = this.terms;
    if (outputTokensMax !== null)
      this.#outputCeiling = Math.min(this.#outputCeiling, outputTokensMax * ask.n);
    const cap = outputCap(rooms.posture?.(model.id), this.tier);
    if (cap !== undefined && cap * ask.n < this.#outputCeiling) {
      this.#cap = cap;
      this.#outputCeiling = cap * ask.n;
    }
    const set: Record<string, unknown> = endpoint.set?.(ask) ?? {};
    if (ask.model !== model.id) set['model'] = model.id;
    const completionId = `chatcmpl-${caller.requestId.slice(4)}`;
    this.#text = rooms.recounter.has(model.id)
      ? new DeliveredText(rooms.settings.recountBytesMax)
      : undefined;
    const gather = rooms.settings.gathers && caller.to === undefined ? endpoint.gather?.(ask) : undefined;
    this.order = {
      requestId: caller.requestId,
      consumerId: caller.key.ownerId,
      modelId: model.id,
      completionId,
      createdS: Math.floor(rooms.clock.wallMs() / 1000),
      operation: endpoint.operation,
      needs: endpoint.needs(ask),
      expects: endpoint.expects(ask),
      stream: ask.stream,
      body: endpoint.body(ask, bytes),
      set,
      answerMax: { events: 0, bytes: 0 },
      via: caller.via,
      trace: caller.trace,
      price: model.price,
      priceFactor: this.terms.priceFactor,
      agentsOnly: !planOf(caller.key.plan).fallback,
      ...(retriesMax !== null && { retriesMax }),
      ...(gather && { gather }),
      ...(wish && { wish }),
      ...(caller.to !== undefined && { to: caller.to }),
    };
    this.#price = this.#listed;
  }

  /**
   * Sets aside the most this can cost: at once when this process has it (the answer is then no promise), or when the
   * ledger has been asked. Throws 402 or 503. Without a limit of the caller's, what the balance buys.
   */
  hold(): undefined | Promise<undefined> {
    const cover = this.#coverOfPlan();
    if (cover instanceof Promise) return cover.then((known) => this.#holdRest(known));
    return this.#holdRest(cover);
  }

  #holdRest(cover: Cover): undefined | Promise<undefined> {
    this.#cover = cover;
    const ceiling = this.#costCeiling();
    // What cannot cost anything needs no money.
    const answer = ceiling === 0n || this.#rooms.holds.reserve(this.consumerId, ceiling, this.#caller.key);
    return answer === true ? this.#held(ceiling) : this.#holdLater(ceiling, answer);
  }

  /** What the consumer's plan covers of this at most. What costs nothing takes nothing of a quota. */
  #coverOfPlan(): Cover | Promise<Cover> {
    const { quotas } = this.#rooms;
    if (!quotas || this.#caller.key.plan === undefined || this.#costCeiling() === 0n) return NO_COVER;
    const { inputTokens, units } = this.#ceiling;
    const most = { tokens: inputTokens + this.#outputCeiling, units };
    const { model } = this;
    const priced = this.#listed === model.price ? model : { ...model, price: this.#listed };
    return quotas.reserve(this.#caller.key, priced, most);
  }

  async #holdLater(first: Pico, answer: ReturnType<Holds['reserve']>): Promise<undefined> {
    let ceiling = first;
    let verdict = await answer;
    const asked = this.#ask.maxTokens !== undefined || this.#outputCeiling === 0;
    const floor = SMALLEST_DEFAULT_OUTPUT * this.#ask.n;
    while (verdict !== true) {
      if (verdict === 'unavailable')
        throw new Fault('ledger-unavailable', { inner: 'no lease', retryAfterS: 2 });
      if (asked || this.#outputCeiling <= floor)
        throw verdict === 'short'
          ? new Fault(this.#caller.whenShort ?? 'balance-short')
          : capReached(verdict);
      this.#outputCeiling = Math.max(floor, Math.floor(this.#outputCeiling / 4));
      ceiling = this.#costCeiling();
      // oxlint-disable-next-line no-await-in-loop -- each asks for less than the one before.
      verdict = await this.#rooms.holds.reserve(this.consumerId, ceiling, this.#caller.key);
    }
    return this.#held(ceiling);
  }

  /** What is held is what the answer may come to: nobody may be told another limit. */
  #held(ceiling: Pico): undefined {
    this.#reserved = ceiling;
    const perChoice = Math.floor(this.#outputCeiling / this.#ask.n);
    const set = this.order.set as Settled<Order['set']>;
    const answerMax = this.order.answerMax as Settled<Order['answerMax']>;
    const { maxTokens, named = { maxTokens, maxCompletionTokens: undefined } } = this.#ask;
    // Backends differ in which of the two they obey.
    if (named.maxTokens !== perChoice && perChoice > 0) set['max_tokens'] = perChoice;
    if (named.maxCompletionTokens !== undefined && named.maxCompletionTokens !== perChoice)
      set['max_completion_tokens'] = perChoice;
    answerMax.events = EVENTS_PER_TOKEN_MAX * this.#outputCeiling + SPARE_EVENTS * this.#ask.n;
    answerMax.bytes = BYTES_PER_TOKEN_MAX * this.#outputCeiling + SPARE_BYTES;
  }

  /** Is there a place that is kept for its consumer? */
  hasPlace(): boolean {
    return this.#rooms.reserved?.hasRoom(this.model.id, this.consumerId) ?? false;
  }

  /**
   * Waits for a turn while all providers are busy, and serves as soon as it comes (`over`). Answers why there is nobody where
   * it does not come, and `busy` where nobody can wait, and when the client has left meanwhile.
   */
  turn(busy: NobodyToPick): Promise<NobodyToPick | 'over'> {
    const room = this.#rooms.waiting;
    if (!room || this.#reply.gone) return Promise.resolve(busy);
    const { clock } = this.#rooms;
    const sinceMs = clock.nowMs();
    return new Promise((resolve) => {
      const leave = room.wait({
        modelId: this.model.id,
        consumerId: this.consumerId,
        tier: this.tier,
        pick: () => this.#rooms.pick(this.order, NOBODY_TRIED),
        decided: (answer) => {
          this.#waitedMs = rounded(clock.nowMs() - sinceMs);
          if ('none' in answer) resolve(answer);
          else void this.serve(answer.candidate, false).then(() => resolve('over'));
        },
      });
      const left = (): void => {
        leave();
        this.#waitedMs = rounded(clock.nowMs() - sinceMs);
        resolve(busy);
      };
      this.#reply.onGone = left;
    });
  }

  /** Notes that it ends without a usage record. */
  noteEnd(code: string): void {
    const { key, requestId, acceptedMs } = this.#caller;
    noteRefusal(this.#rooms, {
      key,
      requestId,
      acceptedMs,
      operation: this.#endpoint.operation,
      code,
      modelId: this.model.id,
      streamed: this.#ask.stream,
      queueMs: this.#waitedMs,
      tries: this.tries.length > 0 ? this.tries : this.earlier,
    });
  }

  /** Ends the hold without a charge, once. Harmless when there is none. */
  release(): void {
    this.#settle(0n);
  }

  /** Ends the hold with a charge, and what the plan covers with what it covered, once. */
  #settle(charge: Pico, used: Cover = NO_COVER, worth: Pico = 0n): void {
    const reserved = this.#reserved;
    this.#reserved = 0n;
    const cover = this.#cover;
    this.#cover = NO_COVER;
    this.#rooms.quotas?.settle(this.consumerId, cover, used, worth);
    if (reserved > 0n) this.#rooms.holds.settle(this.consumerId, reserved, charge, this.#caller.key);
  }

  get consumerId(): string {
    return this.#caller.key.ownerId;
  }

  get modelId(): string {
    return this.model.id;
  }

  /**
   * Dispatches and relays. Resolves when the request is over, charged and answered; or, where another model may be tried
   * (`hasNext`) and nothing was passed on, with `next`: nothing is held, recorded or answered then.
   */
  serve(first: Candidate, hasNext: boolean): Promise<'over' | 'next'> {
    if (this.#reply.gone) {
      this.release();
      this.noteEnd('client-left');
      return Promise.resolve('over');
    }
    return new Promise((resolve) => {
      const gone = (): void => {
        this.#left = true;
        this.#run?.cancel();
      };
      const drained = (): void => this.#consume(0);
      this.#reply.onGone = gone;
      this.#reply.onDrained = drained;
      this.#queueMs = this.#sinceAccepted();
      const leavePlace = this.#rooms.reserved?.began(this.model.id, this.consumerId);
      this.#run = this.#rooms.dispatcher.run(this.order, first, {
        began: (candidate) => {
          this.#mode = candidate.mode;
          this.#price = candidate.ask ? tierPrice(candidate.ask, this.terms.priceFactor) : this.#listed;
        },
        data: (events, eventCount, tokenCount, contentBytes) =>
          this.#relay(events, eventCount, tokenCount, contentBytes),
        result: (body, answer) => {
          this.#result = body;
          this.#answer = answer;
          this.#firstMs = this.#sinceAccepted();
        },
        ended: (end) => {
          this.tries = this.#triesOf(end);
          leavePlace?.();
          this.#rooms.waiting?.freed(this.model.id);
          if (hasNext && end.outcome === 'failed' && FALLS_BACK.has(end.errorCode ?? '') && !this.#left) {
            this.release();
            resolve('next');
            return;
          }
          this.#end(end).then(
            () => resolve('over'),
            (error) => {
              this.#rooms.log.error(
                { request: this.#caller.requestId, err: error },
                'The end of a request met a bug.',
              );
              this.release();
              this.#answerFailure('internal');
              this.noteEnd('internal');
              resolve('over');
            },
          );
        },
      });
    });
  }

  #relay(events: Buffer, eventCount: number, tokenCount: number, contentBytes: number): void {
    if (this.#firstMs === undefined) {
      this.#firstMs = this.#sinceAccepted();
      this.#reply.open(200, [...STREAM_HEADERS, ...this.#commonHeaders()]);
    }
    this.#events += eventCount;
    this.#tokens += tokenCount;
    this.#bytes += events.length;
    this.#contentBytes += contentBytes;
    this.#text?.add(events);
    this.#reply.write(events);
    this.#consume(events.length);
  }

  /** Returns credit for what the consumer took; holds it back while the consumer does not keep up. */
  #consume(bytes: number): void {
    this.#unconsumed += bytes;
    if (this.#reply.congested || this.#unconsumed === 0) return;
    this.#run?.consumed(this.#unconsumed);
    this.#unconsumed = 0;
  }

  async #end(end: DispatchEnd): Promise<void> {
    const delivered = end.outcome === 'completed' || end.outcome === 'cancelled';
    if (this.#answer) {
      this.#contentBytes = this.#endpoint.contentBytes(this.#answer);
      this.#tokens = Math.ceil(this.#contentBytes / BYTES_PER_TOKEN_GUESS);
      this.#events = 1;
      this.#bytes = this.#result?.length ?? 0;
    }
    // An unstreamed answer that the consumer did not wait for was never passed on.
    const nothingPassed = end.outcome === 'cancelled' && !this.#ask.stream;
    const usage = delivered && !nothingPassed ? this.#billedUsage(end) : NO_USAGE;
    const record = this.#recordOf(end, usage);
    try {
      await this.#rooms.journal.append({ kind: 'usage', record });
    } catch (error) {
      // If the next life finds the record, it must find its money too: the hold stays, and dissolves with the lease.
      if (!(error instanceof RecordInDoubt)) this.release();
      this.#rooms.log.error({ request: record.id, err: error }, 'The usage of a request could not be kept.');
      this.#answerFailure('ledger-unavailable');
      const { consumerId, modelId } = record;
      this.#rooms.refused({ consumerId, modelId, tier: this.tier, code: 'ledger-unavailable' });
      this.noteEnd('ledger-unavailable');
      return;
    }
    const { covered = 0n, coveredTokens = 0, coveredUnits = 0 } = record;
    this.#settle(record.charge, { tokens: coveredTokens, units: coveredUnits }, covered);
    this.#rooms.served(record, {
      candidate: end.candidate,
      tier: this.tier,
      queueMs: this.#queueMs,
      trace: this.#caller.trace,
    });
    this.#logServed(record);
    if (end.outcome === 'completed') this.#answerWhole(usage);
    else if (!this.#left) this.#answerFailure(end.errorCode ?? 'provider-failed');
    if (record.charge + covered > 0n && this.#text) this.#submitRecount(record);
  }

  #billedUsage(end: DispatchEnd): Usage {
    const tokens = billedUsage({
      stated: end.usage,
      cutShort: end.outcome === 'cancelled',
      passedTokens: this.#tokens,
      passedContentBytes: this.#contentBytes,
      inputCeiling: this.#ceiling.inputTokens,
      promptBytes: this.#ask.promptBytes,
      outputCeiling: this.#outputCeiling,
      choices: this.#ask.n,
    });
    const pieces = this.#answer && this.#endpoint.pieces?.(this.#ask, this.#answer);
    return pieces ? { ...tokens, ...pieces } : tokens;
  }

  #answerWhole(usage: Usage): void {
    if (!this.#ask.stream) {
      const answer = this.#answer as Answer;
      const body = this.#result as Buffer;
      const rendered = this.#endpoint.render({ ask: this.#ask, answer, body, usage });
      this.#reply.send(200, ['content-type', rendered.type, ...this.#commonHeaders()], rendered.body);
      return;
    }
    if (this.#ask.includeUsage) this.#reply.write(this.#usageEvent(usage));
    this.#reply.write(DONE);
    this.#reply.finish();
  }

  #answerFailure(code: string): void {
    if (this.#firstMs === undefined || !this.#ask.stream) {
      const row = errorRow(code);
      sendError(
        this.#reply,
        new Fault(code, row.status === 503 ? { retryAfterS: 5 } : {}),
        this.#commonHeaders(),
      );
      return;
    }
    this.#reply.write(Buffer.from(`event: error\ndata: ${JSON.stringify(errorBody(code))}\n\n`));
    this.#reply.finish();
  }

  #usageEvent(usage: Usage): Buffer {
    const { completionId, createdS, modelId } = this.order;
    const event = {
      id: completionId,
      object: this.#endpoint.chunkObject,
      created: createdS,
      model: modelId,
      choices: [],
      usage: usageBody(usage),
    };
    return Buffer.from(`data: ${JSON.stringify(event)}\n\n`);
  }

  #recordOf(end: DispatchEnd, usage: Usage): UsageRecord {
    const { key, requestId } = this.#caller;
    const { candidate } = end;
    const price = this.#price;
    const cost = priceOf(uncovered(usage, this.#cover), price);
    const plan = coveredOf(usage, this.#cover);
    const errorCode =
      end.outcome === 'completed' ? null : (end.errorCode ?? (this.#left ? 'client-left' : null));
    const { priceFactor } = this.terms;
    return {
      id: requestId,
      at: this.#rooms.clock.wallMs(),
      consumerId: key.ownerId,
      keyId: key.id,
      modelId: this.model.id,
      operation: this.#endpoint.operation,
      providerId: candidate?.providerId ?? null,
      nodeId: candidate?.nodeId ?? null,
      attemptId: end.attemptId ?? null,
      mode: candidate?.mode ?? null,
      streamed: this.#ask.stream,
      outcome: end.outcome,
      errorCode,
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      units: usage.units ?? 0,
      seconds: usage.seconds ?? 0,
      claimedInputTokens: end.usage?.inputTokens ?? null,
      claimedOutputTokens: end.usage?.outputTokens ?? null,
      events: this.#events,
      bytes: this.#bytes,
      attempts: end.attempts,
      ttftMs: this.#firstMs ?? null,
      totalMs: this.#sinceAccepted(),
      priceId: this.#price.id,
      policy: this.#rooms.settings.policy,
      charge: cost < this.#reserved ? cost : this.#reserved,
      ...(plan.tokens + plan.units > 0 && {
        covered: priceOf(usage, price) - cost,
        coveredTokens: plan.tokens,
        coveredUnits: plan.units,
      }),
      ...(priceFactor !== WHOLE_PRICE && { priceFactor }),
      serving: {
        tier: this.tier,
        queueMs: this.#queueMs ?? null,
        region: candidate?.region ?? null,
        tries: this.tries,
        whose: errorCode === null ? null : errorRow(errorCode).whose,
        fallback: this.#fallbackOf(candidate),
      },
    };
  }

  #fallbackOf(candidate: Candidate | undefined): Fallback | null {
    if (this.#standsIn !== undefined) return 'smaller-model';
    if (!this.isFirstChoice) return 'other-model';
    return candidate?.mode === 'external' ? 'endpoint' : null;
  }

  /** The attempts of all models so far, timed from acceptance. */
  #triesOf({ tries }: DispatchEnd): readonly Try[] {
    const { acceptedMs } = this.#caller;
    const own = tries.map((each) => ({
      ...each,
      startedMs: rounded(each.startedMs - acceptedMs),
      tookMs: rounded(each.tookMs),
    }));
    return this.earlier.length === 0 ? own : [...this.earlier, ...own];
  }

  #submitRecount(record: UsageRecord): void {
    const text = this.#text as DeliveredText;
    this.#rooms.recounter.submit({
      record,
      price: this.#price,
      body: this.order.body,
      answer: this.#answer ? JSON.stringify(this.#answer) : text,
    });
  }

  #costCeiling(): Pico {
    const most = { ...this.#ceiling, outputTokens: this.#outputCeiling };
    return priceOf(uncovered(most, this.#cover), this.#listed);
  }

  #sinceAccepted(): number {
    return rounded(this.#rooms.clock.nowMs() - this.#caller.acceptedMs);
  }

  #commonHeaders(): Headers {
    const { key, place } = this.#caller;
    return [
      'x-swan-connection-mode',
      this.#mode,
      ...postureHeaders({ standsIn: this.#standsIn, cap: this.#cap }),
      ...rateHeaders(this.#rate),
      ...placeHeaders(place),
      ...capHeaders(key, this.#rooms.holds.capsLeft?.(key)),
    ];
  }

  #logServed(record: UsageRecord): void {
    this.#rooms.log.info(
      {
        request: record.id,
        consumer: record.consumerId,
        key: record.keyId,
        model: record.modelId,
        provider: record.providerId,
        outcome: record.outcome,
        code: record.errorCode,
        operation: record.operation,
        attempts: record.attempts,
        ttftMs: record.ttftMs,
        totalMs: record.totalMs,
        inputTokens: record.inputTokens,
        outputTokens: record.outputTokens,
        chargePico: record.charge.toString(),
        ...(record.covered !== undefined && { coveredPico: record.covered.toString() }),
      },
      'A request was served.',
    );
  }
}

const STREAM_HEADERS: Headers = [
  'content-type',
  'text/event-stream; charset=utf-8',
  'cache-control',
  'no-cache',
  'x-accel-buffering',
  'no',
];

function overRate(rate: RateVerdict, category: string): Fault {
  const whose = {
    address: 'an hour from this address',
    key: `a minute for ${category} models with this key`,
    'key-scope': 'a minute, which is the limit of this key',
    account: `a minute for ${category} models with all keys of this account`,
    plan: "a minute, which is the limit of this account's plan",
    'plan-day': "a day, which is the limit of this account's plan",
    'tier-burst': 'in ten seconds, which is the limit of the tier of this account',
  }[rate.of];
  return new Fault('rate-limited', {
    outer: `Over ${rate.limit} requests ${whose}.`,
    retryAfterS: rate.retryAfterS,
  });
}

function tooManyAtOnce(place: PlaceVerdict): Fault {
  if (place.of === 'key') return new Fault('too-many-at-once', { retryAfterS: 1 });
  const whose = {
    plan: "this account's plan",
    tier: 'the tier of this account',
    account: 'all keys of this account',
  }[place.of];
  return new Fault('too-many-at-once', {
    outer: `Over ${place.limit} requests at once for ${whose}.`,
    retryAfterS: 1,
  });
}

function capReached(cap: 'cap-day' | 'cap-month'): Fault {
  return new Fault('key-cap-reached', {
    outer:
      cap === 'cap-day'
        ? 'The spend cap of this key for a day leaves too little for this request.'
        : 'The spend cap of this key for a month leaves too little for this request.',
  });
}

function logRefusal(rooms: InferenceRooms, caller: Caller, fault: Fault): void {
  rooms.log.info(
    { request: caller.requestId, key: caller.key.id, code: fault.code, inner: fault.message },
    'A request was refused.',
  );
}
