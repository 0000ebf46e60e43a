import type { Logger } from '#kit/log.ts';
import type { VirtualClock } from '#support/virtual-clock.ts';
import type { Chance } from '../chance.ts';
import type { SimulatedDisk } from './disk.ts';
import { Life, type LifeParts } from './life.ts';
import { ProcessClock } from './process-clock.ts';
import type { Asker } from './store.ts';
import type { Wire } from './wire.ts';

/** What a host is told by the world, and tells it. */
export interface HostWatch {
  began(host: Host): void;
  died(host: Host): void;
  /** It was asked to stop and has done so. */
  stopped(host: Host): void;
}

type LifeNeeds = Omit<LifeParts, 'asker' | 'clock' | 'chance' | 'log' | 'disk'>;

/**
 * A place where a market process lives, dies and is started again. The disk and the name stay; everything else of a life
 * goes with it.
 */
export class Host {
  readonly name: string;
  readonly disk: SimulatedDisk;
  /** Serving; undefined while it is down or starting. */
  life: Life | undefined;
  /** It takes no more work. */
  closing = false;
  /** How far its wall clock is from the world's. */
  wallOffsetMs = 0;
  readonly wires = new Set<Wire>();
  lives = 0;
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #watch: HostWatch;
  readonly #needs: LifeNeeds;
  readonly #log: Logger;
  #mark: Mark | undefined;

  constructor(parts: {
    name: string;
    disk: SimulatedDisk;
    clock: VirtualClock;
    chance: Chance;
    watch: HostWatch;
    needs: LifeNeeds;
    log: Logger;
  }) {
    this.name = parts.name;
    this.disk = parts.disk;
    this.#clock = parts.clock;
    this.#chance = parts.chance;
    this.#watch = parts.watch;
    this.#needs = parts.needs;
    this.#log = parts.log;
  }

  /** Starts a life. A start that fails ends the process; it is started again after a while. */
  start(): void {
    if (this.#mark && !this.#mark.dead) return;
    if (this.#mark) this.#mark.replaced = true;
    const clock = new ProcessClock(this.#clock, () => this.wallOffsetMs);
    const mark = new Mark(`inst_${this.name}`, clock);
    this.#mark = mark;
    this.lives += 1;
    const chance = this.#chance.stream(`life ${this.lives}`);
    void Life.begin({ ...this.#needs, asker: mark, clock, chance, log: this.#log, disk: this.disk })
      .catch(() => undefined)
      .then((life) => {
        if (mark.dead) return undefined;
        this.life = life;
        if (life) this.#watch.began(this);
        else this.crash('process');
        return undefined;
      });
  }

  /** Asks the process to stop, as a deployment does. When it has, it is started again. */
  stop(graceMs: number): void {
    const { life } = this;
    const mark = this.#mark;
    if (!life || !mark || this.closing) return;
    this.closing = true;
    void life.close(graceMs).then(() => {
      if (mark.dead) return undefined;
      this.#watch.stopped(this);
      this.crash('process');
      return undefined;
    });
  }

  /** Everything in memory is gone. A supervisor starts the process again. */
  crash(whole: 'process' | 'machine'): void {
    const mark = this.#mark;
    if (!mark || mark.dead) return;
    this.closing = false;
    mark.clock.kill();
    this.disk.crash(whole);
    this.life?.forget();
    this.life = undefined;
    for (const wire of this.wires) wire.hubDied();
    this.wires.clear();
    this.#watch.died(this);
    this.#clock.after(this.#chance.ms(20, 900), () => this.start());
  }

  /** Is this asker the life that runs here now? */
  isHere(asker: Asker): boolean {
    return this.#mark === asker && !asker.dead;
  }

  /** An agent's connection. False when nobody listens. */
  accept(wire: Wire): boolean {
    if (!this.life) return false;
    this.wires.add(wire);
    this.life.hub.attach(wire, { closed: () => this.wires.delete(wire) });
    return true;
  }

  /** For the wires: the process behind it is the one that runs now, or it is dead. */
  deathOfPresent(): () => boolean {
    const mark = this.#mark;
    return () => mark === undefined || mark.dead;
  }
}

class Mark implements Asker {
  readonly instance: string;
  readonly clock: ProcessClock;
  replaced = false;

  constructor(instance: string, clock: ProcessClock) {
    this.instance = instance;
    this.clock = clock;
  }

  get dead(): boolean {
    return this.clock.dead;
  }
}
