import type { Randomness } from '#kit/random.ts';
import type { Candidate, Need } from './candidate.ts';
import {
  CIRCUIT_GATE,
  FRESH,
  GATES,
  gateOf,
  OPEN,
  type Reason,
  type RoutingState,
  whyNot,
} from './eligible.ts';
import { loadOf, type Strategy } from './strategies/strategy.ts';

/**
 * From the candidates of a model to a plan: who is tried first, and who next if that fails before the first content.
 * It runs for every request, so it goes over the candidates a fixed number of times, over a part of them where there are
 * very many, allocates nothing for any of them, and keeps the best three while it goes. `explain` is the same in words, for people, and may take its time.
 */

/** First try and two retries. */
export const MOST_PICKS = 3;
/**
 * Of more candidates than this only so many are looked at, from one that chance names, where the strategy lets it be: the best
 * of 256 is about as good as the best of a thousand, which costs 30 µs. Whoever is passed over has lost nothing by rank: if
 * not three of the first tier are found, all are looked at.
 */
const PART_OF = 256;
/** More than this share of the fleet behind open circuits, and circuits are not believed. */
const PANIC_SHARE = 0.5;
/** A conversation leaves its warm node when the node is this full. */
const WARM_LOAD_MAX = 0.9;
/** How often a candidate whose opening is over leads a plan that could do without it. */
const TRIAL_SHARE = 0.1;

export interface Choice {
  readonly strategy: Strategy;
  /** Monotonic milliseconds. */
  readonly nowMs: number;
  /** Breaks ties and spreads trials. Two draws a choice at most. */
  readonly random: Randomness;
  /** Providers that already had an attempt of this request. */
  readonly tried?: ReadonlySet<string>;
  /** Providers ruled out for this request. */
  readonly excluded?: ReadonlySet<string>;
  /** What this request prefers, beyond the strategy. */
  readonly bias?: Bias;
}

/** Who goes before whom for this request. Lower comes first; ranks below `SOFT_RANKS`. */
export interface Bias {
  /** Before everything else: the consumer's own wishes. */
  readonly wished: (candidate: Candidate) => number;
  /** Within equal tiers, before the strategy's score: region, canaries. At most `SOFT_RANKS - 1`. */
  readonly soft: (candidate: Candidate) => number;
  /** The node that is warm for this conversation: first among equally wished ones. */
  readonly warmNodeId: string | undefined;
}

/** How many soft ranks there are. */
const SOFT_RANKS = 4;
const TIERS = 4;
/** The warm node, and every tier with every soft rank. */
const BIASED_TIERS = 1 + TIERS * SOFT_RANKS;

export interface Plan {
  /** Best first; at most three, of different providers. */
  readonly picks: readonly Candidate[];
  /** How many were looked at. */
  readonly considered: number;
  /** How many were turned away at each gate that turned any away. */
  readonly rejected: Readonly<Partial<Record<Reason, number>>>;
  /** Circuits were ignored. */
  readonly panic: boolean;
}

/** Lower comes first, whatever the score: agents before external endpoints, and in each the sound before the degraded and those put behind. */
function tierOf({ mode, health, behind }: Candidate): number {
  return (mode === 'external' ? 2 : 0) + (health === 'degraded' || behind !== undefined ? 1 : 0);
}

/** The tier with what this request prefers: wishes, then the warm node, then the tier, then soft ranks. */
function biasedTier(candidate: Candidate, bias: Bias): number {
  const wished = bias.wished(candidate) * BIASED_TIERS;
  // A warm node that is nearly full is no warmer than another, and no endpoint goes before an agent for being warm.
  const warm = candidate.nodeId === bias.warmNodeId && candidate.mode !== 'external';
  if (warm && loadOf(candidate) < WARM_LOAD_MAX) return wished;
  return wished + 1 + tierOf(candidate) * SOFT_RANKS + bias.soft(candidate);
}

/** Chance that costs nothing until two scores are equal: an order of indexes that a seed shuffles (xxHash's avalanche). */
function lot(index: number, seed: number): number {
  let h = Math.imul(index + 1, 0x9e3779b1) ^ seed;
  h = Math.imul(h ^ (h >>> 15), 0x85ebca77);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae3d);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The best so far, kept between calls to spare allocation; `choose` is synchronous and clears it. */
