import { CHAT_ONLY } from '#domain/operation.ts';
import type { Randomness } from '#kit/random.ts';
import { newBreaker } from '#routing/breaker.ts';
import type { Candidate, Need } from '#routing/candidate.ts';
import { choose } from '#routing/choose.ts';
import { newRecord, noteOutcome, noteTtft } from '#routing/score.ts';
import { healthAware } from '#routing/strategies/health-aware.ts';
import type { World } from './world.ts';

/**
 * One cell in which the product's own routing (`src/routing/choose.ts`) chooses the node of every request, over all nodes
 * that serve the model there. The other cells take the emptier of two nodes at random, which costs a hundredth: with both
 * side by side it shows whether that makes a difference to what is counted.
 */
export class SampledCell {
  readonly #candidates: Candidate[][] = [];
  readonly #node = new Map<Candidate, number>();
  readonly #byNode = new Map<number, Candidate>();
  readonly #needs: Need[] = [];
  readonly #strategy = healthAware();
  readonly #random: Randomness;
  chosen = 0;

  constructor(world: World, cell: number, random: Randomness) {
    this.#random = random;
    for (let model = 0; model < world.models; model++) {
      const pool = cell * world.models + model;
      const candidates: Candidate[] = [];
      for (let node = world.firstNode[pool]!; node < world.firstNode[pool + 1]!; node++) {
        const candidate = candidateOf(node, world.nodeSlots[node]!, random);
        candidates.push(candidate);
        this.#node.set(candidate, node);
        this.#byNode.set(node, candidate);
      }
      this.#candidates.push(candidates);
      this.#needs.push({ modelId: `model-${model}`, operations: CHAT_ONLY, requestBytes: 1_000 });
    }
  }

  /** The node that routing chooses; -1: it finds none. */
  choose(model: number, nowMs: number): number {
    const choice = { strategy: this.#strategy, nowMs, random: this.#random };
    const { picks } = choose(this.#needs[model]!, this.#candidates[model]!, choice);
    this.chosen += 1;
    return picks[0] === undefined ? -1 : this.#node.get(picks[0])!;
  }

  began(node: number): void {
    this.#move(node, 1);
  }

  ended(node: number, nowMs: number): void {
    const { record } = this.#move(node, -1);
    noteOutcome(record, true, nowMs);
    noteTtft(record, 150 + 700 * this.#random.float());
  }

  #move(node: number, by: 1 | -1): Candidate {
    const candidate = this.#byNode.get(node)!;
    candidate.inFlight += by;
    candidate.linkInFlight += by;
    return candidate;
  }
}

function candidateOf(node: number, slots: number, random: Randomness): Candidate {
  return {
    id: `${node}/model`,
    linkId: `link-${node}`,
    nodeId: `node-${node}`,
    providerId: `provider-${node}`,
    providerNames: [],
    mode: 'websocket',
    health: 'healthy',
    eligible: true,
    ineligibleBecause: undefined,
    behind: undefined,
    draining: false,
    inFlight: 0,
    linkInFlight: 0,
    capacity: slots,
    linkCapacity: slots,
    operations: CHAT_ONLY,
    maxRequestBytes: 1_000_000,
    vramGb: random.float() < 0.3 ? 80 : 24,
    quantization: null,
    parameters: null,
    version: null,
    region: null,
    dataPolicy: 'unstated',
    ask: null,
    connectedAtMs: -3_600_000,
    breaker: newBreaker(),
    record: { ...newRecord(), ttftMs: 150 + 700 * random.float() },
  };
}
