import { type Clock, pause, type Timer } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { Logger } from '#kit/log.ts';
import { AWAY, type Line } from './line.ts';

/**
 * A pot is an amount that all gateways together may take from and never pass: places of a key, what a key may spend in a
 * day, the tokens of a plan's week. Each gateway leases a share of a pot and takes from it in memory; only when the share
 * does not suffice is Redis asked, by one atomic script.
 *
 * What must always hold: of every pot, the shares of all and what was spent never exceed its size, and what a gateway
 * has promised is within its share. A share beyond the need is at most half of what is left, so a small pot is divided by
 * need alone; it goes back when it has lain idle, and at once when another gateway misses it.
 *
 * Pots are of two kinds. Of *places*, nothing is spent: they come back when they are left, and those of a gateway that
 * died are free once its sign of life has run out. Pots that *keep* have spending: a dead gateway's share stays taken until
 * its next life, which has posted what was served by then and says what it came to. What each has spent is kept apart, by
 * owner, and always told as a whole.
 */
export class Pots {
  readonly #line: Line;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #shares = new Map<string, Share>();
  readonly #ticker: Timer;

  static async open(parts: { line: Line; clock: Clock; log: Logger }): Promise<Pots> {
    const pots = new Pots(parts);
    await parts.line.hear('recall', (name) => pots.#recalled(name));
    return pots;
  }

  private constructor(parts: { line: Line; clock: Clock; log: Logger }) {
    this.#line = parts.line;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#ticker = parts.clock.every(TICK_MS, () => this.#tick());
    parts.line.onRestart(() => this.#tellAll());
  }

  /**
   * Takes up to `most`, and not less than `least`: answers how much, zero when `least` is not there. `unavailable`: the
   * store could not be asked, and the share does not suffice. Give back what was taken with `settle`, exactly once.
   */
  take(pot: Pot, least: number, most = least): number | Promise<number | 'unavailable'> {
    const share = this.#shareOf(pot);
    const nowMs = this.#clock.nowMs();
    if (nowMs - share.usedAtMs > HOT_MS) share.recent = 0;
    share.recent += most;
    share.usedAtMs = nowMs;
    if (share.opened && share.waiters.length === 0) {
      const away = this.#line.away || (!pot.keeps && this.#line.forgotten);
      const room = away && !pot.keeps ? this.#shrunk(pot) : share.lease;
      if (room - share.reserved >= most) {
        share.reserved += most;
        return most;
      }
      if (away) {
        const left = Math.floor(room - share.reserved);
        if (!pot.keeps || left < least) return pot.keeps ? Promise.resolve('unavailable') : 0;
        share.reserved += left;
        return left;
      }
    }
    return new Promise((resolve) => {
      share.waiters.push({ least, most, resolve });
      if (!share.busy) void this.#serve(share);
    });
  }

  /** Ends a taking of `taken`: `spent` of it is gone for good, the rest is there again. Never fails. */
  settle(pot: Pot, taken: number, spent = 0): void {
    const share = this.#shareOf(pot);
    share.reserved -= taken;
    spend(share, spent);
    share.usedAtMs = this.#clock.nowMs();
    if (share.waiters.length > 0) serveFromLease(share, false);
    else if (share.usedAtMs < share.wantedUntilMs) this.#giveFree(share);
  }

  /** Notes spending that was not taken first (a refund is negative), where the pot is in use here. */
  noteSpent(name: string, amount: number): void {
    const share = this.#shares.get(name);
    if (share) spend(share, amount);
  }

  /** What is left, as far as this process knows; undefined before the pot was opened here. */
  left(pot: Pot): number | undefined {
    const share = this.#shares.get(pot.name);
    if (!share?.opened) return undefined;
    return Math.max(0, pot.size - share.othersHeld - share.othersSpent - share.spent - share.reserved);
  }

  /** Opens a pot that keeps, ahead of its first taking. False when that could not be done. */
  async prepare(pot: Pot): Promise<boolean> {
    const share = this.#shareOf(pot);
    if (share.opened) return true;
    try {
      await this.#open(share);
      return true;
    } catch (error) {
      this.#away(error);
      return false;
    }
  }

  /** Gives everything back that nobody needs here. */
  async close(): Promise<void> {
    this.#ticker.cancel();
    await Promise.all([...this.#shares.values()].map((share) => this.#tell(share, share.reserved)));
  }

  /** Of a pot of places, this gateway's part while nobody can be asked: the parts of all add up to the whole. */
  #shrunk(pot: Pot): number {
    const { of, index } = this.#line.place;
    const each = Math.floor(pot.size / of);
    return each + (index < pot.size - each * of ? 1 : 0);
  }

  #shareOf(pot: Pot): Share {
    let share = this.#shares.get(pot.name);
    if (!share) {
      share = {
        pot,
        lease: 0,
        reserved: 0,
        spent: 0,
        opened: !pot.keeps,
        opening: undefined,
        read: false,
        busy: false,
        waiters: [],
        usedAtMs: this.#clock.nowMs(),
        recent: 0,
        othersHeld: 0,
        othersSpent: 0,
        recalledAtMs: Number.NEGATIVE_INFINITY,
        wantedUntilMs: Number.NEGATIVE_INFINITY,
        untold: false,
      };
      this.#shares.set(pot.name, share);
    }
    // What was leased of a larger pot is not free any more; whoever needs it asks.
    if (pot.size < share.pot.size && share.lease > share.reserved) {
      share.lease = share.reserved;
      share.untold = true;
    }
    share.pot = pot;
    return share;
  }

  async #serve(share: Share): Promise<void> {
    share.busy = true;
    let recalls = 0;
    try {
      if (!share.opened) await this.#open(share);
      const waitMs = this.#line.settledAtMs - this.#clock.nowMs();
      if (waitMs > 0) await pause(this.#clock, waitMs);
      for (;;) {
        serveFromLease(share, false);
        const [first] = share.waiters;
        if (!first) break;
        let more = 0;
        for (const waiter of share.waiters) more += waiter.most;
        const need = share.reserved + first.least;
        const want = Math.max(share.lease, share.reserved + more);
        // Half of what was asked for in the last second: a cold pot is leased by need.
        const hot = share.recent > more * HOT_FROM && this.#clock.nowMs() > share.wantedUntilMs;
        const ahead = hot ? Math.ceil(share.recent / 2) : 0;
        const granted = await this.#set(share, { need, want, ahead });
        if (granted === 'unopened') {
          share.opened = false;
          await this.#open(share);
        } else if (granted === 'forgotten') {
          // Everybody says again what it holds, this share with its next asking.
          share.lease = share.reserved;
          await this.#line.beat();
          const settlesMs = this.#line.settledAtMs - this.#clock.nowMs();
          if (settlesMs > 0) await pause(this.#clock, settlesMs);
          if (!share.opened) await this.#open(share);
        } else if (granted !== 'short') serveFromLease(share, true);
        else {
          serveFromLease(share, false);
          if (share.waiters[0] !== first) continue;
          const nowMs = this.#clock.nowMs();
          if (share.othersHeld > 0 && (recalls > 0 || nowMs - share.recalledAtMs > RECALL_EACH_MS)) {
            if (recalls < RECALLS_MAX) {
              recalls += 1;
              share.recalledAtMs = nowMs;
              if (recalls === 1) this.#line.tell('recall', share.pot.name);
              await pause(this.#clock, RECALL_PAUSE_MS);
              continue;
            }
          }
          // Nobody who needs as much or more can fare better.
          const refused = share.waiters.filter(({ least }) => least >= first.least);
          share.waiters = share.waiters.filter(({ least }) => least < first.least);
          for (const { resolve } of refused) resolve(0);
        }
      }
    } catch (error) {
      this.#away(error);
      const waiters = share.waiters.splice(0);
      for (const waiter of waiters) {
        // Asked again, now that it is known that the store is away.
        const { pot } = share;
        const room = pot.keeps ? share.lease : this.#shrunk(pot);
        const left = share.opened ? Math.min(waiter.most, Math.floor(room - share.reserved)) : 0;
        if (left >= waiter.least) {
          share.reserved += left;
          waiter.resolve(left);
        } else waiter.resolve(pot.keeps ? 'unavailable' : 0);
      }
    }
    share.busy = false;
    if (share.waiters.length > 0) void this.#serve(share);
    else if (this.#clock.nowMs() < share.wantedUntilMs) this.#giveFree(share);
  }

  async #set(
    share: Share,
    { need, want, ahead, force = false }: { need: number; want: number; ahead: number; force?: boolean },
  ): Promise<number | 'short' | 'unopened' | 'forgotten'> {
    const { pot } = share;
    const told = share.spent;
    share.untold = false;
    let answer: [number, number, number];
    try {
      answer = await this.#line.run(
        'share',
        [`pot:${pot.name}`, 'epoch'],
        [
          this.#line.instance,
          told,
          need,
          want,
          ahead,
          pot.size,
          this.#keptMs(pot),
          pot.keeps ? '' : this.#line.key('alive:'),
          force ? 1 : 0,
          Math.max(0, share.lease),
          this.#line.epoch,
        ],
      );
    } catch (error) {
      share.untold = true;
      throw error;
    }
    const [granted, held, spent] = answer;
    if (granted === -2) return 'unopened';
    if (granted === -3) return 'forgotten';
    share.othersHeld = held;
    share.othersSpent = spent;
    if (granted < 0) return 'short';
    // What was spent meanwhile has left the lease.
    share.lease = granted - (share.spent - told);
    return granted;
  }

  /** Tells the store what this process holds of a pot and has spent; keeps `keep` of it. */
  async #tell(share: Share, keep: number): Promise<void> {
    if (this.#line.away || !share.opened || share.busy) return;
    share.busy = true;
    // From now on no more than that is promised, so that nothing is given back that is in use.
    const held = Math.max(keep, share.reserved);
    share.lease = held;
    try {
      if ((await this.#set(share, { need: held, want: held, ahead: 0, force: true })) === 'unopened')
        share.opened = false;
    } catch (error) {
      this.#away(error);
    }
    share.busy = false;
    if (share.waiters.length > 0) void this.#serve(share);
    else if (this.#clock.nowMs() < share.wantedUntilMs) this.#giveFree(share);
  }

  #open(share: Share): Promise<void> {
    share.opening ??= this.#openOnce(share).finally(() => {
      share.opening = undefined;
    });
    return share.opening;
  }

  async #openOnce(share: Share): Promise<void> {
    const { pot } = share;
    const { keeps } = pot;
    if (!keeps) return;
    const { instance } = this.#line;
    const spentAtFirst = share.spent;
    const before = await keeps.read();
    // Of this life, memory knows better than the books, which follow.
    if (!share.read) share.spent += (before.get(instance) ?? 0) - spentAtFirst;
    share.read = true;
    share.lease = share.reserved;
    const args: (string | number)[] = [instance, share.spent, share.reserved, this.#keptMs(pot)];
    for (const [who, amount] of before) if (who !== instance) args.push(who, amount);
    await this.#line.run('open', [`pot:${pot.name}`], args);
    share.opened = true;
  }

  #keptMs({ keeps }: Pot): number {
    return keeps
      ? Math.max(60_000, Math.ceil(keeps.untilMs - this.#clock.wallMs()) + 3_600_000)
      : PLACES_KEPT_MS;
  }

  /** Others miss something of this pot: what is free here goes back now, and what becomes free in the next moment too. */
  #recalled(name: string): void {
    const share = this.#shares.get(name);
    if (!share) {
      // What is held in this gateway's name, an earlier life of it left behind: it was killed, and came back before its sign
      // of life was over.
      this.#line.run('forget', [`pot:${name}`], [this.#line.instance]).catch((error) => this.#away(error));
      return;
    }
    share.wantedUntilMs = this.#clock.nowMs() + WANTED_MS;
    this.#giveFree(share);
  }

  #giveFree(share: Share): void {
    if (!share.busy && share.lease > share.reserved) void this.#tell(share, share.reserved);
  }

  /** The store may know nothing any more: everything is said again, before anybody is given anything. */
  #tellAll(): void {
    for (const share of this.#shares.values()) {
      if (!share.pot.keeps) void this.#tell(share, share.reserved);
      else {
        share.opened = false;
        void this.prepare(share.pot);
      }
    }
  }

  #tick(): void {
    if (this.#line.away) return;
    const nowMs = this.#clock.nowMs();
    const wallMs = this.#clock.wallMs();
    for (const [name, share] of this.#shares) {
      const { pot } = share;
      if (share.busy) continue;
      const idleMs = nowMs - share.usedAtMs;
      const spare = idleMs > IDLE_MS && share.lease > share.reserved;
      const over = pot.keeps ? wallMs > pot.keeps.untilMs + SPARE_MS : idleMs > PLACES_KEPT_MS;
      if (spare || share.untold) void this.#tell(share, spare ? share.reserved : share.lease);
      else if (over && share.reserved === 0) this.#shares.delete(name);
    }
  }

  #away(error: unknown): void {
    if (!(error instanceof Fault && error.code === AWAY))
      this.#log.warn({ err: error }, 'What was taken of a limit before could not be read.');
  }
}

