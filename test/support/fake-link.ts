import type { Attempt, AttemptEnd, AttemptSink, Job, Link } from '#hub/link.ts';

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
    this.last.sink.data(Buffer.from(text), 1, 1, Buffer.byteLength(text));
  }

  ends(end: Partial<AttemptEnd> & Pick<AttemptEnd, 'outcome'>): void {
    this.last.sink.end({ usage: undefined, inner: undefined, errorCode: undefined, ...end });
  }
}
