import type { Chance } from '../chance.ts';
import { wordsIn } from '../market/counting-thread.ts';
import { type AgentJob, type Stated, wordsOf } from './job.ts';
import { type NodeProfile, type NodeWorld, SimulatedNode } from './node.ts';

const VERSIONS = { A: {}, B: { cp_version: '0.5.5' }, C: { cp_version: '0.6.0' } } as const;

/** An agent of the Swan protocol, generation A, B or C: JSON, one message per token. */
export class SwanNode extends SimulatedNode {
  readonly generation: 'A' | 'B' | 'C';
  readonly confirmsCancel = false;
  protected readonly keepsJobs = true;
  protected readonly stopsOnCancel = true;

  constructor(generation: 'A' | 'B' | 'C', profile: NodeProfile, world: NodeWorld, chance: Chance) {
    super(profile, world, chance);
    this.generation = generation;
  }

  protected registration(): Record<string, unknown> {
    return {
      provider_id: this.profile.nodeId,
      worker_addr: this.profile.nodeId,
      owner_addr: '',
      model_hashes: this.profile.models.map((model_id) => ({ model_id })),
      capabilities: ['inference', 'verification'],
      ...VERSIONS[this.generation],
      ...(this.generation === 'C' && {
        model_declarations: this.profile.models.map((model_id) => ({
          schema_version: '1',
          model_id,
          capacity: [{ type: 'concurrency', unit: 'request', value: this.profile.capacity }],
        })),
      }),
    };
  }

  protected hearJob(type: string, id: string | undefined, payload: Record<string, unknown>): void {
    if (type === 'inference') this.#inference(id as string, payload);
    else if (type === 'cancel' && this.generation === 'C') {
      const job = this.jobs.get((payload['request_id'] ?? id) as string);
      if (!job) return;
      job.truth.cancelHeard = true;
      this.world.jobCancelled(job.truth);
      this.#over(job);
    }
  }

  protected hearBinary(): void {}

  #inference(id: string, payload: Record<string, unknown>): void {
    const request = payload['request'] as {
      messages: { content: string }[];
      max_tokens?: number;
      max_completion_tokens?: number;
    };
    const prompt = request.messages.map((message) => message.content).join(' ');
    this.take(
      {
        truth: this.world.jobArrived(this, { attemptId: id, prompt }),
        key: id,
        stream: payload['stream'] === true,
        maxTokens: request.max_tokens ?? request.max_completion_tokens ?? 1_000,
        promptWords: request.messages.reduce((sum, message) => sum + wordsIn(message.content), 0),
        names: { completion: 'chatcmpl-backend', created: 1, model: 'local-name' },
        credit: Number.POSITIVE_INFINITY,
        resume: undefined,
      },
      prompt,
    );
  }

  role(job: AgentJob): void {
    this.#chunk(job, '{"role":"assistant","content":""}', 'null');
  }

  words(job: AgentJob, count: number): boolean {
    for (let i = 0; i < count; i++) {
      this.#chunk(job, `{"content":"${wordsOf(job.truth, job.truth.words, 1)}"}`, 'null');
      job.truth.words += 1;
    }
    return true;
  }

  longWord(job: AgentJob, chars: number): void {
    this.#chunk(job, `{"content":"${'x'.repeat(chars)}"}`, 'null');
  }

  strangeNames(job: AgentJob): void {
    this.wire?.say(
      `{"type":"stream_chunk","request_id":"${job.key}","payload":{"request_id":"${job.key}","chunk":{"id":"other","model":"other\\n\\ndata: x","__proto__":{"a":1},"choices":[{"index":0,"delta":{"role":"assistant"}}]},"done":false}}`,
    );
  }

  finish(job: AgentJob, reason: string): void {
    this.#chunk(job, '{}', `"${reason}"`);
  }

  usage(job: AgentJob, stated: Stated): void {
    this.say('stream_chunk', job.key, {
      request_id: job.key,
      chunk: {
        id: 'chatcmpl-backend',
        object: 'chat.completion.chunk',
        choices: [],
        usage: { prompt_tokens: stated.input, completion_tokens: stated.output },
      },
      done: false,
    });
  }

  troubleChunk(job: AgentJob): void {
    this.say('stream_chunk', job.key, {
      request_id: job.key,
      chunk: { error: { message: 'CUDA error', code: 500 } },
      done: false,
    });
  }

  cutShort(job: AgentJob): void {
    this.end(job, {});
  }

  end(job: AgentJob, about: { status?: number; error?: string; stated?: Stated }): void {
    const { status, error, stated } = about;
    if (!job.stream) {
      this.say('ack', job.key, {
        request_id: job.key,
        response: null,
        error: error ?? 'nothing',
        status_code: status ?? 500,
      });
    } else {
      if (error === undefined && job.truth.wholeWords !== undefined) {
        this.say('stream_chunk', job.key, { request_id: job.key, chunk: null, done: true });
      }
      this.say('stream_end', job.key, {
        request_id: job.key,
        latency_ms: 5,
        ...(stated && { tokens_input: stated.input, tokens_output: stated.output }),
        ...(error !== undefined && { error, status_code: status }),
      });
    }
    this.#over(job);
  }

  result(job: AgentJob, words: number, stated: Stated | undefined): void {
    job.truth.words = words;
    this.say('ack', job.key, {
      request_id: job.key,
      response: {
        id: 'chatcmpl-backend',
        object: 'chat.completion',
        created: 1,
        model: 'local-name',
        choices: [
          {
            index: 0,
            message: { role: 'assistant', content: wordsOf(job.truth, 0, words) },
            finish_reason: 'stop',
          },
        ],
        ...(stated && { usage: { prompt_tokens: stated.input, completion_tokens: stated.output } }),
      },
      latency_ms: 5,
    });
    this.#over(job);
  }

  foreign(attemptId: string): void {
    this.world
      .wireFor(this, attemptId, this.wire)
      ?.say(
        `{"type":"stream_chunk","request_id":"${attemptId}","payload":{"request_id":"${attemptId}","chunk":{"choices":[{"index":0,"delta":{"content":"foreign "}}]},"done":false}}`,
      );
    this.say('stream_end', attemptId, { request_id: attemptId, latency_ms: 1 });
    this.say('ack', attemptId, { request_id: attemptId, response: null, error: 'x', status_code: 500 });
  }

  #chunk(job: AgentJob, delta: string, finish: string): void {
    const { key } = job;
    this.wire?.say(
      `{"type":"stream_chunk","request_id":"${key}","payload":{"request_id":"${key}","chunk":{"id":"chatcmpl-backend","object":"chat.completion.chunk","created":1,"model":"local-name","choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]},"done":false}}`,
    );
  }

  #over(job: AgentJob): void {
    job.truth.over = true;
    this.jobs.delete(job.key);
  }
}