interface Place {
  candidate: Candidate | undefined;
  tier: number;
  score: number;
  index: number;
}
const emptyPlace = (): Place => ({ candidate: undefined, tier: 0, score: 0, index: 0 });
const places: [Place, Place, Place] = [emptyPlace(), emptyPlace(), emptyPlace()];
const turnedAway = new Int32Array(GATES.length);

function before(tier: number, score: number, index: number, held: Place, seed: number): boolean {
  if (tier !== held.tier) return tier < held.tier;
  if (score !== held.score) return score > held.score;
  return lot(index, seed) < lot(held.index, seed);
}

/** Puts a candidate among the best if it belongs there: one place per provider. */
function place(candidate: Candidate, tier: number, score: number, index: number, seed: number): void {
  const last = places[MOST_PICKS - 1] as Place;
  if (last.candidate !== undefined && !before(tier, score, index, last, seed)) return;
  // Where it goes, and which place it takes over: its provider's own, else the last.
  let at = MOST_PICKS - 1;
  for (let i = 0; i < MOST_PICKS; i++) {
    const other = places[i] as Place;
    if (other.candidate === undefined) {
      at = i;
      break;
    }
    if (other.candidate.providerId === candidate.providerId) {
      if (!before(tier, score, index, other, seed)) return;
      at = i;
      break;
    }
  }
  const taken = places[at] as Place;
  for (; at > 0 && before(tier, score, index, places[at - 1] as Place, seed); at--) {
    places[at] = places[at - 1] as Place;
  }
  places[at] = taken;
  taken.candidate = candidate;
  taken.tier = tier;
  taken.score = score;
  taken.index = index;
}

/** Indexes of the candidates that may serve, in `able[0 … n)`. Kept between calls like the places. */
let able = new Int32Array(1_024);

/** Which candidates are looked at: so many from one on, over the end of the list to its beginning. */
interface Part {
  readonly from: number;
  readonly looked: number;
}

/** Of those that `part` names, sorts `candidates` by gate into `able` and `turnedAway`. How many may serve. */
function sift(
  need: Need,
  candidates: readonly Candidate[],
  state: RoutingState,
  nowMs: number,
  { from, looked }: Part = { from: 0, looked: candidates.length },
): number {
  if (able.length < looked) able = new Int32Array(2 * looked);
  turnedAway.fill(0);
  let count = 0;
  const { length } = candidates;
  for (let n = 0; n < looked; n++) {
    const i = from + n < length ? from + n : from + n - length;
    const gate = gateOf(candidates[i] as Candidate, need, state, nowMs);
    if (gate === OPEN) able[count++] = i;
    else turnedAway[gate] = (turnedAway[gate] as number) + 1;
  }
  return count;
}

/** The usable fleet is whoever is past the lasting gates; are too many of it shut out by circuits? */
function panics(mayServe: number): boolean {
  let fleet = mayServe;
  for (let gate = CIRCUIT_GATE; gate < GATES.length; gate++) fleet += turnedAway[gate] as number;
  return (turnedAway[CIRCUIT_GATE] as number) > fleet * PANIC_SHARE;
}

/** Is an external endpoint with a closed circuit among those that may serve? */
function standsBy(candidates: readonly Candidate[], mayServe: number): boolean {
  for (let i = 0; i < mayServe; i++) if (isFallback(candidates[able[i] as number] as Candidate)) return true;
  return false;
}

/** An external endpoint that nothing speaks against. */
export function isFallback({ mode, breaker }: Candidate): boolean {
  return mode === 'external' && breaker.state === 'closed';
}

/**
 * Plans `need` over `candidates` (those of its model). No picks means that nobody may serve now; `rejected` says why,
 * and `whyEmpty` in which words to tell the caller.
 */
