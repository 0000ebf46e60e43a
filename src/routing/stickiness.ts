/**
 * Which node served a conversation last: it still has the conversation's prefix in its cache, so the next turn starts
 * sooner there. A table of hashed conversations, bounded, forgotten after some idle minutes. The key's maker puts the
 * consumer into it, so that nobody is led to a node by another's conversation.
 */
export class Stickiness {
  readonly #idleMs: number;
  readonly #sizeMax: number;
  /** In the order of last use: the oldest comes first. */
  readonly #nodes = new Map<string, { nodeId: string; usedMs: number }>();

  constructor(bounds: { idleMs: number; sizeMax: number }) {
    this.#idleMs = bounds.idleMs;
    this.#sizeMax = bounds.sizeMax;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** The node that served `conversation` within the idle time. */
  nodeOf(conversation: string, nowMs: number): string | undefined {
    const known = this.#nodes.get(conversation);
    if (!known) return undefined;
    if (nowMs - known.usedMs < this.#idleMs) return known.nodeId;
    this.#nodes.delete(conversation);
    return undefined;
  }

  /** Notes that `nodeId` serves `conversation` now. */
  note(conversation: string, nodeId: string, nowMs: number): void {
    this.#nodes.delete(conversation);
    this.#nodes.set(conversation, { nodeId, usedMs: nowMs });
    for (const [oldest, { usedMs }] of this.#nodes) {
      if (this.#nodes.size <= this.#sizeMax && nowMs - usedMs < this.#idleMs) break;
      this.#nodes.delete(oldest);
    }
  }
}
