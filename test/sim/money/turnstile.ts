/** Whoever works in a process: it goes on only when what it asked for is answered, and never again once it is dead. */
export interface Actor {
  readonly name: string;
  dead: boolean;
  /** Under way with something. */
  busy: boolean;
}

export interface Passage {
  readonly actor: Actor;
  /** What it asks, and of whom: `database`, `commit` (a transaction) or the name of a call of the chain. */
  readonly what: string;
  readonly run: () => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Everything that processes ask of the database and the chain waits here, and the world lets one through at a time, in an
 * order drawn from the seed. So the real code runs against a real database, and yet each interleaving is a choice that the
 * same seed makes again.
 */
export class Turnstile {
  #waiting: Passage[] = [];

  pass<T>(actor: Actor, what: string, run: () => Promise<T>): Promise<T> {
    // Of the dead nobody is answered.
    if (actor.dead) return new Promise(() => {});
    return new Promise<T>((resolve, reject) => {
      const answered = resolve as (value: unknown) => void;
      this.#waiting.push({ actor, what, run, resolve: answered, reject });
    });
  }

  get waiting(): readonly Passage[] {
    return this.#waiting;
  }

  take(passage: Passage): void {
    this.#waiting = this.#waiting.filter((one) => one !== passage);
  }

  /** What the dead still asked for is never done. */
  forget(dead: (actor: Actor) => boolean): void {
    this.#waiting = this.#waiting.filter(({ actor }) => !dead(actor));
  }

  /** Resolves when everybody who is under way waits here. */
  async parked(actors: () => Iterable<Actor>): Promise<void> {
    for (;;) {
      await new Promise(setImmediate);
      let moving = false;
      for (const actor of actors()) {
        if (actor.busy && !actor.dead && !this.#waiting.some((one) => one.actor === actor)) moving = true;
      }
      if (!moving) return;
    }
  }
}