export function choose(need: Need, candidates: readonly Candidate[], choice: Choice): Plan {
  const chance = choice.random.float();
  const { length } = candidates;
  if (length > PART_OF && choice.strategy.ofPart === true && !choice.bias && !need.gather) {
    const plan = planOf(need, candidates, choice, chance, {
      from: Math.floor(chance * length),
      looked: PART_OF,
    });
    // None of the others could stand before these, but by its score.
    if (!plan.panic && plan.picks.length === MOST_PICKS && plan.picks.every(isFirstTier)) return plan;
  }
  return planOf(need, candidates, choice, chance, { from: 0, looked: length });
}

function isFirstTier(candidate: Candidate): boolean {
  return tierOf(candidate) === 0;
}

function planOf(
  need: Need,
  candidates: readonly Candidate[],
  choice: Choice,
  chance: number,
  part: Part,
): Plan {
  const { strategy, nowMs, bias } = choice;
  let state = FRESH;
  if (choice.tried || choice.excluded) {
    state = {
      tried: choice.tried ?? FRESH.tried,
      excluded: choice.excluded ?? FRESH.excluded,
      ignoreCircuits: false,
    };
  }
  let mayServe = sift(need, candidates, state, nowMs, part);
  // Where a sound external endpoint can serve, nobody needs an agent that has just failed.
  const panic = panics(mayServe) && !standsBy(candidates, mayServe);
  if (panic) mayServe = sift(need, candidates, { ...state, ignoreCircuits: true }, nowMs, part);

  let bestTtftMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < mayServe; i++) {
    const { ttftMs } = (candidates[able[i] as number] as Candidate).record;
    if (ttftMs !== null && ttftMs < bestTtftMs) bestTtftMs = ttftMs;
  }

  for (const empty of places) empty.candidate = undefined;
  const last = MOST_PICKS - 1;
  const seed = (chance * 0x1_0000_0000) | 0;
  let trial: Candidate | undefined;
  let trialIndex = 0;
  // Whoever is worse than the last place is passed over without a call: that is nearly everyone.
  let lastTier = Number.POSITIVE_INFINITY;
  let lastScore = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < mayServe; i++) {
    const index = able[i] as number;
    const candidate = candidates[index] as Candidate;
    if (candidate.breaker.state !== 'closed' && !panic) {
      if (trial === undefined || trialBefore(candidate, index, trial, trialIndex, seed)) {
        trial = candidate;
        trialIndex = index;
      }
      continue;
    }
    const tier = bias === undefined ? tierOf(candidate) : biasedTier(candidate, bias);
    if (tier > lastTier) continue;
    const score = strategy.score(candidate, nowMs, bestTtftMs);
    if (tier === lastTier && score < lastScore) continue;
    place(candidate, tier, score, index, seed);
    const worst = places[last] as Place;
    if (worst.candidate !== undefined) {
      lastTier = worst.tier;
      lastScore = worst.score;
    }
  }

  const picks: Candidate[] = [];
  for (const { candidate } of places) if (candidate) picks.push(candidate);
  if (trial) addTrial(picks, trial, choice.random);
  if (picks.length > 0) strategy.chosen?.(picks[0] as Candidate);
  // The scratch places must not keep candidates alive that have left.
  for (const used of places) used.candidate = undefined;
  return { picks, considered: part.looked, rejected: counts(), panic };
}

/** Of several whose opening is over: the better tier, then chance. */
function trialBefore(a: Candidate, aIndex: number, b: Candidate, bIndex: number, seed: number): boolean {
  const tiers = tierOf(a) - tierOf(b);
  return tiers !== 0 ? tiers < 0 : lot(aIndex, seed) < lot(bIndex, seed);
}

/**
 * Lets one doubtful candidate into the plan. Mostly as the last resort; now and then in front, where it is really tried:
 * otherwise nobody who failed would ever come back while others have room. It leads only a plan that has others to fall
 * back on, and never brings in an external endpoint where an agent could serve.
 */
function addTrial(picks: Candidate[], trial: Candidate, random: Randomness): void {
  const others = picks.filter((pick) => pick.providerId !== trial.providerId);
  const first = picks[0];
  const leads = first !== undefined && tierOf(trial) <= tierOf(first) && random.float() < TRIAL_SHARE;
  if (leads && others.length > 0) picks.splice(0, picks.length, trial, ...others.slice(0, MOST_PICKS - 1));
  else if (others.length === picks.length && picks.length < MOST_PICKS) picks.push(trial);
}

