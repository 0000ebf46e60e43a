/**
 * An attempt's life, as a table: what has happened so far (phase), what happens now (event), and what is done about it
 * (effect). Both dialects use it, so that a duplicate, late, missing or contradicting frame means the same in both.
 *
 * - `waiting`: begun, nothing to show yet.
 * - `streaming`: events were passed on.
 * - `marked`: the agent passed on its backend's end mark; only the end itself is still to come.
 * - `failing`: the agent announced a failure; the end itself, with its status, is still to come.
 * - `cancelling`: we asked it to stop; only its end, with the exact usage, is still of interest.
 * - `ended`: nothing changes any more.
 */
export type Phase = 'waiting' | 'streaming' | 'marked' | 'failing' | 'cancelling' | 'ended';

/**
 * - `content`: an event fit to be passed on.
 * - `mark`: the backend's end mark.
 * - `trouble`: the agent says that the stream failed; its end follows.
 * - `end-whole`: the end, and the answer was finished (a finish reason or the end mark was seen).
 * - `end-cut`: the end without an error, of an answer that nobody finished.
 * - `end-error`: the end, with an error.
 * - `result`: the whole unstreamed answer. `result-error`: an error in its place.
 * - `violation`: something this attempt cannot have.
 * - `cancel`: we want it stopped, and the agent will tell its usage. `abandon`: we want it stopped, and it will not.
 * - `expire`: the agent was asked to stop and did not confirm in time.
 * - `lost`: the link died.
 */
export type AttemptEvent =
  | 'content'
  | 'mark'
  | 'trouble'
  | 'end-whole'
  | 'end-cut'
  | 'end-error'
  | 'result'
  | 'result-error'
  | 'violation'
  | 'cancel'
  | 'abandon'
  | 'expire'
  | 'lost';

/**
 * - `deliver`: pass the event on. `none`: remember, do nothing. `drop`: count it and forget it.
 * - `complete`, `lost`: the end as it says. `refuse`: nothing was passed on yet; the status says what kind of end it is.
 * - `empty`: an end without an answer. `cut-off`: the provider failed after something was passed on.
 * - `violate`: the provider broke the protocol. `ask-stop`: tell the agent, and wait. `cancelled`: stopped.
 */
export type Effect =
  | 'deliver'
  | 'none'
  | 'drop'
  | 'complete'
  | 'refuse'
  | 'empty'
  | 'cut-off'
  | 'violate'
  | 'ask-stop'
  | 'cancelled'
  | 'lost';

export interface Step {
  readonly phase: Phase;
  readonly effect: Effect;
}

const step = (phase: Phase, effect: Effect): Step => ({ phase, effect });
const end = (effect: Effect): Step => step('ended', effect);

/** What happens in every phase but the last is listed in full: an event that is missing here does not compile. */
const STEPS: Readonly<Record<Phase, Readonly<Record<AttemptEvent, Step>>>> = {
  waiting: {
    content: step('streaming', 'deliver'),
    mark: step('marked', 'none'),
    trouble: step('failing', 'none'),
    'end-whole': end('empty'),
    'end-cut': end('empty'),
    'end-error': end('refuse'),
    result: end('complete'),
    'result-error': end('refuse'),
    violation: end('violate'),
    cancel: step('cancelling', 'ask-stop'),
    abandon: end('cancelled'),
    expire: step('waiting', 'none'),
    lost: end('lost'),
  },
  streaming: {
    content: step('streaming', 'deliver'),
    mark: step('marked', 'none'),
    trouble: step('failing', 'none'),
    'end-whole': end('complete'),
    'end-cut': end('cut-off'),
    'end-error': end('cut-off'),
    result: end('violate'),
    'result-error': end('cut-off'),
    violation: end('violate'),
    cancel: step('cancelling', 'ask-stop'),
    abandon: end('cancelled'),
    expire: step('streaming', 'none'),
    lost: end('lost'),
  },
  marked: {
    content: step('marked', 'drop'),
    mark: step('marked', 'drop'),
    trouble: step('failing', 'none'),
    'end-whole': end('complete'),
    'end-cut': end('empty'),
    'end-error': end('cut-off'),
    result: end('violate'),
    'result-error': end('cut-off'),
    violation: end('violate'),
    cancel: step('cancelling', 'ask-stop'),
    abandon: end('cancelled'),
    expire: step('marked', 'none'),
    lost: end('lost'),
  },
  failing: {
    content: step('failing', 'drop'),
    mark: step('failing', 'none'),
    trouble: step('failing', 'none'),
    'end-whole': end('refuse'),
    'end-cut': end('refuse'),
    'end-error': end('refuse'),
    result: end('violate'),
    'result-error': end('refuse'),
    violation: end('violate'),
    cancel: step('cancelling', 'ask-stop'),
    abandon: end('cancelled'),
    expire: step('failing', 'none'),
    lost: end('lost'),
  },
  cancelling: {
    content: step('cancelling', 'drop'),
    mark: step('cancelling', 'drop'),
    trouble: step('cancelling', 'drop'),
    'end-whole': end('cancelled'),
    'end-cut': end('cancelled'),
    'end-error': end('cancelled'),
    result: end('cancelled'),
    'result-error': end('cancelled'),
    violation: end('cancelled'),
    cancel: step('cancelling', 'none'),
    abandon: end('cancelled'),
    expire: end('cancelled'),
    lost: end('cancelled'),
  },
  ended: {
    content: step('ended', 'drop'),
    mark: step('ended', 'drop'),
    trouble: step('ended', 'drop'),
    'end-whole': step('ended', 'drop'),
    'end-cut': step('ended', 'drop'),
    'end-error': step('ended', 'drop'),
    result: step('ended', 'drop'),
    'result-error': step('ended', 'drop'),
    violation: step('ended', 'drop'),
    cancel: step('ended', 'none'),
    abandon: step('ended', 'none'),
    expire: step('ended', 'none'),
    lost: step('ended', 'none'),
  },
};

/** The next phase and what to do, for an attempt in `phase` to which `event` happens. Pure; allocates nothing. */
export function stepAttempt(phase: Phase, event: AttemptEvent): Step {
  return STEPS[phase][event];
}
