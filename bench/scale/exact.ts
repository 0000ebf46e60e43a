import { type Randomness, seededRandomness } from '#kit/random.ts';
import { Digest, poisson } from './chance.ts';
import { homeCell } from './placement.ts';
import { SampledCell } from './sampled-cell.ts';
import { newTally, noteAdded, type Tally } from './tally.ts';
import { consumerOf, demandOf, partOf, TRAVELLING, type World } from './world.ts';

/**
 * A window of some seconds, request by request: each one enters a cell, has money set aside, is placed on a node (perhaps
 * in another cell), ends and is charged. Events are in a wheel of milliseconds; what belongs to a request stands in
 * columns. The window begins as if the market had been running, and ends when the last request has ended.
 *
 * What must hold is checked while it runs, from columns that nothing else uses (`#ends`, `#charges`, `#opening`).
 */

export interface WindowOptions {
  readonly world: World;
  readonly seed: number;
  /** Hour of the day, UTC. It stands still: a window is short. */
  readonly hour: number;
  /** Consecutive phases, by name and length. */
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
  /** A region that is lost with everything in it when the window is so old. */
  readonly lose?: { readonly region: number; readonly atMs: number } | undefined;
  /** A region that was lost long before the window, and nobody enters there any more. */
  readonly lost?: number | undefined;
  /** The cell in which the product's routing chooses. */
  readonly sampledCell?: number | undefined;
  /** Look at the home of every so many-th charge. */
  readonly checkEvery?: number;
  /** What to do wrong, to see that it is noticed. */
  readonly sabotage?: Sabotage | undefined;
}

export type Sabotage =
  | 'forgets-a-request'
  | 'ends-twice'
  | 'ignores-capacity'
  | 'charges-where-it-serves'
  | 'gives-a-lease-twice'
  | 'stays-in-its-region';

export interface WindowResult {
  readonly tallies: readonly Tally[];
  readonly hash: string;
  readonly events: number;
  readonly requests: number;
  readonly violations: readonly string[];
  /** How full the nodes of a model were, over all cells alive, when a request for it was refused for want of room; the least. */
  readonly fillAtRefusal: number;
  /** Charged, in nano-dollars; and by which ledger. */
  readonly charged: number;
  readonly chargedBy: Float64Array;
  /** How often the product's routing chose. */
  readonly choices: number;
}

/** Refusals for want of room must not come before the model's nodes are this full, in all cells that are alive. */
export const FULL = 0.9;
/**
 * A cell tells the others how full its pools are so often. Told each second, a pool that was full then is left alone for a
 * second, in which a quarter of it drains: requests were refused while a tenth of the nodes was free.
 */
const GOSSIP_MS = 250;
/** How many other cells are asked for one request. */
const KNOCKS_MAX = 4;
/** Clients of a lost region find their consumers' second cells after this time (addresses withdrawn, connections made anew). */
export const REROUTE_MS = 2_000;
/** Before this time nothing was answered yet, and another node can take the request over. */
const FIRST_CONTENT_MS = 300;
/** The way to a node of the same cell and back, when it hangs on another gateway. */
const IN_CELL_MS = 0.5;
/** Of the sampled cell's requests, one in so many has its node chosen by the product's routing. */
const CHOOSE_EVERY = 4;
const HELPINGS = 200;
const WHEEL_MS = 65_536;
const LOOK_MS = 100;
/** Nano-dollars: what is held for a request, and what it costs. */
const HOLD = 4_000_000;
const CHARGE_MIN = 500_000;
const CHARGE_SPREAD = 1_000_000;
const REQUESTS_AHEAD = 64;
const EXPOSURE_MAX = 5_000_000_000;

const FREE = 0;
const RUNNING = 1;
const GONE = 2;
/** What an end counts beside one, when the request was served. */
const SERVED = 16;

/** What is placed: whose request, where it entered, who serves it, and whether it came within the window. */
interface Asked {
  readonly serial: number;
  readonly consumer: number;
  readonly entry: number;
  readonly cell: number;
  readonly model: number;
  readonly choosing: boolean;
}

export function simulateWindow(options: WindowOptions): WindowResult {
  return new Window(options).run();
}

