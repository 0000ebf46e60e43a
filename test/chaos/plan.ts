import type { Randomness } from '#kit/random.ts';
import type { How, Parted } from './wires.ts';

/** What happens to a market, in the order of time. The same seed makes the same plan. */
export type Trouble =
  /** A gateway dies without warning; now and then its next life too, so many milliseconds after it began. */
  | { readonly kind: 'kill'; readonly gateway: number; readonly diesAgainMs: number | undefined }
  /** It stands still (SIGSTOP) and goes on. */
  | { readonly kind: 'pause'; readonly gateway: number; readonly forMs: number }
  /** One gateway cannot reach another. */
  | {
      readonly kind: 'apart';
      readonly gateway: number;
      readonly from: number;
      readonly how: How;
      readonly forMs: number;
    }
  /** One gateway, or all, cannot reach Redis. */
  | {
      readonly kind: 'redis-apart';
      readonly gateway: number | 'all';
      readonly how: How;
      readonly forMs: number;
    }
  /** One gateway, or all, cannot reach PostgreSQL. */
  | {
      readonly kind: 'postgres-apart';
      readonly gateway: number | 'all';
      readonly how: How;
      readonly forMs: number;
    }
  /** Redis dies and comes back knowing nothing. */
  | { readonly kind: 'redis-dies'; readonly forMs: number }
  /** PostgreSQL stands still, every process of it. */
  | { readonly kind: 'postgres-stalls'; readonly forMs: number }
  /** Every gateway is stopped in order and started again, one after the other. */
  | { readonly kind: 'restart-all' };

/** One kill, after so many more complete answers. */
export interface Step {
  readonly answers: number;
  readonly kill: Extract<Trouble, { kind: 'kill' }>;
}

const KINDS = [
  'pause',
  'apart',
  'redis-apart',
  'postgres-apart',
  'redis-dies',
  'postgres-stalls',
  'restart-all',
] as const;

/** Whom a trouble keeps apart. */
export function partedBy(
  trouble: Extract<Trouble, { kind: 'apart' | 'redis-apart' | 'postgres-apart' }>,
  gateways: number,
): Parted[] {
  const { kind, gateway } = trouble;
  if (kind === 'apart') return [{ gateway: trouble.gateway, from: trouble.from }];
  const from = kind === 'redis-apart' ? 'redis' : 'postgres';
  const those = gateway === 'all' ? Array.from({ length: gateways }, (_, i) => i) : [gateway];
  return those.map((each) => ({ gateway: each, from }));
}

/** The next of the `troubles` begins with the next step for which none is under way. `long`: troubles last up to a minute, as they do in life; otherwise a few seconds. */
export function planChaos(
  random: Randomness,
  { kills, gateways, long }: { kills: number; gateways: number; long: boolean },
): { steps: Step[]; troubles: Trouble[] } {
  const upTo = (count: number): number => Math.floor(random.float() * count);
  const lasting = (shortMs: number, longMs: number): number => 300 + upTo(long ? longMs : shortMs);
  const how = (): How => (['cut', 'silent', 'silent', 'one-way'] as const)[upTo(4)] as How;
  const oneOrAll = (): number | 'all' => (random.float() < 0.5 ? 'all' : upTo(gateways));
  const make = (kind: (typeof KINDS)[number]): Trouble => {
    switch (kind) {
      case 'pause':
        return { kind, gateway: upTo(gateways), forMs: lasting(2_000, 20_000) };
      case 'apart': {
        const gateway = upTo(gateways);
        const from = (gateway + 1 + upTo(gateways - 1)) % gateways;
        // Long enough that both sides find out now and then.
        return { kind, gateway, from, how: how(), forMs: lasting(10_000, 40_000) };
      }
      case 'redis-apart':
        return { kind, gateway: oneOrAll(), how: how(), forMs: lasting(5_000, 30_000) };
      case 'postgres-apart':
        return { kind, gateway: oneOrAll(), how: how(), forMs: lasting(5_000, 59_000) };
      case 'redis-dies':
        return { kind, forMs: lasting(1_000, 10_000) };
      case 'postgres-stalls':
        return { kind, forMs: lasting(2_000, 59_000) };
      default:
        return { kind };
    }
  };
  // Every kind comes before any comes again.
  let deck: (typeof KINDS)[number][] = [];
  const draw = (): (typeof KINDS)[number] => {
    if (deck.length === 0) deck = [...KINDS];
    return deck.splice(upTo(deck.length), 1)[0] as (typeof KINDS)[number];
  };
  const steps = Array.from(
    { length: kills },
    (): Step => ({
      answers: 1 + upTo(40),
      kill: {
        kind: 'kill',
        gateway: upTo(gateways),
        diesAgainMs: random.float() < 0.2 ? upTo(1_500) : undefined,
      },
    }),
  );
  return { steps, troubles: steps.map(() => make(draw())) };
}
