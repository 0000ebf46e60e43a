import type { Transport, TransportListener } from '#hub/transport.ts';
import type { VirtualClock } from '#support/virtual-clock.ts';

const FULL_BYTES = 10_000_000;

interface Sent {
  readonly data: string | Buffer;
  readonly text: boolean;
  readonly dueMs: number;
}

/** What the agent's end of a wire hears. */
export interface AgentEar {
  message(data: string | Buffer): void;
  closed(): void;
}

/**
 * A connection between an agent and a hub: ordered, delayed, whole messages, and it can be cut (both hear it), turn into
 * a black hole (nobody hears anything) or lose one end with its process.
 */
export class Wire implements Transport {
  readonly address: string;
  bufferedBytes = 0;
  readonly #clock: VirtualClock;
  readonly #latencyMs: number;
  readonly #agent: AgentEar;
  #hub: TransportListener | undefined;
  #toAgent: Sent[] = [];
  #toHub: Sent[] = [];
  #carrying = { agent: false, hub: false };
  #closed = false;
  #blackHole = false;
  /** The hub's process: its end is silent once that is dead. */
  readonly #hubDead: () => boolean;
  /** Set by a sabotaged world: what the hub sends passes through it. */
  tamper: ((data: string | Buffer) => boolean) | undefined;

  constructor(parts: {
    clock: VirtualClock;
    address: string;
    latencyMs: number;
    agent: AgentEar;
    hubDead: () => boolean;
  }) {
    this.#clock = parts.clock;
    this.address = parts.address;
    this.#latencyMs = parts.latencyMs;
    this.#agent = parts.agent;
    this.#hubDead = parts.hubDead;
  }

  get open(): boolean {
    return !this.#closed;
  }

  get isBlackHole(): boolean {
    return this.#blackHole;
  }

  // --- the hub's end --------------------------------------------------------------------------------------------------

  listen(listener: TransportListener): void {
    this.#hub = listener;
  }

  send(data: string | Buffer, text = typeof data === 'string'): void {
    if (this.#closed || this.#blackHole) return;
    if (this.tamper && !this.tamper(data)) return;
    this.#toAgent.push({ data, text, dueMs: this.#clock.nowMs() + this.#latencyMs });
    if (!this.#carrying.agent) this.#carryToAgent();
  }

  flush(): void {}

  trust(): void {}

  close(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#hubDead()) this.#hub?.closed(code);
    if (!this.#blackHole) this.#clock.after(this.#latencyMs, () => this.#agent.closed());
  }

  terminate(): void {
    this.close(1006);
  }

  // --- the agent's end ------------------------------------------------------------------------------------------------

  say(data: string | Buffer): void {
    if (this.#closed || this.#blackHole) return;
    this.#toHub.push({
      data,
      text: typeof data === 'string',
      dueMs: this.#clock.nowMs() + this.#latencyMs,
    });
    if (!this.#carrying.hub) this.#carryToHub();
  }

  /** The agent goes away: what it sent before still arrives. */
  hangUp(): void {
    if (this.#closed) return;
    this.#clock.after(this.#latencyMs, () => this.cut());
  }

  // --- what happens to it ---------------------------------------------------------------------------------------------

  /** The connection breaks: what was under way is lost, both ends hear it. */
  cut(): void {
    this.#toAgent = [];
    this.#toHub = [];
    this.close(1006);
  }

  /** The hub's socket takes no more for a while: what it sends waits in its buffer. */
  fill(forMs: number): void {
    this.bufferedBytes = FULL_BYTES;
    this.#clock.after(forMs, () => {
      this.bufferedBytes = 0;
      if (!this.#closed && !this.#hubDead()) this.#hub?.drained();
    });
  }

  /** Nothing arrives any more and nobody is told. */
  becomeBlackHole(): void {
    this.#blackHole = true;
  }

  /** The hub's process is gone; the agent's side hears of it. */
  hubDied(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#blackHole) this.#clock.after(this.#latencyMs, () => this.#agent.closed());
  }

  #carryToAgent(): void {
    const first = this.#toAgent[0];
    this.#carrying.agent = first !== undefined;
    if (!first) return;
    this.#clock.after(Math.max(0, first.dueMs - this.#clock.nowMs()), () => {
      const nowMs = this.#clock.nowMs();
      while (this.#toAgent.length > 0 && (this.#toAgent[0] as Sent).dueMs <= nowMs) {
        const { data, text } = this.#toAgent.shift() as Sent;
        if (!this.#blackHole) this.#agent.message(text ? data.toString() : data);
      }
      this.#carryToAgent();
    });
  }

  #carryToHub(): void {
    const first = this.#toHub[0];
    this.#carrying.hub = first !== undefined;
    if (!first) return;
    this.#clock.after(Math.max(0, first.dueMs - this.#clock.nowMs()), () => {
      const nowMs = this.#clock.nowMs();
      while (this.#toHub.length > 0 && (this.#toHub[0] as Sent).dueMs <= nowMs) {
        const { data, text } = this.#toHub.shift() as Sent;
        if (this.#closed || this.#blackHole || this.#hubDead()) continue;
        this.#hub?.message(typeof data === 'string' ? Buffer.from(data) : data, !text);
      }
      this.#carryToHub();
    });
  }
}
