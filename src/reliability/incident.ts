import { rank, type Severity, type Trigger, type TriggerName } from './triggers.ts';

/**
 * The life of an incident, as a pure function: what is open, what holds now and the time go in; what to write down comes
 * out. An incident opens with the first trigger, changes when a new trigger or another severity comes, and is resolved when
 * nothing held for a while, so that a flapping component is one incident and not twenty.
 *
 *     open → (changed)* → resolved → post-mortem due
 *
 * Whatever an operator writes (notes, a silence, a resolution by hand) is a step of the same list; the timeline is the
 * incident, and everything else is read from it.
 */
export interface IncidentState {
  readonly id: string;
  readonly openedMs: number;
  /** The worst it has been, and how bad it is now. */
  readonly worst: Severity;
  readonly severity: Severity;
  /** Every trigger it ever had. */
  readonly triggers: ReadonlySet<TriggerName>;
  /** When a trigger last held. */
  readonly lastHeldMs: number;
}

export type IncidentStep =
  | { readonly kind: 'opened'; readonly severity: Severity; readonly triggers: readonly Trigger[] }
  | { readonly kind: 'changed'; readonly severity: Severity; readonly triggers: readonly Trigger[] }
  | { readonly kind: 'resolved'; readonly quietMs: number };

export const QUIET_MS = 300_000;

/** The next step, if there is one. */
export function nextStep(
  open: IncidentState | undefined,
  triggers: readonly Trigger[],
  nowMs: number,
  quietMs: number = QUIET_MS,
): IncidentStep | undefined {
  const severity = worstOf(triggers);
  if (!open) return severity && { kind: 'opened', severity, triggers };
  if (!severity) {
    const quiet = nowMs - open.lastHeldMs;
    return quiet >= quietMs ? { kind: 'resolved', quietMs: quiet } : undefined;
  }
  const news = triggers.some(({ name }) => !open.triggers.has(name));
  // It may get worse at once; that it got better is said with the next news or the end, or a status page would flicker.
  const worse = rank(severity) > rank(open.severity);
  return news || worse ? { kind: 'changed', severity, triggers } : undefined;
}

/** The state after a step (or, without one, after another look). */
export function after(
  open: IncidentState | undefined,
  about: { step: IncidentStep | undefined; triggers: readonly Trigger[]; nowMs: number; id: string },
): IncidentState | undefined {
  const { step, triggers, nowMs, id } = about;
  if (step?.kind === 'resolved') return undefined;
  if (step?.kind === 'opened') {
    const { severity } = step;
    return { id, openedMs: nowMs, worst: severity, severity, triggers: namesOf(triggers), lastHeldMs: nowMs };
  }
  if (!open) return undefined;
  const lastHeldMs = triggers.length > 0 ? nowMs : open.lastHeldMs;
  if (!step) return { ...open, lastHeldMs };
  return {
    ...open,
    lastHeldMs,
    severity: step.severity,
    worst: rank(step.severity) > rank(open.worst) ? step.severity : open.worst,
    triggers: new Set([...open.triggers, ...namesOf(triggers)]),
  };
}

function worstOf(triggers: readonly Trigger[]): Severity | undefined {
  return triggers.map(({ severity }) => severity).toSorted((a, b) => rank(b) - rank(a))[0];
}

function namesOf(triggers: readonly Trigger[]): ReadonlySet<TriggerName> {
  return new Set(triggers.map(({ name }) => name));
}
