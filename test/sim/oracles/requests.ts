import { least } from '#domain/money.ts';
import { priceOf } from '#domain/price.ts';
import type { AttemptTruth } from '../agents/job.ts';
import type { RequestKind, SimulatedRequest } from '../clients/request.ts';
import { DISK_STALL_MS_MAX, DISPATCH } from '../market/settings.ts';
import { type Answer, readAnswer, type TruthOf } from './answer.ts';
import type { Court } from './court.ts';

/** A hold waits this long for the store (`Holds`). */
const HOLD_WAIT_MS = 2_000;
/** Two groups of the journal may be in front of a record, each of a create, an append and a sync on a disk that stands still. */
const DURABLE_MS = 2 * DISK_STALL_MS_MAX + 100;
const CANCEL_WAIT_MS = 1_000;
/** The longest any request may take, with the second of grace that I9 gives. */
const REQUEST_MS_MAX = HOLD_WAIT_MS + DISPATCH.requestDeadlineMs + DISPATCH.wheelMs + DURABLE_MS + 1_000;
/** After its client left, a request ends within the wait for the agent's word. */
const LEFT_MS_MAX = Math.max(HOLD_WAIT_MS, CANCEL_WAIT_MS) + DURABLE_MS + 1_000;
const ATTEMPTS_MAX = 3;

/** What must be true of requests in flight and at their ends (I3 to I9). */
export class RequestOracle {
  readonly #court: Court;
  readonly #nowMs: () => number;
  readonly #truthOf: TruthOf;
  readonly #attempts = new Map<number, AttemptTruth[]>();
  /** In the order they began; and those whose client left, in the order they left. */
  readonly #open = new Waiting();
  readonly #left = new Waiting();
  /** Ids of requests that were answered completely: each must have exactly one durable record in the end. */
  readonly answered = new Map<string, SimulatedRequest>();
  /** Every record of every request, in the end exactly what the book has. */
  readonly counts = { completed: 0, cancelled: 0, broken: 0, failed: 0, refused: 0, reset: 0, answered: 0 };

  constructor(court: Court, nowMs: () => number, truthOf: TruthOf) {
    this.#court = court;
    this.#nowMs = nowMs;
    this.#truthOf = truthOf;
  }

  began(request: SimulatedRequest): void {
    this.#open.add(request);
  }

  /** An agent got a job of this request. */
  attempted(
    truth: AttemptTruth,
    request: SimulatedRequest | undefined,
    stillThere: (other: AttemptTruth) => boolean,
  ): void {
    if (!request) return;
    const nowMs = this.#nowMs();
    const before = this.#attempts.get(request.n) ?? [];
    if (request.attempts >= ATTEMPTS_MAX)
      this.#wrong(request, 'I7', `Attempt ${request.attempts + 1} of one request.`);
    if (request.overMs !== undefined && nowMs - request.overMs > 50)
      this.#wrong(request, 'I7', 'An attempt of a request that is over.');
    if (request.reply.status === 200 && request.reply.bytes > 0)
      this.#wrong(request, 'I7', 'An attempt after content was sent.');
    for (const other of before) {
      if (other.providerId === truth.providerId) this.#wrong(request, 'I7', 'Two attempts on one provider.');
      if (other.behaviour === 'refuses' && other.over && stillThere(other))
        this.#wrong(request, 'I7', 'An attempt after the request itself was refused.');
    }
    request.attempts += 1;
    before.push(truth);
    this.#attempts.set(request.n, before);
  }

  left(request: SimulatedRequest): void {
    this.#left.add(request);
  }

  /** The last byte reached the client. */
  ended(request: SimulatedRequest, durable: (id: string) => boolean): void {
    if (request.reply.status !== 200) return;
    const complete = !request.drawn.stream || request.reply.text().endsWith('data: [DONE]\n\n');
    if (!complete) return;
    this.answered.set(request.requestId, request);
    this.counts.answered += 1;
    const [record] = request.records;
    if (request.records.length !== 1 || record?.outcome !== 'completed')
      this.#wrong(request, 'I3', 'The last byte went out without one record of a completed request.');
    else if (!durable(request.requestId))
      this.#wrong(request, 'I3', 'The last byte went out before the record was durable.');
  }

  /** The gateway has done with the request. Answers the attempts that must be over, or told to stop, soon. */
  over(request: SimulatedRequest): AttemptTruth[] {
    request.overMs = this.#nowMs();
    const { reply, records } = request;
    // The hold of a record in doubt stays until the process is started again.
    const settled = request.inDoubt ? request.settles === 0 : request.held === 0n && request.settles === 1;
    if (request.heldMost > 0n && !settled)
      this.#wrong(request, 'I8', `Of its hold ${request.held} is left after ${request.settles} settlements.`);
    if (records.length > 1) this.#wrong(request, 'I3', `${records.length} records of one request.`);
    const rows = (request.refusedByDisk ? 0 : records.length) + request.refusals;
    if (request.isAdmitted && rows !== 1) this.#wrong(request, 'outcome', `${rows} rows of one request.`);
    if (!reply.gone && !reply.whole)
      this.#wrong(request, 'I9', 'The request is over and its client still waits.');
    this.#answer(request);
    const attempts = this.#attempts.get(request.n) ?? [];
    this.#attempts.delete(request.n);
    return attempts;
  }

  /** The process died under it. */
  reset(request: SimulatedRequest): void {
    request.overMs = this.#nowMs();
    this.counts.reset += 1;
    this.#attempts.delete(request.n);
    this.#read(request);
  }

