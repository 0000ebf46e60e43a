import type { Candidate } from '../candidate.ts';
import { loadOf, type Strategy } from './strategy.ts';

/**
 * The measured strategies: what a consumer sorts by, or an operator routes by. Each estimates what the next request would
 * meet, so a candidate that is full loses its lead, and one that nothing is known of is tried when its turn comes.
 */

/** What is assumed of a candidate until it was measured: middling, so that the best are not passed over for it. */
const UNKNOWN_TOKENS_PER_SECOND = 20;
const UNKNOWN_TTFT_MS = 1_000;
/** Answers are a quarter of their prompts in length: how input and output prices are weighed into one. */
const INPUT_WEIGHT = 4;
/** Load decides between equal prices, and never between different ones: prices are whole pico-dollars. */
const LOAD_WEIGHT = 0.5;

/** The cheapest ask first. */
export function byPrice(): Strategy {
  return { name: 'price', score: (candidate) => -(askOf(candidate) + LOAD_WEIGHT * loadOf(candidate)) };
}

/** The fastest generation first: tokens a second, less what load takes away. */
export function byThroughput(): Strategy {
  return {
    name: 'throughput',
    score: (candidate) => (candidate.record.tokensPerSecond ?? UNKNOWN_TOKENS_PER_SECOND) * room(candidate),
  };
}

/** The shortest time to first token first, lengthened by load. */
export function byLatency(): Strategy {
  return {
    name: 'latency',
    score: (candidate) =>
      -((candidate.record.ttftMs ?? UNKNOWN_TTFT_MS) + 1) / Math.max(room(candidate), 1e-3),
  };
}

function room(candidate: Candidate): number {
  return Math.max(0, 1 - loadOf(candidate));
}

/** A number to compare asks by. Nobody asks more than the listed price, so who asks nothing of his own is the dearest. */
function askOf({ ask }: Candidate): number {
  if (!ask) return DEAREST;
  if (ask.unit === 'request') return Number(ask.requestPico);
  return INPUT_WEIGHT * Number(ask.inputPico) + Number(ask.outputPico);
}

/** A dollar a token: above every price, and small enough that load still tells equals apart. */
const DEAREST = 1e12;