class Window {
  readonly #world: World;
  readonly #o: WindowOptions;
  readonly #random: Randomness;
  readonly #digest = new Digest();
  readonly #violations: string[] = [];
  readonly #violationsOf = new Map<string, number>();
  readonly #tallies: readonly Tally[];
  readonly #before: Tally;
  readonly #modelTable: Uint8Array;
  readonly #sampled: SampledCell | undefined;
  #now = 0;
  #phase = 0;
  #events = 0;
  #lost = -1;
  #reroutedMs = 0;
  #serial = 0;

  // By pool, node and model: what is under way.
  readonly #used: Int32Array;
  readonly #inFlight: Uint8Array;
  readonly #usedOf: Float64Array;
  readonly #slotsOf: Float64Array;
  /** By entry cell and pool: what the cell last heard. */
  readonly #believed: Int32Array;
  /** Nodes with room, pool by pool, and where in that list each node is. */
  readonly #withRoom: Int32Array;
  readonly #withRoomCount: Int32Array;
  readonly #place: Int32Array;

  // By request under way.
  readonly #state: Uint8Array;
  readonly #next: Int32Array;
  readonly #serialOf: Int32Array;
  readonly #consumer: Int32Array;
  readonly #node: Int32Array;
  readonly #pool: Int32Array;
  readonly #entry: Uint8Array;
  readonly #began: Int32Array;
  readonly #charge: Int32Array;
  readonly #wheel = new Int32Array(WHEEL_MS).fill(-1);
  #freeHead = -1;
  #highest = 0;
  #running = 0;

  // By consumer, in nano-dollars.
  readonly #opening: Float64Array;
  readonly #available: Float64Array;
  readonly #lease: Float64Array;
  readonly #held: Float64Array;
  readonly #chargedTo: Float64Array;
  readonly #waiting: Float64Array;
  readonly #chargedBy: Float64Array;
  #charged = 0;
  #checks = 0;

  // By request that ever came: how often it ended, how often it was charged.
  readonly #ends: Uint8Array;
  readonly #charges: Uint8Array;
  #fillAtRefusal = 1;

  constructor(options: WindowOptions) {
    const { world } = options;
    this.#world = world;
    this.#o = options;
    this.#random = seededRandomness(options.seed ^ 0x5ca1e);
    const { cells, models, size } = world;
    this.#tallies = options.phases.map(({ name }) => newTally(name, cells));
    this.#before = newTally('before', cells);
    this.#modelTable = tableOf(world.popularity);
    const pools = cells * models;
    this.#used = new Int32Array(pools);
    this.#inFlight = new Uint8Array(size.nodes);
    this.#usedOf = new Float64Array(models);
    this.#slotsOf = new Float64Array(models);
    this.#believed = new Int32Array(cells * pools);
    this.#withRoom = Int32Array.from({ length: size.nodes }, (_, node) => node);
    this.#place = this.#withRoom.slice();
    this.#withRoomCount = new Int32Array(pools);
    let slots = 0;
    for (let pool = 0; pool < pools; pool++) {
      this.#withRoomCount[pool] = world.firstNode[pool + 1]! - world.firstNode[pool]!;
      this.#slotsOf[pool % models]! += world.slots[pool]!;
      slots += world.slots[pool]!;
    }
    // Requests that are gone keep their row until the wheel comes to them.
    const rows = slots + Math.ceil(size.rate * 8);
    this.#state = new Uint8Array(rows);
    this.#next = new Int32Array(rows);
    this.#serialOf = new Int32Array(rows);
    this.#consumer = new Int32Array(rows);
    this.#node = new Int32Array(rows);
    this.#pool = new Int32Array(rows);
    this.#entry = new Uint8Array(rows);
    this.#began = new Int32Array(rows);
    this.#charge = new Int32Array(rows);
    const { consumers } = size;
    this.#opening = new Float64Array(consumers);
    this.#held = new Float64Array(consumers);
    this.#lease = new Float64Array(consumers);
    this.#chargedTo = new Float64Array(consumers);
    this.#waiting = new Float64Array(consumers);
    this.#chargedBy = new Float64Array(cells);
    for (let consumer = 0; consumer < consumers; consumer++) {
      // A few are nearly broke, and keep what they have at home; the others can pay for hours of the busiest.
      const broke = consumer % size.brokeOneIn === size.brokeOneIn - 1;
      const balance = broke ? 5 * HOLD : 1e13;
      this.#opening[consumer] = balance;
      this.#lease[consumer] = broke ? 0 : this.#leaseFor(consumer, balance);
    }
    this.#available = this.#opening.map((balance, consumer) => balance - this.#lease[consumer]!);
    const ms = options.phases.reduce((sum, phase) => sum + phase.ms, 0);
    const requests = slots + Math.ceil((size.rate * 1.8 * ms) / 1_000) + 100_000;
    this.#ends = new Uint8Array(requests);
    this.#charges = new Uint8Array(requests);
    if (options.sampledCell !== undefined)
      this.#sampled = new SampledCell(world, options.sampledCell, this.#random);
  }

