import type { Attempt, AttemptEnd, AttemptSink, Job, Link } from '#hub/link.ts';
import type { Candidate } from '#routing/candidate.ts';

/** A link whose every move is made by the test. */
export class FakeLink implements Link {
  readonly mode = 'websocket';
  readonly id: string;
  readonly jobs: { job: Job; sink: AttemptSink; cancelled: string | undefined; consumed: number }[] = [];

  constructor(id: string) {
    this.id = id;
  }

  start(job: Job, sink: AttemptSink): Attempt {
    const entry = { job, sink, cancelled: undefined as string | undefined, consumed: 0 };
    this.jobs.push(entry);
    return {
      cancel: (reason) => {
        entry.cancelled = reason;
      },
      consumed: (bytes) => {
        entry.consumed += bytes;
      },
    };
  }

  get last(): FakeLink['jobs'][number] {
    const last = this.jobs.at(-1);
    if (!last) throw new Error(`No job reached ${this.id}.`);
    return last;
  }

  /** Hands over one event with one token. */
  says(text: string): void {
    this.last.sink.data(Buffer.from(text), 1, 1);
  }

  ends(end: Partial<AttemptEnd> & Pick<AttemptEnd, 'outcome'>): void {
    this.last.sink.end({ usage: undefined, inner: undefined, errorCode: undefined, ...end });
  }
}

/** A candidate that could serve, named after its provider. */
export function candidate(providerId: string, change: Partial<Candidate> = {}): Candidate {
  return {
    id: `${providerId}/model`,
    linkId: `link-${providerId}`,
    nodeId: `node-${providerId}`,
    providerId,
    mode: 'websocket',
    health: 'healthy',
    eligible: true,
    ineligibleBecause: undefined,
    draining: false,
    inFlight: 0,
    linkInFlight: 0,
    capacity: 10,
    linkCapacity: 50,
    maxRequestBytes: 1_000_000,
    vramGb: null,
    connectedAtMs: -1e6,
    breaker: { state: 'closed', consecutiveFailures: 0, openUntilMs: 0, openings: 0, trialsUnderWay: 0 },
    record: { success: 1, ttftMs: null, tokensPerSecond: null, outcomes: 0, lastOutcomeMs: null, overclaim: 0 },
    ...change,
  };
}