/** An amount that all gateways share. */
export interface Pot {
  /** Unique among all pots, without line breaks. */
  readonly name: string;
  readonly size: number;
  /** Undefined: places. */
  readonly keeps?: {
    /** What was spent of it, by instance, as far as it is in the books. Asked once in a life, and after a loss. */
    readonly read: () => Promise<ReadonlyMap<string, number>>;
    /** When it is of no interest any more. Wall milliseconds. */
    readonly untilMs: number;
  };
}

interface Share {
  pot: Pot;
  /** Ours of the pot: promised or free. */
  lease: number;
  reserved: number;
  spent: number;
  opened: boolean;
  opening: Promise<void> | undefined;
  /** What was spent in earlier lives is included. */
  read: boolean;
  busy: boolean;
  waiters: Waiter[];
  usedAtMs: number;
  recent: number;
  othersHeld: number;
  othersSpent: number;
  recalledAtMs: number;
  /** Until then others miss something of it. */
  wantedUntilMs: number;
  /** There is spending that the store does not know. */
  untold: boolean;
}

interface Waiter {
  readonly least: number;
  readonly most: number;
  readonly resolve: (taken: number | 'unavailable') => void;
}

const TICK_MS = 500;
const IDLE_MS = 1_000;
const HOT_MS = 1_000;
/** A pot from which this many times the present need was taken lately is leased ahead. */
const HOT_FROM = 4;
const RECALLS_MAX = 4;
const RECALL_PAUSE_MS = 15;
const RECALL_EACH_MS = 250;
const WANTED_MS = 1_000;
const PLACES_KEPT_MS = 600_000;
const SPARE_MS = 3_600_000;

function spend(share: Share, amount: number): void {
  if (amount === 0) return;
  share.spent += amount;
  share.lease -= amount;
  share.untold = true;
}

/** `partly`: the store was asked just now, and there is no more than this. */
function serveFromLease(share: Share, partly: boolean): void {
  while (share.waiters.length > 0) {
    const [first] = share.waiters as [Waiter];
    const left = Math.floor(share.lease - share.reserved);
    const taken = left >= first.most ? first.most : partly && left >= first.least ? left : 0;
    if (taken === 0) return;
    share.waiters.shift();
    share.reserved += taken;
    first.resolve(taken);
  }
}
