import {
  eachFrame,
  encodeDataFrame,
  encodeFrame,
  encodeJsonFrame,
  FRAME,
  type JobEnd,
  type JobHeader,
  STREAM_EXTENSION,
} from '#wire/agent/frames.ts';
import type { Chance } from '../chance.ts';
import { wordsIn } from '../market/counting-thread.ts';
import { type AgentJob, type Stated, wordsOf } from './job.ts';
import { type NodeProfile, type NodeWorld, SimulatedNode } from './node.ts';

/** An agent of our own dialect, `cygnet.stream.v1`: binary frames, credit, cancel answered by the usage, drain. */
export class StreamNode extends SimulatedNode {
  readonly confirmsCancel = true;
  protected readonly keepsJobs = false;
  protected readonly stopsOnCancel = true;
  /** It stops when it is told to, and does not say so. */
  readonly #deaf: boolean;
  readonly #arriving = new Map<number, { header: JobHeader; body: Buffer[]; missing: number }>();

  constructor(profile: NodeProfile, world: NodeWorld, chance: Chance, deaf: boolean) {
    super(profile, world, chance);
    this.#deaf = deaf;
  }

  protected registration(): Record<string, unknown> {
    return {
      capabilities: ['inference', STREAM_EXTENSION],
      cp_version: 'cygnet-0.1.0',
      model_declarations: this.profile.models.map((model_id) => ({
        schema_version: '1',
        model_id,
        capacity: [{ type: 'concurrency', unit: 'request', value: this.profile.capacity }],
      })),
    };
  }

  protected hearJob(): void {}

  protected hearBinary(data: Buffer): void {
    eachFrame(data, 16_384, (type, stream, payload) => {
      if (type === FRAME.job) this.#offered(stream, JSON.parse(payload.toString()) as JobHeader);
      else if (type === FRAME.body) this.#body(stream, payload);
      else if (type === FRAME.cancel) this.#cancel(stream);
      else if (type === FRAME.credit) this.#credit(stream, payload.readUInt32LE(0));
    });
  }

  /** Asks for no more jobs. */
  drain(): void {
    this.wire?.say(encodeFrame(FRAME.drain, 0, new Uint8Array()));
  }