function counts(): Partial<Record<Reason, number>> {
  const rejected: Partial<Record<Reason, number>> = {};
  for (let gate = 0; gate < GATES.length; gate++) {
    const count = turnedAway[gate] as number;
    if (count > 0) rejected[GATES[gate] as Reason] = count;
  }
  return rejected;
}

/**
 * The code of the error table for a plan without picks. (After a failed attempt, the dispatcher tells that failure instead.)
 * Room that may appear in a moment comes before lasting reasons.
 */
export function whyEmpty(
  plan: Plan,
): 'providers-busy' | 'prompt-too-large-for-providers' | 'model-without-provider' {
  const { rejected } = plan;
  if (rejected['model-full'] || rejected['link-full']) return 'providers-busy';
  const others = rejected['circuit-open'] || rejected['provider-tried'] || rejected['provider-excluded'];
  if (rejected['request-too-large'] && !others) return 'prompt-too-large-for-providers';
  return 'model-without-provider';
}

/** One candidate as people see it. */
export interface Explained {
  readonly candidateId: string;
  readonly providerId: string;
  /** The gate that was shut; undefined for one that may serve. */
  readonly reason: Reason | undefined;
  /** What the operator or a benchmark said, when the reason is `not-eligible`. */
  readonly because: string | undefined;
  /** Lower comes first, whatever the score. With a bias, among the wishes of that request. */
  readonly tier: number;
  /** The strategy's score; undefined for one that may not serve. */
  readonly score: number | undefined;
  /** 1 for the best; undefined for one that may not serve. Equals share no rank: chance decides at each request. */
  readonly rank: number | undefined;
  /** It would be tried as one whose circuit was open. */
  readonly trial: boolean;
}

/** What `choose` knows of the request and the fleet when it asks the gates: panic included. */
export function stateOf(
  need: Need,
  candidates: readonly Candidate[],
  choice: Omit<Choice, 'random'>,
): RoutingState {
  const calm: RoutingState = {
    tried: choice.tried ?? FRESH.tried,
    excluded: choice.excluded ?? FRESH.excluded,
    ignoreCircuits: false,
  };
  const mayServe = sift(need, candidates, calm, choice.nowMs);
  return panics(mayServe) && !standsBy(candidates, mayServe) ? { ...calm, ignoreCircuits: true } : calm;
}

/** Every candidate with what `choose` makes of it, best first, those that may not serve after them. */
export function explain(
  need: Need,
  candidates: readonly Candidate[],
  choice: Omit<Choice, 'random'>,
): Explained[] {
  const { strategy, nowMs, bias } = choice;
  const state = stateOf(need, candidates, choice);
  let bestTtftMs = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const { ttftMs } = candidate.record;
    if (ttftMs !== null && ttftMs < bestTtftMs && whyNot(candidate, need, state, nowMs) === undefined)
      bestTtftMs = ttftMs;
  }

  const rows = candidates.map((candidate) => {
    const reason = whyNot(candidate, need, state, nowMs);
    return {
      candidateId: candidate.id,
      providerId: candidate.providerId,
      reason,
      because: reason === 'not-eligible' ? candidate.ineligibleBecause : undefined,
      tier: bias === undefined ? tierOf(candidate) : biasedTier(candidate, bias),
      score: reason === undefined ? strategy.score(candidate, nowMs, bestTtftMs) : undefined,
      rank: undefined as number | undefined,
      trial: reason === undefined && candidate.breaker.state !== 'closed',
    };
  });
  // While there is no panic, whoever is on trial stands behind everyone else.
  const doubt = (row: Explained): number => (row.trial && !state.ignoreCircuits ? 1 : 0);
  const ranked = rows
    .filter((row) => row.reason === undefined)
    .toSorted((a, b) => doubt(a) - doubt(b) || a.tier - b.tier || (b.score as number) - (a.score as number));
  ranked.forEach((row, i) => {
    row.rank = i + 1;
  });
  return [...ranked, ...rows.filter((row) => row.reason !== undefined)];
}