  /** After every step: is somebody waiting longer than anybody may? */
  step(): void {
    const nowMs = this.#nowMs();
    const open = this.#open.first();
    if (open && nowMs > open.startedMs + REQUEST_MS_MAX)
      this.#wrong(open, 'I9', 'The request outlives every deadline.');
    const left = this.#left.first();
    if (left && nowMs > (left.leftMs ?? 0) + LEFT_MS_MAX)
      this.#wrong(left, 'I8', 'The request goes on long after its client left.');
  }

  /** Requests that are not over. */
  get open(): number {
    return this.#open.count();
  }

  #read(request: SimulatedRequest): Answer {
    return readAnswer(request, this.#truthOf, (invariant, what) => this.#wrong(request, invariant, what));
  }

  #answer(request: SimulatedRequest): void {
    const { reply } = request;
    const { kind } = request.drawn;
    const answer = this.#read(request);
    if (reply.status === 500) this.#wrong(request, 'bug', 'The answer is an internal error.');
    const expected = EXPECTED[kind];
    if (
      expected !== undefined &&
      !reply.gone &&
      reply.status !== expected &&
      ![401, 429, 503].includes(reply.status ?? 0)
    )
      this.#wrong(request, 'I9', `A request of kind ${kind} was answered with ${reply.status}.`);
    if (request.calm && reply.status !== 200)
      this.#wrong(request, 'liveness', `A good request was answered with ${reply.status} ${answer.error}.`);
    const [record] = request.records;
    if (!record) {
      this.counts.refused += 1;
      if (reply.status === 200) this.#wrong(request, 'I3', 'An answer without a record.');
      return;
    }
    this.counts[record.outcome] += 1;
    this.#charge(request, answer);
  }

  /** Is the record what was served, and the charge what the record costs? */
  #charge(request: SimulatedRequest, answer: Answer): void {
    const record = request.records[0] as NonNullable<SimulatedRequest['records'][0]>;
    const { price } = request;
    const free = record.outcome === 'broken' || record.outcome === 'failed';
    if (free && record.charge !== 0n) this.#wrong(request, 'I3', `A ${record.outcome} answer is charged.`);
    if (record.priceId !== price?.id)
      return this.#wrong(request, 'I4', `Charged at ${record.priceId}, admitted at ${price?.id}.`);
    const cost = free ? 0n : priceOf(record, price);
    if (record.charge !== least(cost, request.heldMost))
      this.#wrong(request, 'I4', `Charged ${record.charge} for what costs ${cost}.`);
    if (record.charge > request.heldMost) this.#wrong(request, 'I2', 'Charged more than was held.');
    if (free || request.refusedByDisk) return;
    if (request.drawn.maxTokens !== undefined && record.outputTokens > request.drawn.maxTokens)
      this.#wrong(
        request,
        'I4',
        `Billed ${record.outputTokens} tokens where ${request.drawn.maxTokens} were allowed.`,
      );
    if (record.outcome === 'cancelled') {
      if (record.outputTokens > answer.words + answer.untagged)
        this.#wrong(
          request,
          'I4',
          `Billed ${record.outputTokens} tokens where ${answer.words} were passed on.`,
        );
      return;
    }
    const truth = answer.serial === undefined ? undefined : this.#truthOf(answer.serial);
    if (truth && record.attemptId !== truth.attemptId)
      this.#wrong(request, 'I6', 'The record names another attempt than the one that answered.');
    const honest = answer.complete ? truth?.honestUsage : undefined;
    if (honest && (honest.inputTokens !== record.inputTokens || honest.outputTokens !== record.outputTokens))
      this.#wrong(
        request,
        'I4',
        `Billed ${record.inputTokens}+${record.outputTokens} where ${honest.inputTokens}+${honest.outputTokens} were served.`,
      );
    const { usage } = answer;
    if (answer.complete && (request.drawn.includeUsage || !request.drawn.stream)) {
      if (usage?.prompt_tokens !== record.inputTokens || usage.completion_tokens !== record.outputTokens)
        this.#wrong(request, 'I4', 'The usage that the client reads is not the usage that is billed.');
    }
  }

  #wrong(request: SimulatedRequest, invariant: string, what: string): void {
    this.#court.report(invariant, `#${request.n} (${request.requestId}): ${what}`, [
      `#${request.n}`,
      request.host,
      'world',
    ]);
  }
}

const EXPECTED: Readonly<Partial<Record<RequestKind, number>>> = {
  'key-unknown': 401,
  'key-missing': 401,
  'key-of-provider': 401,
  'body-broken': 400,
  'body-wrong': 400,
  'tokens-oversized': 400,
  'model-unknown': 404,
  'model-of-pictures': 400,
};

/** Requests in the order in which they fall due; those that are over are passed by. */
class Waiting {
  #queue: SimulatedRequest[] = [];
  #at = 0;

  add(request: SimulatedRequest): void {
    this.#queue.push(request);
  }

  first(): SimulatedRequest | undefined {
    while (this.#at < this.#queue.length && this.#queue[this.#at]?.overMs !== undefined) this.#at += 1;
    if (this.#at > 512) {
      this.#queue = this.#queue.slice(this.#at);
      this.#at = 0;
    }
    return this.#queue[this.#at];
  }

  count(): number {
    return this.#queue.filter((request) => request.overMs === undefined).length;
  }
}
