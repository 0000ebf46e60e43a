import { least } from '#domain/money.ts';
import { priceOf } from '#domain/price.ts';
import type { UsageRecord } from '#domain/usage-record.ts';
import { readChatRequest } from '#gateway/body.ts';
import { chat } from '#gateway/endpoints/chat.ts';
import { admit, type Caller, consumerKey, type InferenceRooms, serve } from '#gateway/inference.ts';
import { sendError } from '#gateway/send-error.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { RecordInDoubt } from '#ledger/ports.ts';
import { VirtualClock } from '#support/virtual-clock.ts';
import { BEHAVIOURS, type Behaviour } from './agents/behaviours.ts';
import type { AttemptTruth } from './agents/job.ts';
import type { NodeProfile, NodeWorld, SimulatedNode } from './agents/node.ts';
import { StreamNode } from './agents/stream-node.ts';
import { SwanNode } from './agents/swan-node.ts';
import { Chance } from './chance.ts';
import { drawRequest, makeConsumers, type SimulatedConsumer } from './clients/population.ts';
import { SimulatedRequest } from './clients/request.ts';
import { drawRates, type FaultKind } from './faults.ts';
import { Catalogue } from './market/catalogue.ts';
import { SimulatedDisk } from './market/disk.ts';
import { Host } from './market/host.ts';
import type { Life } from './market/life.ts';
import { RegisterOffice } from './market/register-office.ts';
import { BODY_LIMITS, DISK_STALL_MS_MAX, STORE_STALL_MS_MAX } from './market/settings.ts';
import { type Asker, Store } from './market/store.ts';
import { Wire } from './market/wire.ts';
import { Court } from './oracles/court.ts';
import { MoneyOracle } from './oracles/money.ts';
import { RequestOracle } from './oracles/requests.ts';
import type { Sabotage } from './sabotage.ts';
import { Trace } from './trace.ts';

export interface WorldOptions {
  readonly seed: number;
  /** Requests before the world calms down. */
  readonly requests: number;
  readonly sabotage?: Sabotage | undefined;
  /** Hears every line of the trace. */
  readonly print?: ((line: string) => void) | undefined;
}

const CALM_MS = 60_000;
const CALM_REQUESTS = 40;
const CHECK_EVERY_STEPS = 256;

/**
 * A whole market in one seed: consumers, providers and their agents, two market processes of the real code, one store,
 * and everything that goes wrong between them. It moves when its clock is stepped; `drive.ts` does that.
 *
 *     busy ── all requests sent ──▶ calm: faults off, everybody good, 60 s ──▶ idle? ──▶ good requests ──▶ idle? ──▶ over
 */
