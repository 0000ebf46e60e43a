import { assert } from '#kit/assert.ts';

/**
 * What a provider pledged in one asset, as a pure machine: what can happen to it, and what cannot. It follows the rules of
 * the contract `ProviderCollateral`, so that dollars and tokens are treated alike: whoever wants out waits seven days; what
 * waits can still be slashed; a slash takes first what is at work, then what waits, and never more than there is.
 *
 * At any time deposited = locked + waiting + slashed + refunded, and none of them is below zero.
 */
export interface Pledge {
  readonly deposited: bigint;
  /** At work as collateral. */
  readonly locked: bigint;
  /** Asked back, not yet refunded. */
  readonly waiting: bigint;
  readonly slashed: bigint;
  readonly refunded: bigint;
  /** Wall milliseconds, of the chain where the pledge is there; undefined when nothing waits. */
  readonly refundableAt: number | undefined;
}

export const NO_PLEDGE: Pledge = {
  deposited: 0n,
  locked: 0n,
  waiting: 0n,
  slashed: 0n,
  refunded: 0n,
  refundableAt: undefined,
};

export const REFUND_WAIT_MS = 7 * 86_400_000;

export type PledgeMove =
  | { readonly kind: 'deposited' | 'requested' | 'slashed' | 'slash-returned'; readonly amount: bigint }
  /** All that waits. */
  | { readonly kind: 'cancelled' | 'refunded' };

export type PledgeRefusal =
  | 'amount-missing'
  | 'not-enough-locked'
  | 'nothing-waiting'
  | 'still-waiting'
  | 'nothing-to-slash'
  | 'not-slashed';

/** What a move at an instant makes of a pledge, and how much it moved; or why it cannot be. */
export function movePledge(
  pledge: Pledge,
  move: PledgeMove,
  at: number,
): { readonly pledge: Pledge; readonly amount: bigint } | { readonly refused: PledgeRefusal } {
  const { locked, waiting } = pledge;
  switch (move.kind) {
    case 'deposited': {
      const { amount } = move;
      if (amount <= 0n) return { refused: 'amount-missing' };
      return done({ ...pledge, deposited: pledge.deposited + amount, locked: locked + amount }, amount);
    }
    case 'requested': {
      const { amount } = move;
      if (amount <= 0n) return { refused: 'amount-missing' };
      if (amount > locked) return { refused: 'not-enough-locked' };
      const refundableAt = at + REFUND_WAIT_MS;
      return done({ ...pledge, locked: locked - amount, waiting: waiting + amount, refundableAt }, amount);
    }
    case 'cancelled':
      if (waiting === 0n) return { refused: 'nothing-waiting' };
      return done({ ...pledge, locked: locked + waiting, waiting: 0n, refundableAt: undefined }, waiting);
    case 'refunded':
      if (waiting === 0n) return { refused: 'nothing-waiting' };
      if (at < (pledge.refundableAt ?? 0)) return { refused: 'still-waiting' };
      return done(
        { ...pledge, waiting: 0n, refunded: pledge.refunded + waiting, refundableAt: undefined },
        waiting,
      );
    case 'slash-returned': {
      const { amount } = move;
      if (amount <= 0n) return { refused: 'amount-missing' };
      if (amount > pledge.slashed) return { refused: 'not-slashed' };
      return done({ ...pledge, locked: locked + amount, slashed: pledge.slashed - amount }, amount);
    }
    default: {
      if (move.amount <= 0n) return { refused: 'amount-missing' };
      const fromLocked = move.amount < locked ? move.amount : locked;
      const rest = move.amount - fromLocked;
      const fromWaiting = rest < waiting ? rest : waiting;
      const taken = fromLocked + fromWaiting;
      if (taken === 0n) return { refused: 'nothing-to-slash' };
      const left = waiting - fromWaiting;
      return done(
        {
          ...pledge,
          locked: locked - fromLocked,
          waiting: left,
          slashed: pledge.slashed + taken,
          refundableAt: left === 0n ? undefined : pledge.refundableAt,
        },
        taken,
      );
    }
  }
}

function done(pledge: Pledge, amount: bigint): { pledge: Pledge; amount: bigint } {
  const { deposited, locked, waiting, slashed, refunded } = pledge;
  assert(deposited === locked + waiting + slashed + refunded, 'a pledge adds up');
  return { pledge, amount };
}