  run(): WindowResult {
    const { phases, lose, lost } = this.#o;
    if (lost !== undefined) this.#loseRegion(lost);
    if (lost !== undefined) this.#reroutedMs = 0;
    this.#begin();
    let until = 0;
    phases.forEach(({ ms }, phase) => {
      this.#phase = phase;
      until += ms;
      for (; this.#now < until; this.#now++) {
        if (lose?.atMs === this.#now) this.#loseRegion(lose.region);
        if (this.#now % GOSSIP_MS === 0) this.#gossip();
        this.#endDue();
        this.#arrive();
        if (this.#now % LOOK_MS === 0) this.#look();
      }
    });
    const arrivedUntil = this.#now;
    while (this.#running > 0 && this.#now < arrivedUntil + WHEEL_MS) {
      this.#endDue();
      this.#now += 1;
    }
    this.#promote();
    this.#audit();
    return {
      tallies: this.#tallies,
      hash: this.#digest.hex(),
      events: this.#events,
      requests: this.#serial,
      violations: this.#violations,
      fillAtRefusal: this.#fillAtRefusal,
      charged: this.#charged,
      chargedBy: this.#chargedBy,
      choices: this.#sampled?.chosen ?? 0,
    };
  }

  /**
   * Everything that would be under way by now, had the market been running: ends are without memory, so they begin anew. In
   * many small helpings, so that nobody's work is in place before others' is.
   */
  #begin(): void {
    const { size, models, popularity, serviceS } = this.#world;
    for (let helping = 0; helping < HELPINGS; helping++) {
      this.#gossip();
      for (let region = 0; region < size.regions.length; region++) {
        const part = demandOf(this.#world, region, this.#o.hour) / HELPINGS;
        for (let model = 0; model < models; model++) {
          const count = poisson(part * popularity[model]! * serviceS[model]!, this.#random);
          for (let i = 0; i < count; i++) this.#ask(region, model, false);
        }
      }
    }
  }

  #arrive(): void {
    const { regions } = this.#world.size;
    for (let region = 0; region < regions.length; region++) {
      const count = poisson(demandOf(this.#world, region, this.#o.hour) / 1_000, this.#random);
      for (let i = 0; i < count; i++) {
        this.#ask(region, this.#modelTable[(this.#random.float() * 65_536) | 0]!, true);
      }
    }
  }

  /** A request: where it enters, whose money, who serves it. */
  #ask(region: number, model: number, choosing: boolean): void {
    const { home, second, geography } = this.#world;
    const tally = choosing ? this.#tallies[this.#phase]! : this.#before;
    const serial = this.#serial++;
    const consumer = consumerOf(this.#world, region, this.#random.float());
    tally.asked += 1;
    this.#events += 1;
    const travels = this.#random.float() < TRAVELLING;
    let entry = travels ? second[consumer]! : home[consumer]!;
    let addedMs = 0;
    if (this.#isLost(entry)) {
      if (this.#now < this.#reroutedMs) return this.#refuse(serial, tally, 'unreached');
      const there = geography.regionOf[entry]!;
      entry = travels ? home[consumer]! : second[consumer]!;
      addedMs += geography.roundTripMs[there]![geography.regionOf[entry]!]!;
    }
    const paid = this.#hold(consumer, entry);
    if (paid < 0) return this.#refuse(serial, tally, paid === -1 ? 'short' : 'noLease');
    addedMs += paid;
    const cell = this.#findRoom(entry, model);
    if (cell < 0) {
      this.#unhold(consumer, entry);
      this.#noteRefusal(model);
      return this.#refuse(serial, tally, 'noRoom');
    }
    addedMs += this.#knockedMs;
    this.#start({ serial, consumer, entry, cell, model, choosing });
    noteTaken(tally, this.#world, consumer, entry, cell);
    noteAdded(tally, addedMs);
  }

  #isLost(cell: number): boolean {
    return this.#lost >= 0 && this.#world.geography.regionOf[cell] === this.#lost;
  }

  #refuse(serial: number, tally: Tally, why: 'noRoom' | 'unreached' | 'noLease' | 'short'): void {
    tally[why] += 1;
    this.#end(serial);
    this.#digest.add(serial);
    this.#digest.add(why.length);
  }

  #end(serial: number, how = 0): void {
    if (this.#o.sabotage === 'forgets-a-request' && serial % 1_000 === 7) return;
    this.#ends[serial]! += 1 + how;
  }

  // Money -------------------------------------------------------------------------------------------------------------

  /** Sets money aside for one request. The milliseconds that took; -1: there is not enough; -2: nobody can be asked. */
  #hold(consumer: number, entry: number): number {
    const home = this.#world.home[consumer]!;
    if (entry === home) {
      if (this.#available[consumer]! < HOLD) return -1;
      this.#available[consumer]! -= HOLD;
      this.#held[consumer]! += HOLD;
      return 0;
    }
    let tookMs = 0;
    if (this.#lease[consumer]! < HOLD) {
      if (this.#isLost(home)) return -2;
      if (this.#available[consumer]! < HOLD) return -1;
      const grant = Math.max(HOLD, this.#leaseFor(consumer, this.#available[consumer]!));
      if (this.#o.sabotage !== 'gives-a-lease-twice') this.#available[consumer]! -= grant;
      this.#lease[consumer]! += grant;
      const { regionOf, roundTripMs } = this.#world.geography;
      tookMs = roundTripMs[regionOf[entry]!]![regionOf[home]!]!;
    }
    this.#lease[consumer]! -= HOLD;
    this.#held[consumer]! += HOLD;
    return tookMs;
  }

  /** As `src/ledger/holds.ts` sizes a purse: a minute at the consumer's pace or 64 requests, bounded, and half of what there is. */
  #leaseFor(consumer: number, available: number): number {
    const region = this.#world.geography.regionOf[this.#world.home[consumer]!]!;
    const perSecond = demandOf(this.#world, region, this.#o.hour) * partOf(this.#world, region, consumer);
    const minute = 60 * perSecond * (CHARGE_MIN + CHARGE_SPREAD / 2);
    const wanted = Math.min(EXPOSURE_MAX, Math.max(REQUESTS_AHEAD * HOLD, minute));
    return Math.floor(Math.min(wanted, available / 2));
  }

  #unhold(consumer: number, entry: number, charge = 0): void {
    this.#held[consumer]! -= HOLD;
    if (entry === this.#world.home[consumer]) this.#available[consumer]! += HOLD - charge;
    else this.#lease[consumer]! += HOLD - charge;
  }

  /** A charge goes to the home cell's ledger: at once, or when somebody keeps that ledger again. */
  #chargeFor(row: number): void {
    const consumer = this.#consumer[row]!;
    const charge = this.#charge[row]!;
    this.#charges[this.#serialOf[row]!]! += 1;
    const home = this.#world.home[consumer]!;
    if (this.#isLost(home)) this.#waiting[consumer]! += charge;
    else {
      const cell = Math.floor(this.#pool[row]! / this.#world.models);
      this.#post(this.#o.sabotage === 'charges-where-it-serves' ? cell : home, consumer, charge);
    }
  }

  #post(ledger: number, consumer: number, charge: number): void {
    this.#chargedBy[ledger]! += charge;
    this.#chargedTo[consumer]! += charge;
    this.#charged += charge;
    if (this.#checks++ % (this.#o.checkEvery ?? 1) !== 0) return;
    const { firstConsumer, geography } = this.#world;
    let region = 0;
    while (consumer >= firstConsumer[region + 1]!) region += 1;
    if (ledger !== homeCell(consumer, region, geography))
      this.#violate(`consumer ${consumer} was charged by the ledger of cell ${ledger}`);
  }

  /** The lost cells' ledgers are kept by their standbys from now on: they post what waited. */
  #promote(): void {
    for (let consumer = 0; consumer < this.#waiting.length; consumer++) {
      const charge = this.#waiting[consumer]!;
      if (charge === 0) continue;
      this.#waiting[consumer] = 0;
      this.#post(this.#world.home[consumer]!, consumer, charge);
    }
  }

  // Room --------------------------------------------------------------------------------------------------------------

  #knockedMs = 0;

  /** The cell that takes a request for `model` which entered `entry`; -1: none of those that were asked. */
  #findRoom(entry: number, model: number): number {
    const { models, slots, strangers, spill, geography } = this.#world;
    const own = entry * models + model;
    this.#knockedMs = IN_CELL_MS;
    if (this.#used[own]! < slots[own]!) return entry;
    const order = spill[own]!;
    const beliefs = entry * this.#used.length;
    const region = geography.regionOf[entry]!;
    const stays = this.#o.sabotage === 'stays-in-its-region';
    let next = 0;
    for (let knocks = 1; knocks <= KNOCKS_MAX; knocks++) {
      // The nearest that is believed to have room; the last knock is at the one believed to have the most, wherever it is.
      let best = -1;
      let mostRoom = Number.NEGATIVE_INFINITY;
      for (let i = knocks < KNOCKS_MAX ? next : 0; i < order.length; i++) {
        const pool = order[i]! * models + model;
        if (stays && geography.regionOf[order[i]!] !== region) continue;
        const room = strangers[pool]! - this.#believed[beliefs + pool]!;
        if (room <= (knocks < KNOCKS_MAX ? 0 : mostRoom)) continue;
        best = order[i]!;
        mostRoom = room;
        if (knocks === KNOCKS_MAX) continue;
        next = i + 1;
        break;
      }
      if (best < 0) {
        // Nobody is believed to have room: on to the last knock, for beliefs are old by then.
        if (knocks === KNOCKS_MAX) return -1;
        knocks = KNOCKS_MAX - 1;
        continue;
      }
      const pool = best * models + model;
      this.#knockedMs += geography.roundTripMs[region]![geography.regionOf[best]!]!;
      const reached = !this.#isLost(best);
      const taken = this.#used[pool]! < strangers[pool]! || this.#o.sabotage === 'ignores-capacity';
      // The answer says how full it is, whatever the answer.
      this.#believed[beliefs + pool] = reached ? this.#used[pool]! : slots[pool]!;
      if (reached && taken) return best;
    }
    return -1;
  }

  #noteRefusal(model: number): void {
    const fill = this.#usedOf[model]! / this.#slotsOf[model]!;
    if (fill < this.#fillAtRefusal) this.#fillAtRefusal = fill;
    if (fill < FULL)
      this.#violate(`model ${model} was refused while its nodes were ${(fill * 100).toFixed(1)} % full`);
  }

  #gossip(): void {
    const pools = this.#used.length;
    for (let cell = 0; cell < this.#world.cells; cell++) this.#believed.set(this.#used, cell * pools);
    if (this.#lost < 0) return;
    for (let pool = 0; pool < pools; pool++) {
      if (!this.#isLost(Math.floor(pool / this.#world.models))) continue;
      for (let cell = 0; cell < this.#world.cells; cell++)
        this.#believed[cell * pools + pool] = this.#world.slots[pool]!;
    }
  }

  // Nodes and requests ------------------------------------------------------------------------------------------------

  #start(asked: Asked): void {
    const { models, serviceS } = this.#world;
    const pool = asked.cell * models + asked.model;
    const node = this.#takeNode(pool, asked);
    let row = this.#freeHead;
    if (row >= 0) this.#freeHead = this.#next[row]!;
    else row = this.#highest++;
    this.#state[row] = RUNNING;
    this.#serialOf[row] = asked.serial;
    this.#consumer[row] = asked.consumer;
    this.#entry[row] = asked.entry;
    this.#node[row] = node;
    this.#pool[row] = pool;
    this.#began[row] = asked.choosing ? this.#now : -FIRST_CONTENT_MS;
    this.#charge[row] = CHARGE_MIN + Math.floor(CHARGE_SPREAD * this.#random.float());
    const lasts = -Math.log(1 - this.#random.float()) * serviceS[asked.model]! * 1_000;
    const due = (this.#now + Math.max(1, Math.min(WHEEL_MS - 1, Math.round(lasts)))) % WHEEL_MS;
    this.#next[row] = this.#wheel[due]!;
    this.#wheel[due] = row;
    this.#running += 1;
    this.#digest.add(asked.serial);
    this.#digest.add(node);
  }

  #takeNode(pool: number, asked: Asked): number {
    const { slots, strangers, nodeSlots, firstNode } = this.#world;
    this.#used[pool]! += 1;
    this.#usedOf[asked.model]! += 1;
    const most = asked.cell === asked.entry ? slots[pool]! : strangers[pool]!;
    if (this.#used[pool]! > most)
      this.#violate(
        `cell ${asked.cell} has ${this.#used[pool]} of ${most} under way for model ${asked.model}`,
      );
    const sampled = asked.cell === this.#o.sampledCell ? this.#sampled : undefined;
    const first = firstNode[pool]!;
    const count = this.#withRoomCount[pool]!;
    let node = -1;
    if (sampled && asked.choosing && asked.serial % CHOOSE_EVERY === 0)
      node = sampled.choose(asked.model, this.#now);
    else if (count > 0) {
      node = this.#withRoom[first + Math.floor(this.#random.float() * count)]!;
      const other = this.#withRoom[first + Math.floor(this.#random.float() * count)]!;
      if (this.#inFlight[other]! * nodeSlots[node]! < this.#inFlight[node]! * nodeSlots[other]!) node = other;
    }
    if (node < 0) {
      this.#violate(`nobody of cell ${asked.cell} could be chosen for model ${asked.model}`);
      node = first;
    }
    this.#inFlight[node]! += 1;
    if (this.#inFlight[node]! > nodeSlots[node]!) this.#violate(`node ${node} has more than it takes`);
    if (this.#inFlight[node] === nodeSlots[node]) this.#leaveRoom(node, first, pool);
    sampled?.began(node);
    return node;
  }

  #leaveRoom(node: number, first: number, pool: number): void {
    this.#withRoomCount[pool]! -= 1;
    const at = this.#place[node]!;
    const end = first + this.#withRoomCount[pool]!;
    const moved = this.#withRoom[end]!;
    this.#withRoom[at] = moved;
    this.#place[moved] = at;
    this.#withRoom[end] = node;
    this.#place[node] = end;
  }

  #freeNode(row: number): void {
    const node = this.#node[row]!;
    const pool = this.#pool[row]!;
    const { models, nodeSlots, firstNode } = this.#world;
    const cell = Math.floor(pool / models);
    if (this.#inFlight[node] === nodeSlots[node]) {
      // Back among those with room: it changes places with the first that has none.
      const end = firstNode[pool]! + this.#withRoomCount[pool]!;
      const at = this.#place[node]!;
      const moved = this.#withRoom[end]!;
      this.#withRoom[at] = moved;
      this.#place[moved] = at;
      this.#withRoom[end] = node;
      this.#place[node] = end;
      this.#withRoomCount[pool]! += 1;
    }
    this.#inFlight[node]! -= 1;
    this.#used[pool]! -= 1;
    if (!this.#isLost(cell)) this.#usedOf[pool % models]! -= 1;
    if (cell === this.#o.sampledCell) this.#sampled?.ended(node, this.#now);
  }

  #endDue(): void {
    const due = this.#now % WHEEL_MS;
    let row = this.#wheel[due]!;
    this.#wheel[due] = -1;
    while (row >= 0) {
      const next = this.#next[row]!;
      if (this.#state[row] === RUNNING) this.#complete(row);
      this.#state[row] = FREE;
      this.#next[row] = this.#freeHead;
      this.#freeHead = row;
      row = next;
    }
  }

  #complete(row: number): void {
    this.#events += 1;
    this.#running -= 1;
    this.#freeNode(row);
    this.#unhold(this.#consumer[row]!, this.#entry[row]!, this.#charge[row]);
    this.#chargeFor(row);
    this.#end(this.#serialOf[row]!, SERVED);
    this.#digest.add(this.#serialOf[row]!);
  }

  // A region is lost --------------------------------------------------------------------------------------------------

  /**
   * Whatever entered there ends. What entered elsewhere and is served there goes to another node if nothing was answered
   * yet, and ends otherwise. Nobody is charged for what broke.
   */
  #loseRegion(region: number): void {
    const { models, geography, cells } = this.#world;
    for (let cell = 0; cell < cells; cell++) {
      if (geography.regionOf[cell] !== region) continue;
      for (let model = 0; model < models; model++) {
        const pool = cell * models + model;
        this.#slotsOf[model]! -= this.#world.slots[pool]!;
        this.#usedOf[model]! -= this.#used[pool]!;
      }
    }
    this.#lost = region;
    this.#reroutedMs = this.#now + REROUTE_MS;
    const highest = this.#highest;
    for (let row = 0; row < highest; row++) {
      if (this.#state[row] !== RUNNING) continue;
      const entry = this.#entry[row]!;
      const pool = this.#pool[row]!;
      const cell = Math.floor(pool / models);
      if (!this.#isLost(entry) && !this.#isLost(cell)) continue;
      this.#breakOff(row, entry, pool % models);
    }
  }

  #breakOff(row: number, entry: number, model: number): void {
    const serial = this.#serialOf[row]!;
    const consumer = this.#consumer[row]!;
    this.#events += 1;
    this.#running -= 1;
    this.#freeNode(row);
    this.#state[row] = GONE;
    const fresh = this.#now - this.#began[row]! < FIRST_CONTENT_MS;
    const cell = !this.#isLost(entry) && fresh ? this.#findRoom(entry, model) : -1;
    if (cell >= 0) {
      this.#start({ serial, consumer, entry, cell, model, choosing: true });
      this.#tallies[this.#phase]!.movedOn += 1;
      if (this.#o.sabotage === 'ends-twice') this.#end(serial);
      return;
    }
    this.#unhold(consumer, entry);
    this.#tallies[this.#phase]!.broken += 1;
    this.#end(serial);
    this.#digest.add(~serial);
  }

  // What must hold ----------------------------------------------------------------------------------------------------

  #look(): void {
    const { cells, models, slots } = this.#world;
    const tally = this.#tallies[this.#phase]!;
    for (let cell = 0; cell < cells; cell++) {
      if (this.#isLost(cell)) continue;
      for (let pool = cell * models; pool < (cell + 1) * models; pool++) {
        tally.used[cell]! += this.#used[pool]!;
        tally.there[cell]! += slots[pool]!;
      }
    }
  }

  #audit(): void {
    for (let serial = 0; serial < this.#serial; serial++) {
      const end = this.#ends[serial]!;
      if (end % SERVED !== 1) this.#violate(`request ${serial} ended ${end % SERVED} times`);
      if (this.#charges[serial] !== (end > SERVED ? 1 : 0))
        this.#violate(`request ${serial} was charged ${this.#charges[serial]} times`);
    }
    for (let consumer = 0; consumer < this.#opening.length; consumer++) {
      const [available, lease, held] = [
        this.#available[consumer]!,
        this.#lease[consumer]!,
        this.#held[consumer]!,
      ];
      const charged = this.#chargedTo[consumer]! + this.#waiting[consumer]!;
      if (available < 0 || lease < 0 || held !== 0)
        this.#violate(
          `consumer ${consumer} ended with ${available} available, ${lease} leased, ${held} held`,
        );
      if (available + lease + held + charged !== this.#opening[consumer])
        this.#violate(`the money of consumer ${consumer} does not add up`);
    }
    if (this.#running !== 0) this.#violate(`${this.#running} requests never ended`);
  }

  #violate(what: string): void {
    const kind = what.replace(/[\d.]+/g, 'n');
    const count = (this.#violationsOf.get(kind) ?? 0) + 1;
    this.#violationsOf.set(kind, count);
    if (count <= 5) this.#violations.push(`${this.#now} ms: ${what}`);
  }
}

function noteTaken(tally: Tally, world: World, consumer: number, entry: number, cell: number): void {
  const { regionOf } = world.geography;
  tally.taken += 1;
  tally.pairs[entry * world.cells + cell]! += 1;
  if (cell === world.home[consumer]) tally.inHome += 1;
  if (cell === entry) tally.inEntry += 1;
  else if (regionOf[cell] === regionOf[entry]) tally.inRegion += 1;
  else tally.far += 1;
}

/** A table in which each model has as many of 65,536 places as its part. */
function tableOf(popularity: Float64Array): Uint8Array {
  const table = new Uint8Array(65_536);
  let sum = 0;
  let from = 0;
  popularity.forEach((part, model) => {
    sum += part;
    const until = Math.round(sum * table.length);
    table.fill(model, from, until);
    from = until;
  });
  return table;
}