  #offered(stream: number, header: JobHeader): void {
    this.#arriving.set(stream, { header, body: [], missing: header.body_bytes });
  }

  #body(stream: number, payload: Buffer): void {
    const arriving = this.#arriving.get(stream);
    if (!arriving) return;
    arriving.body.push(payload);
    arriving.missing -= payload.length;
    if (arriving.missing > 0) return;
    this.#arriving.delete(stream);
    const { header } = arriving;
    const request = { ...JSON.parse(Buffer.concat(arriving.body).toString()), ...header.set } as {
      messages: { content: string }[];
      max_tokens?: number;
      max_completion_tokens?: number;
    };
    const prompt = request.messages.map((message) => message.content).join(' ');
    this.take(
      {
        truth: this.world.jobArrived(this, { attemptId: header.attempt, prompt }),
        key: String(stream),
        stream: header.stream,
        maxTokens: request.max_tokens ?? request.max_completion_tokens ?? 1_000,
        promptWords: request.messages.reduce((sum, message) => sum + wordsIn(message.content), 0),
        names: { completion: header.completion, created: header.created, model: header.model },
        credit: header.credit,
        resume: undefined,
      },
      prompt,
    );
  }

  #cancel(stream: number): void {
    this.#arriving.delete(stream);
    const job = this.jobs.get(String(stream));
    if (!job) return;
    job.truth.cancelHeard = true;
    this.world.jobCancelled(job.truth);
    if (this.#deaf) return this.#over(job);
    this.#end(job, {
      status: 200,
      usage: { prompt_tokens: job.promptWords, completion_tokens: job.truth.words },
    });
  }

  #credit(stream: number, bytes: number): void {
    const job = this.jobs.get(String(stream));
    if (!job) return;
    job.credit += bytes;
    const { resume } = job;
    job.resume = undefined;
    resume?.();
  }

  role(job: AgentJob): void {
    this.#data(job, event(job, '{"role":"assistant","content":""}', 'null'), 1, 0);
  }

  words(job: AgentJob, count: number): boolean {
    let sse = '';
    for (let i = 0; i < count; i++) {
      sse += event(job, `{"content":"${wordsOf(job.truth, job.truth.words + i, 1)}"}`, 'null');
    }
    // Room is left for the finish: an honest agent never says more than it has credit for.
    if (sse.length + FINISH_BYTES > job.credit) return false;
    job.truth.words += count;
    this.#data(job, sse, count, count);
    return true;
  }

  longWord(job: AgentJob, chars: number): void {
    this.#data(job, event(job, `{"content":"${'x'.repeat(chars)}"}`, 'null'), 1, 1);
  }

  strangeNames(job: AgentJob): void {
    const strange = { ...job, names: { ...job.names, model: 'another-model' } };
    this.#data(job, event(strange, '{"role":"assistant"}', 'null'), 1, 0);
  }

  finish(job: AgentJob, reason: string): void {
    this.#data(job, event(job, '{}', `"${reason}"`), 1, 0);
  }

  usage(): void {
    // It travels in the end.
  }

  troubleChunk(job: AgentJob): void {
    // This dialect has one way to say it: the end.
    this.end(job, { status: 502, error: 'CUDA error' });
  }

  cutShort(job: AgentJob): void {
    // A status alone is no word that the answer is whole.
    this.end(job, {});
  }

  end(job: AgentJob, about: { status?: number; error?: string; stated?: Stated }): void {
    const { status, error, stated } = about;
    this.#end(job, {
      status: status ?? 200,
      ...(job.truth.wholeWords !== undefined && { finish_reason: 'stop' }),
      ...(error !== undefined && { error }),
      ...(stated && { usage: { prompt_tokens: stated.input, completion_tokens: stated.output } }),
    } as unknown as JobEnd);
  }

  result(job: AgentJob, words: number, stated: Stated | undefined): void {
    job.truth.words = words;
    const { completion, created, model } = job.names;
    const body = JSON.stringify({
      id: completion,
      object: 'chat.completion',
      created,
      model,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: wordsOf(job.truth, 0, words) },
          finish_reason: 'stop',
        },
      ],
      ...(stated && { usage: { prompt_tokens: stated.input, completion_tokens: stated.output } }),
    });
    this.wire?.say(encodeFrame(FRAME.result, Number(job.key), Buffer.from(body)));
    this.end(job, stated ? { stated } : {});
  }

  foreign(attemptId: string): void {
    // Streams are numbers of this very connection: it guesses one that was never given out.
    const stream = 1_000_000 + attemptId.length;
    this.wire?.say(encodeDataFrame(stream, 1, 1, Buffer.from('data: {"choices":[]}\n\n')));
    this.wire?.say(encodeFrame(FRAME.end, stream, Buffer.from('{"status":200}')));
  }

  #data(job: AgentJob, sse: string, events: number, tokens: number): void {
    const bytes = Buffer.from(sse);
    job.credit -= bytes.length;
    this.wire?.say(encodeDataFrame(Number(job.key), events, tokens, bytes));
  }

  #end(job: AgentJob, end: JobEnd): void {
    this.wire?.say(encodeJsonFrame(FRAME.end, Number(job.key), end));
    this.#over(job);
  }

  #over(job: AgentJob): void {
    job.truth.over = true;
    this.jobs.delete(job.key);
  }
}

const FINISH_BYTES = 400;

function event(job: AgentJob, delta: string, finish: string): string {
  const { completion, created, model } = job.names;
  return `data: {"id":"${completion}","object":"chat.completion.chunk","created":${created},"model":"${model}","choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]}\n\n`;
}