export class World implements NodeWorld {
  readonly clock = new VirtualClock();
  readonly trace: Trace;
  readonly court: Court;
  readonly money: MoneyOracle;
  readonly requests: RequestOracle;
  readonly faultCounts = new Map<string, number>();
  readonly behaviourCounts = new Map<string, number>();
  over = false;
  steps = 0;
  readonly #options: WorldOptions;
  readonly #chance: Chance;
  readonly #faultChance: Chance;
  readonly #clientChance: Chance;
  readonly #writeChance: Chance;
  readonly #store: Store;
  readonly #catalogue = new Catalogue();
  readonly #office = new RegisterOffice();
  readonly #hosts: Host[];
  readonly #nodes: SimulatedNode[] = [];
  readonly #consumers: SimulatedConsumer[];
  readonly #rates: Readonly<Partial<Record<FaultKind, number>>>;
  readonly #inFlight = new Map<Life, Set<SimulatedRequest>>();
  readonly #byNumber = new Map<number, SimulatedRequest>();
  /** By serial number and by id. */
  readonly #truths = new Map<number | string, AttemptTruth>();
  readonly #perSecond: number;
  #calm = false;
  #sent = 0;
  #keys = 0;
  #serial = 0;
  #awayUntilMs = 0;
  #awayWrites = 0;
  #running = new Set<AttemptTruth>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.trace = new Trace(options.print);
    this.court = new Court(options.seed, this.trace, () => this.clock.nowMs());
    this.#chance = new Chance(options.seed);
    this.#faultChance = this.#chance.stream('faults');
    this.#clientChance = this.#chance.stream('clients');
    this.#writeChance = this.#chance.stream('writes');
    this.#rates = drawRates(this.#chance.stream('rates'));
    this.money = new MoneyOracle(this.court, () => this.#store);
    this.requests = new RequestOracle(
      this.court,
      () => this.clock.nowMs(),
      (which) => this.#truths.get(which),
    );
    this.#perSecond = this.#chance.one([60, 150, 300, 500]);
    this.#store = new Store(this.clock, this.#chance.stream('store'), {
      sabotage: options.sabotage,
      fateOf: () => this.#fateOfStatement(),
      nearWrite: (asker, where) => this.#nearWrite(asker, where),
      committed: (what, consumerIds) => {
        this.#note('store', what);
        this.money.committed(consumerIds);
      },
      posted: (asker, records) => {
        const life = this.#hosts.find((host) => host.isHere(asker))?.life;
        for (const { record } of records) life?.unposted.delete(record.id);
        this.money.posted(records);
      },
    });
    this.#consumers = makeConsumers(24, this.#chance.stream('consumers'), this.#office);
    this.#hosts = ['A', 'B'].map((name) => this.#makeHost(name));
    this.#makeNodes();
    for (const consumer of this.#consumers) this.#grant(consumer.id, consumer.credit);
    for (const host of this.#hosts) host.start();
    for (const node of this.#nodes) this.clock.after(this.#chance.ms(0, 50), () => node.start());
    for (const kind of Object.keys(this.#rates) as FaultKind[]) this.#expect(kind);
    this.clock.after(400, () => this.#nextRequest());
  }

  /** One event. False when the world has ended or a promise was broken. */
  step(): boolean {
    this.steps += 1;
    this.court.step = this.steps;
    try {
      if (!this.clock.step()) this.over = true;
    } catch (error) {
      this.court.report('bug', `An error came out of the market: ${textOf(error)}`);
    }
    this.requests.step();
    if (this.steps % CHECK_EVERY_STEPS === 0) this.#checkPurses();
    return !this.over && this.court.violations.length === 0;
  }

  // --- the parts ------------------------------------------------------------------------------------------------------

  #makeHost(name: string): Host {
    const { sabotage } = this.#options;
    const chance = this.#chance.stream(`host ${name}`);
    const disk = new SimulatedDisk(this.clock, chance.stream('disk'), (asker, where) =>
      this.#nearWrite(asker, where),
    );
    return new Host({
      name,
      disk,
      clock: this.clock,
      chance,
      log: this.#logOf(name),
      watch: {
        began: (host) => this.#note(host.name, `began life ${host.lives}`),
        died: (host) => this.#died(host),
        stopped: (host) => this.#stopped(host),
      },
      needs: {
        store: this.#store,
        catalogue: this.#catalogue,
        office: this.#office,
        strategy: this.#chance.one([
          'health-aware',
          'health-aware',
          'round-robin',
          'least-connections',
        ] as const),
        countingFate: () => this.#fateOfCounting(),
        dispatch: {
          ...(sabotage === 'retries-without-end' && { retriesMax: 9 }),
          ...(sabotage === 'never-looks-at-deadlines' && { wheelMs: 1e9 }),
        },
      },
    });
  }

  #makeNodes(): void {
    const chance = this.#chance.stream('nodes');
    // Not a multiple of the homes, so that each process sees most providers.
    const providers = 7;
    // In some worlds nearly everybody is bad at it.
    const drawn = chance.one([1, 1, 1, 1, 1, 12]);
    const badness = this.#options.sabotage ? 12 : drawn;
    for (let p = 0; p < providers; p++) {
      this.#office.addKey(`sk-prov-${p}`, 'provider', `prov_${p}`);
      this.#office.states.set(`prov_${p}`, 'active');
    }
    for (let i = 0; i < 14; i++) {
      const own = chance.stream(`node ${i}`);
      const provider = i % providers;
      const profile: NodeProfile = {
        name: `n${i}`,
        nodeId: `node${i}`,
        providerId: `prov_${provider}`,
        secret: `sk-prov-${provider}`,
        // At least one at each home sells everything.
        models: i === 0 || i === 3 || own.yes(0.5) ? this.#catalogue.ids : [own.one(this.#catalogue.ids)],
        capacity: own.whole(4, 20),
        behaviours: {
          ...behavioursOf(own, badness),
          ...(this.#options.sabotage === 'delivers-foreign-frames' && { 'foreign-frames': 60 }),
        },
        diesOfPoison: own.yes(0.7),
      };
      const node =
        i % 2 === 0
          ? new StreamNode(profile, this, own, own.yes(0.15))
          : new SwanNode(own.one(['A', 'B', 'C'] as const), profile, this, own);
      this.#nodes.push(node);
    }
  }

  // --- what nodes ask of the world --------------------------------------------------------------------------------------

  dial(node: SimulatedNode): Wire | undefined {
    const host = this.#hostFor(node);
    if (!host.life) return undefined;
    if (host.closing) return undefined;
    const wire = new Wire({
      clock: this.clock,
      address: '192.0.2.1',
      latencyMs: this.#chance.ms(0.1, 3),
      agent: node.earOf(),
      hubDead: host.deathOfPresent(),
    });
    if (this.#options.sabotage === 'loses-cancels') {
      wire.tamper = (data) => (typeof data === 'string' ? !data.includes('"cancel"') : data[0] !== 3);
    }
    host.accept(wire);
    this.#note(node.profile.name, `dials ${host.name}`);
    return wire;
  }

  /** Each node has a home, and finds itself elsewhere now and then. */
  #hostFor(node: SimulatedNode): Host {
    const [first, second] = this.#homesOf(node);
    return !this.#calm && this.#faultChance.yes(0.15) ? second : first;
  }

  #homesOf(node: SimulatedNode): [Host, Host] {
    const [a, b] = this.#hosts as [Host, Host];
    return (this.#nodes.indexOf(node) >> 1) % 2 === 0 ? [a, b] : [b, a];
  }

  jobArrived(node: SimulatedNode, about: { attemptId: string; prompt: string }): AttemptTruth {
    const match = /^r(\d+) /.exec(about.prompt);
    const behaviour = node.drawBehaviour();
    const truth: AttemptTruth = {
      serial: ++this.#serial,
      attemptId: about.attemptId,
      request: match ? Number(match[1]) : -1,
      nodeId: node.profile.nodeId,
      providerId: node.profile.providerId,
      connection: node.connection,
      named: node instanceof SwanNode,
      behaviour,
      startedMs: this.clock.nowMs(),
      words: 0,
      wholeWords: undefined,
      honestUsage: undefined,
      cancelHeard: false,
      over: false,
    };
    this.#truths.set(truth.serial, truth);
    this.#truths.set(truth.attemptId, truth);
    this.#running.add(truth);
    this.behaviourCounts.set(behaviour, (this.behaviourCounts.get(behaviour) ?? 0) + 1);
    this.#note(`#${truth.request}`, `${node.profile.name} ${behaviour} ${about.attemptId}`);
    this.requests.attempted(truth, this.#byNumber.get(truth.request), (other) => this.#canHear(other));
    return truth;
  }

  jobCancelled(truth: AttemptTruth): void {
    this.#note(`#${truth.request}`, `cancelled at ${truth.nodeId}`);
  }

  /** The attempt that began last elsewhere, of an agent whose attempts go by an id that another can say. */
  attemptOfAnother(nodeId: string): string | undefined {
    let found: string | undefined;
    for (const truth of this.#running) {
      if (truth.over) this.#running.delete(truth);
      else if (truth.nodeId !== nodeId && truth.named) found = truth.attemptId;
    }
    return found;
  }

  wireFor(node: SimulatedNode, attemptId: string, own: Wire | undefined): Wire | undefined {
    if (this.#options.sabotage !== 'delivers-foreign-frames') return own;
    const truth = this.#truths.get(attemptId);
    return (
      this.#nodes.find(({ profile }) => profile.nodeId === truth?.nodeId && node.profile !== profile)
        ?.connectionWire ?? own
    );
  }

  /** Its node is still on the connection that the attempt came in on, and is still somebody there. */
  #canHear(truth: AttemptTruth): boolean {
    const node = this.#nodes.find(({ profile }) => profile.nodeId === truth.nodeId);
    if (node && this.#office.findKey(node.profile.secret) === 'revoked') return false;
    return node !== undefined && node.hears && node.connection === truth.connection && !node.stopped;
  }

  // --- clients --------------------------------------------------------------------------------------------------------

  #nextRequest(): void {
    const most = this.#options.requests + (this.#calm ? CALM_REQUESTS : 0);
    if (this.#sent >= most) {
      if (this.#calm) this.clock.after(20_000, () => this.#end());
      else this.clock.after(500, () => this.#calmDown());
      return;
    }
    this.#send();
    const perSecond = this.#calm ? 20 : this.#perSecond;
    this.clock.after(this.#clientChance.wait(perSecond), () => this.#nextRequest());
  }

  #send(): void {
    const n = ++this.#sent;
    const chance = this.#clientChance;
    const drawn = drawRequest(n, chance, {
      consumers: this.#consumers,
      catalogue: this.#catalogue,
      calm: this.#calm,
    });
    const host = chance.one(this.#hosts);
    const life = host.closing ? undefined : host.life;
    if (!life) {
      this.#note(`#${n}`, `finds ${host.name} closed`);
      if (this.#calm) this.court.report('liveness', `Process ${host.name} is not there in the end.`);
      return;
    }
    const price = this.#catalogue.resolve(drawn.modelId)?.price;
    const request = new SimulatedRequest(
      n,
      drawn,
      {
        host: host.name,
        requestId: life.rooms.ids('req'),
        startedMs: this.clock.nowMs(),
        price,
        calm: this.#calm,
      },
      {
        begun: (status) => this.#note(`#${n}`, `status ${status}`),
        ended: () => this.requests.ended(request, (id) => host.disk.durable.has(id)),
      },
    );
    this.#byNumber.set(n, request);
    this.#note(
      `#${n}`,
      `${drawn.kind} ${drawn.consumerId} ${drawn.modelId} at ${host.name} as ${request.requestId}`,
    );
    this.requests.began(request);
    this.#inFlightOf(life).add(request);
    this.#behave(request);
    const over = (): void => {
      try {
        this.#overWith(request, life);
      } catch (error) {
        this.court.report('bug', `The oracles met an error: ${textOf(error)}`, [`#${n}`]);
      }
    };
    try {
      const authorization = drawn.secret === undefined ? undefined : `Bearer ${drawn.secret}`;
      // Limits in memory answer at once.
      const key = consumerKey(life.rooms.keys, authorization);
      const arrival = { requestId: request.requestId, acceptedMs: this.clock.nowMs() };
      const caller = admit(life.rooms, { key }, arrival) as Caller;
      request.isAdmitted = true;
      const rooms = this.#roomsFor(request, life, host);
      const read = readChatRequest(drawn.body, BODY_LIMITS);
      serve(rooms, chat, caller, read, drawn.body, request.reply).then(over, (error) => {
        this.court.report('bug', `serve threw: ${textOf(error)}`, [`#${n}`]);
      });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      sendError(request.reply, error);
      over();
    }
  }

  /** How this client behaves: it may hang up at any moment, and may read slowly. */
  #behave(request: SimulatedRequest): void {
    if (request.calm) return;
    const chance = this.#clientChance;
    if (chance.yes(0.06)) {
      this.clock.after(chance.ms(0, chance.one([1, 30, 200])), () => {
        if (request.overMs !== undefined || request.reply.whole) return;
        request.leftMs = this.clock.nowMs();
        this.#note(`#${request.n}`, 'hangs up');
        this.requests.left(request);
        request.reply.leave();
      });
    }
    if (request.drawn.stream && chance.yes(0.05)) {
      request.reply.roomBytes = chance.one([200, 800]);
      const pause = chance.ms(5, 400);
      const read = (): void => {
        request.reply.read();
        if (request.overMs === undefined) this.clock.after(pause, read);
      };
      this.clock.after(pause, read);
    }
  }

  /** The rooms of a life, with this request's money watched. */
  #roomsFor(request: SimulatedRequest, life: Life, host: Host): InferenceRooms {
    const { sabotage } = this.#options;
    const { rooms } = life;
    const held = (amount: bigint): void => {
      request.held += amount;
      request.heldMost = amount;
    };
    return {
      ...rooms,
      refusals: {
        note: () => {
          if (sabotage !== 'forgets-a-refusal' || request.n % 97 !== 0) request.refusals += 1;
        },
        withoutKey: () => {},
      },
      holds: {
        reserve: (consumerId, amount, key) => {
          const answer = rooms.holds.reserve(consumerId, amount, key);
          if (answer === true) {
            held(amount);
            return true;
          }
          return answer.then((said) => {
            if (said === true) held(amount);
            return said;
          });
        },
        settle: (consumerId, reserved, charged, key) => {
          request.held -= reserved;
          request.settles += 1;
          if (sabotage !== 'forgets-to-settle' || request.n % 97 !== 0)
            rooms.holds.settle(consumerId, reserved, charged, key);
        },
        release: (consumerId, reserved, key) => {
          request.held -= reserved;
          request.settles += 1;
          rooms.holds.release(consumerId, reserved, key);
        },
      },
      journal: {
        get healthy() {
          return rooms.journal.healthy;
        },
        append: async (line) => {
          if (line.kind !== 'usage') return rooms.journal.append(line);
          const record = this.#spoilt(line.record, request);
          request.records.push(record);
          if (sabotage === 'forgets-the-journal' && request.n % 97 === 0) return;
          const durable = rooms.journal.append({ kind: 'usage', record });
          if (sabotage === 'answers-before-it-is-durable') {
            durable.catch(() => {});
            return;
          }
          try {
            await durable;
            if (record.charge > 0n && host.life === life) life.unposted.set(record.id, record.charge);
          } catch (error) {
            request.refusedByDisk = true;
            request.inDoubt = error instanceof RecordInDoubt;
            throw error;
          }
        },
      },
    };
  }

  /** The record of a request, as a broken market would write it. */
  #spoilt(record: UsageRecord, request: SimulatedRequest): UsageRecord {
    const { sabotage } = this.#options;
    if (record.charge === 0n) return record;
    if (sabotage === 'charges-another-price' && request.n % 97 === 0)
      return { ...record, charge: record.charge - 1n };
    const price = this.#catalogue.resolve(request.drawn.modelId)?.price;
    if (sabotage === 'takes-a-later-price' && price && price.id !== record.priceId)
      return { ...record, priceId: price.id, charge: least(priceOf(record, price), request.heldMost) };
    return record;
  }

  #overWith(request: SimulatedRequest, life: Life): void {
    this.#inFlightOf(life).delete(request);
    const attempts = this.requests.over(request);
    const [record] = request.records;
    this.#note(
      `#${request.n}`,
      `over ${request.reply.status ?? 'unanswered'} ${record?.outcome ?? 'refused'} ${record?.charge ?? 0n}`,
    );
    if (attempts.some((truth) => !truth.over)) {
      this.clock.after(100, () => this.#toldToStop(attempts));
    }
    this.#forget(request, attempts);
  }

  /** Of a request that is over, every agent that can be told to stop was told. */
  #toldToStop(attempts: readonly AttemptTruth[]): void {
    for (const truth of attempts) {
      if (truth.over || truth.cancelHeard || !this.#canHear(truth)) continue;
      const node = this.#nodes.find(({ profile }) => profile.nodeId === truth.nodeId);
      if (node instanceof SwanNode && node.generation !== 'C') continue;
      this.court.report(
        'I8',
        `Attempt ${truth.attemptId} of request #${truth.request} was never told to stop.`,
        [`#${truth.request}`],
      );
    }
  }

  #forget(request: SimulatedRequest, attempts: readonly AttemptTruth[]): void {
    this.clock.after(5_000, () => {
      this.#byNumber.delete(request.n);
      for (const { serial, attemptId } of attempts) {
        this.#truths.delete(serial);
        this.#truths.delete(attemptId);
      }
    });
  }

  #inFlightOf(life: Life): Set<SimulatedRequest> {
    let set = this.#inFlight.get(life);
    if (!set) {
      set = new Set();
      this.#inFlight.set(life, set);
    }
    return set;
  }

  #died(host: Host): void {
    this.#note(host.name, 'died');
    for (const [life, requests] of this.#inFlight) {
      if (this.#hosts.some((other) => other.life === life)) continue;
      this.#inFlight.delete(life);
      for (const request of requests) {
        request.reply.severed = true;
        this.requests.reset(request);
        this.#note(`#${request.n}`, 'reset');
        this.#forget(request, []);
      }
    }
  }

  /** A process that was asked to stop has let go of everybody first. */
  #stopped(host: Host): void {
    this.#note(host.name, 'stopped');
    const { life } = host;
    const left = life ? [...this.#inFlightOf(life)] : [];
    if (left.length > 0)
      this.court.report('liveness', `${host.name} stopped with ${left.length} requests in flight.`, [
        `#${left[0]?.n}`,
        host.name,
      ]);
  }

  // --- faults ---------------------------------------------------------------------------------------------------------

  #expect(kind: FaultKind): void {
    const rate = this.#rates[kind] as number;
    if (rate === 0) return;
    this.clock.after(this.#faultChance.wait(rate), () => {
      if (this.#calm) return;
      this.#strike(kind);
      this.#expect(kind);
    });
  }

  #count(kind: FaultKind): void {
    this.faultCounts.set(kind, (this.faultCounts.get(kind) ?? 0) + 1);
  }

  #strike(kind: FaultKind): void {
    const chance = this.#faultChance;
    const host = chance.one(this.#hosts);
    const node = chance.one(this.#nodes);
    this.#count(kind);
    this.#note('world', `${kind} ${host.name} ${node.profile.name}`);
    switch (kind) {
      case 'process-killed':
        host.crash('process');
        break;
      case 'machine-lost':
        host.crash('machine');
        break;
      case 'killed-near-a-write':
        this.#awayWrites = chance.whole(1, 40);
        break;
      case 'disk-stalls':
        host.disk.stalledUntilMs = this.clock.nowMs() + chance.ms(5, DISK_STALL_MS_MAX / 3);
        break;
      case 'disk-fails-append':
      case 'disk-fails-sync':
      case 'disk-fails-create':
        this.#failDisk(host, kind.slice('disk-fails-'.length) as 'append' | 'sync' | 'create');
        break;
      case 'store-stalls':
        this.#store.stalledUntilMs = this.clock.nowMs() + chance.ms(20, STORE_STALL_MS_MAX);
        break;
      case 'store-away':
        this.#awayUntilMs = this.clock.nowMs() + chance.ms(50, STORE_STALL_MS_MAX);
        break;
      case 'process-stopped':
        host.stop(chance.one([0, 200, 2_000]));
        break;
      case 'link-socket-full':
        node.lose('full', chance.ms(20, 1_500));
        break;
      case 'link-cut':
        node.lose('cut');
        break;
      case 'link-black-hole':
        node.lose('black-hole');
        break;
      case 'node-stops': {
        node.stop();
        this.clock.after(chance.ms(100, 4_000), () => node.start());
        break;
      }
      case 'node-reconnects':
        node.reconnect();
        break;
      case 'node-drains':
        if (node instanceof StreamNode) {
          node.drain();
          this.clock.after(chance.ms(100, 2_000), () => node.reconnect());
        }
        break;
      case 'node-falls-silent':
        node.beats = false;
        this.clock.after(chance.ms(3_000, 8_000), () => {
          node.beats = true;
        });
        break;
      case 'node-health-flaps':
        node.health(chance.one(['unhealthy', 'degraded', 'nonsense']));
        this.clock.after(chance.ms(50, 1_500), () => node.health('healthy'));
        break;
      case 'impostor':
        this.#impostor(node);
        break;
      case 'provider-suspended': {
        const { providerId } = node.profile;
        this.#office.setState(providerId, 'suspended');
        this.clock.after(chance.ms(100, 3_000), () => this.#office.setState(providerId, 'active'));
        break;
      }
      case 'provider-key-revoked':
        this.#renewProviderKey(node);
        break;
      case 'consumer-key-revoked':
        this.#renewConsumerKey(chance.one(this.#consumers));
        break;
      case 'price-changes':
        this.#catalogue.reprice(chance.one(this.#catalogue.ids), {
          inputPico: BigInt(chance.whole(0, 80)),
          outputPico: BigInt(chance.whole(1, 400)),
        });
        break;
      case 'wall-clock-jumps':
        host.wallOffsetMs += chance.one([-86_400_000, -3_600_000, -1_000, 1_000, 3_600_000, 86_400_000]);
        break;
      case 'credit-arrives':
        this.#grant(chance.one(this.#consumers).id, BigInt(chance.whole(1_000, 500_000)));
        break;
      case 'store-answer-unheard':
      case 'store-refuses':
      case 'counting-hangs':
      case 'counting-dies':
        // These are drawn where they happen.
        break;
    }
  }

  /** The disk refuses; a while later somebody notices that the process takes no work and starts it anew. */
  #failDisk(host: Host, on: 'append' | 'sync' | 'create'): void {
    const { life } = host;
    host.disk.memory.failing = { on, code: this.#faultChance.one(['EIO', 'ENOSPC'] as const) };
    this.clock.after(this.#faultChance.ms(300, 2_500), () => {
      if (host.life === life) host.crash('process');
    });
  }

  /** Somebody else's key, this node's id. */
  #impostor(node: SimulatedNode): void {
    const other = this.#nodes.find(({ profile }) => profile.providerId !== node.profile.providerId);
    if (!other) return;
    const own = node.profile.secret;
    node.profile.secret = other.profile.secret;
    node.reconnect();
    this.clock.after(200, () => {
      node.profile.secret = own;
      node.reconnect();
    });
  }

  #renewProviderKey({ profile: { providerId, secret } }: SimulatedNode): void {
    const record = this.#office.keys.get(secret);
    if (record) this.#office.revoked.add(record.id);
    const fresh = `sk-prov-new-${++this.#keys}`;
    this.clock.after(this.#faultChance.ms(500, 3_000), () => {
      this.#office.addKey(fresh, 'provider', providerId);
      for (const node of this.#nodes) {
        if (node.profile.providerId !== providerId) continue;
        node.profile.secret = fresh;
        node.reconnect();
      }
    });
  }

  #renewConsumerKey(consumer: SimulatedConsumer): void {
    const [secret] = consumer.secrets;
    const record = secret === undefined ? undefined : this.#office.keys.get(secret);
    if (record) this.#office.revoked.add(record.id);
    this.clock.after(this.#faultChance.ms(500, 3_000), () => {
      const fresh = `sk-swan-new-${++this.#keys}`;
      this.#office.addKey(fresh, 'consumer', consumer.id);
      consumer.secrets[0] = fresh;
    });
  }

  #grant(consumerId: string, amount: bigint): void {
    if (amount === 0n) return;
    const id = `grant_${++this.#keys}`;
    this.money.granted(consumerId, amount);
    void this.#store.grant(consumerId, amount, id).then(() => this.#store.grant(consumerId, amount, id));
  }

  /** Around each durable write: a good moment to die. */
  #nearWrite(asker: Asker, where: string): void {
    if (this.#calm || this.#awayWrites === 0 || asker.dead) return;
    this.#awayWrites -= 1;
    if (this.#awayWrites > 0) return;
    const host = this.#hosts.find((other) => other.isHere(asker));
    if (!host) return;
    this.#note(host.name, `is killed ${where}`);
    host.crash(this.#writeChance.yes(0.5) ? 'process' : 'machine');
  }

  #fateOfStatement(): 'well' | 'refused' | 'unheard' {
    if (this.#calm) return 'well';
    if (this.clock.nowMs() < this.#awayUntilMs) return 'refused';
    const chance = this.#writeChance;
    if (this.#rates['store-answer-unheard'] !== undefined && chance.yes(0.01)) {
      this.#count('store-answer-unheard');
      return 'unheard';
    }
    if (this.#rates['store-refuses'] !== undefined && chance.yes(0.01)) {
      this.#count('store-refuses');
      return 'refused';
    }
    return 'well';
  }

  #fateOfCounting(): 'well' | 'hangs' | 'dies' {
    if (this.#calm) return 'well';
    const chance = this.#writeChance;
    if (this.#rates['counting-hangs'] !== undefined && chance.yes(0.001)) {
      this.#count('counting-hangs');
      return 'hangs';
    }
    if (this.#rates['counting-dies'] !== undefined && chance.yes(0.003)) {
      this.#count('counting-dies');
      return 'dies';
    }
    return 'well';
  }

  // --- the end --------------------------------------------------------------------------------------------------------

  /** No more faults, and everybody means well. */
  #calmDown(): void {
    this.#calm = true;
    this.#note('world', 'calms down');
    this.#awayUntilMs = 0;
    this.#store.stalledUntilMs = 0;
    for (const node of this.#nodes) {
      node.profile.behaviours = { good: 3, long: 1 };
      node.profile.diesOfPoison = false;
      node.beats = true;
    }
    for (const { profile } of this.#nodes) this.#office.setState(profile.providerId, 'active');
    for (const host of this.#hosts) {
      host.disk.stalledUntilMs = 0;
      if (host.disk.memory.failing) host.crash('process');
      host.disk.memory.failing = undefined;
    }
    // Everybody goes home, so that each process has somebody for each model; not before what hangs would have been noticed.
    this.clock.after(15_000, () => {
      for (const node of this.#nodes) node.reconnect();
    });
    this.#grant((this.#consumers[0] as SimulatedConsumer).id, 1_000_000_000n);
    this.clock.after(CALM_MS, () => {
      this.#checkIdle('after the calm');
      this.#nextRequest();
    });
  }

  #checkIdle(when: string): void {
    const wrong = (what: string): void =>
      this.court.report('liveness', `${what} ${when}.`, ['world', 'A', 'B']);
    if (this.requests.open > 0) wrong(`${this.requests.open} requests are not over`);
    for (const { name, life } of this.#hosts) {
      if (!life) {
        wrong(`Process ${name} is not there`);
        continue;
      }
      if (life.dispatcher.active > 0) wrong(`${life.dispatcher.active} runs are under way at ${name}`);
      if (life.hub.registry.inFlight > 0)
        wrong(`${life.hub.registry.inFlight} attempts are under way at ${name}`);
      if (life.hub.registry.bufferedBytes !== 0)
        wrong(`${life.hub.registry.bufferedBytes} bytes wait at ${name}`);
      if (life.hub.counters.internalErrors > 0)
        wrong(`${life.hub.counters.internalErrors} internal errors at ${name}`);
      const { granted, reserved } = life.holds.totals();
      if (granted !== 0n || reserved !== 0n) wrong(`${reserved} of ${granted} are promised at ${name}`);
      if (!life.journal.healthy) wrong(`The journal of ${name} is not healthy`);
      if (life.poster.lag.bytes > 0)
        wrong(`${life.poster.lag.bytes} bytes of the journal of ${name} are not posted`);
    }
    for (const [consumerId, held] of this.#store.ledger.held) {
      if (held !== 0n) wrong(`${consumerId} has ${held} held`);
    }
    for (const node of this.#nodes) if (!node.connected) wrong(`${node.profile.name} is not connected`);
    this.money.rebuild();
    for (const [id, request] of this.requests.answered) {
      const record = this.#store.ledger.usage.get(id);
      if (!record)
        this.court.report('I3', `#${request.n} was answered and is not in the book.`, [`#${request.n}`]);
    }
  }

  #end(): void {
    this.#checkIdle('in the end');
    this.#note('world', `ends with ${this.#store.ledger.entries.size} entries`);
    this.over = true;
  }

  /** What a life believes to have is never more than the store has set aside for it, less what is not posted. */
  #checkPurses(): void {
    for (const { name, life } of this.#hosts) {
      if (!life) continue;
      const { granted, reserved } = life.holds.totals();
      if (reserved < 0n || reserved > granted)
        this.court.report('I2', `${name} promised ${reserved} of ${granted}.`, [name, 'store']);
      let leased = 0n;
      for (const amount of this.#store.ledger.leases.get(`inst_${name}`)?.values() ?? []) leased += amount;
      let unposted = 0n;
      for (const charge of life.unposted.values()) unposted += charge;
      if (granted + unposted > leased)
        this.court.report(
          'I2',
          `${name} believes in ${granted} and owes ${unposted}, but leases ${leased}.`,
          [name, 'store'],
        );
    }
  }

  #note(subject: string, what: string): void {
    this.trace.note(this.clock.nowMs(), subject, what);
  }

  /** A log whose errors are bugs, but for those that a failing disk explains. */
  #logOf(name: string): Logger {
    const nothing = (): void => {};
    const log = {
      info: nothing,
      warn: nothing,
      debug: nothing,
      child: () => log,
      error: (fields: { err?: unknown }, message: string) => {
        if (EXPECTED_ERRORS.has(message)) return;
        this.court.report(
          'bug',
          `${name} logged: ${message} ${textOf(fields.err)} ${JSON.stringify({ ...fields, err: undefined })}`,
        );
      },
    };
    return log as unknown as Logger;
  }
}

const EXPECTED_ERRORS = new Set([
  'The usage journal failed; no paid work is accepted until a restart.',
  'The usage of a request could not be kept.',
  'A correction could not be kept.',
]);

/** Mostly good, with a few habits of its own. */
function behavioursOf(chance: Chance, badness: number): Partial<Record<Behaviour, number>> {
  const behaviours: Partial<Record<Behaviour, number>> = { good: 100, long: 15 };
  const habits = BEHAVIOURS.filter((each) => each !== 'good' && each !== 'long');
  for (let i = chance.whole(0, 5); i > 0; i--)
    behaviours[chance.one(habits)] = badness * chance.one([1, 3, 10, 40]);
  return behaviours;
}

function textOf(error: unknown): string {
  return error instanceof Error
    ? `${error.message}\n${error.stack?.split('\n').slice(1, 6).join('\n')}`
    : String(error);
}
