import { z } from 'zod';
import type { Clock } from '#kit/clock.ts';
import type {
  Benchmark,
  BenchmarkResponse,
  Verify,
  VerifyAnswer,
  Warmup,
  WarmupResult,
} from '#wire/agent/messages.ts';
import type { BackendEnd } from './backends/backend.ts';

/**
 * What a Swan hub asks an agent about itself: a warm-up, a benchmark, a challenge. Each is answered by ordinary requests to
 * the desk, so it competes with paid work by the same limits.
 */

/** Asks the desk for one unstreamed answer, as JSON bytes. Never rejects. */
export type AskDesk = (
  modelId: string,
  body: Record<string, unknown>,
  deadlineMs: number,
) => Promise<{ end: BackendEnd; answer: Buffer | undefined }>;

const WARMUP_MS_MAX = 120_000;
const PROMPT_MS_MIN = 30_000;
const BENCHMARK_MS = 300_000;
const BENCHMARK_TOKENS = 500;
const VERIFY_MS_MAX = 120_000;
const VERIFY_TOKENS = 64;

const answerSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        message: z.looseObject({ content: z.string().nullish() }),
        logprobs: z
          .looseObject({ content: z.array(z.looseObject({ token: z.string() })).nullish() })
          .nullish(),
      }),
    )
    .min(1),
  usage: z.looseObject({ prompt_tokens: z.number(), completion_tokens: z.number() }).optional(),
});

/** One small real request. */
export async function runWarmup(
  ask: AskDesk,
  clock: Clock,
  id: string,
  warmup: Warmup,
): Promise<WarmupResult> {
  const beganMs = clock.nowMs();
  const { end } = await ask(
    warmup.model_id,
    { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 },
    WARMUP_MS_MAX,
  );
  const result: WarmupResult = {
    request_id: id,
    model_id: warmup.model_id,
    success: end.status === 200,
    load_time_ms: Math.round(clock.nowMs() - beganMs),
  };
  if (end.status !== 200) result.error = end.error ?? `status ${end.status}`;
  return result;
}

/** The prompts one after the other. `correct` is only our opinion; the hub marks the answers itself. */
export async function runBenchmark(
  ask: AskDesk,
  clock: Clock,
  id: string,
  benchmark: Benchmark,
): Promise<BenchmarkResponse> {
  const prompts = benchmark.prompts ?? [];
  const beganMs = clock.nowMs();
  const promptMs = Math.max(
    PROMPT_MS_MIN,
    (benchmark.timeout_ms ?? BENCHMARK_MS) / Math.max(1, prompts.length),
  );
  const results: NonNullable<BenchmarkResponse['results']> = [];
  for (const { id: promptId, prompt, expected_answer: expected } of prompts) {
    const startMs = clock.nowMs();
    const { end, answer } = await ask(
      benchmark.model_id,
      { messages: [{ role: 'user', content: prompt }], temperature: 0, max_tokens: BENCHMARK_TOKENS },
      promptMs,
    );
    const read = readAnswer(answer);
    const text = read?.choices[0]?.message.content ?? '';
    const good = end.status === 200 && read !== undefined;
    results.push({
      prompt_id: promptId,
      answer: text,
      correct: good && (expected === undefined || text.toLowerCase().includes(expected.toLowerCase())),
      latency_ms: Math.round(clock.nowMs() - startMs),
      ...(read?.usage
        ? { tokens_in: read.usage.prompt_tokens, tokens_out: read.usage.completion_tokens }
        : {}),
      ...(good ? {} : { error: end.error ?? `status ${end.status}` }),
    });
  }
  return {
    request_id: id,
    benchmark_id: benchmark.benchmark_id,
    results: results.length > 0 ? results : null,
    total_latency_ms: Math.round(clock.nowMs() - beganMs),
  };
}

const deterministicSchema = z.looseObject({
  prompt: z.string(),
  seed: z.number().int().optional(),
  max_tokens: z.number().int().positive().max(4_096).optional(),
});
const fingerprintSchema = z.looseObject({
  files: z
    .array(z.looseObject({ filename: z.string().max(1_024) }))
    .max(10_000)
    .nullish(),
});

/**
 * `deterministic`: a generation at temperature 0. `fingerprint`: this agent keeps no manifest of weight files, and hashes
 * that are read from a list on the prover's own disk prove nothing; every file is reported as missing.
 */
export async function runVerify(ask: AskDesk, verify: Verify): Promise<VerifyAnswer> {
  const about = { challenge_id: verify.challenge_id };
  if (verify.challenge_type === 'fingerprint') {
    const parsed = fingerprintSchema.safeParse(verify.challenge ?? {});
    if (!parsed.success)
      return { ...about, success: false, response: null, error: 'The challenge could not be read.' };
    const files = (parsed.data.files ?? []).map(({ filename }) => ({
      filename,
      hash: '',
      status: 'missing',
    }));
    return { ...about, success: files.length === 0, response: { files } };
  }
  if (verify.challenge_type === 'deterministic') {
    const parsed = deterministicSchema.safeParse(verify.challenge);
    if (!parsed.success)
      return { ...about, success: false, response: null, error: 'The challenge could not be read.' };
    const { prompt, seed, max_tokens: maxTokens } = parsed.data;
    const { end, answer } = await ask(
      verify.model_id ?? '',
      {
        messages: [{ role: 'user', content: prompt }],
        temperature: 0,
        max_tokens: maxTokens ?? VERIFY_TOKENS,
        logprobs: true,
        top_logprobs: 1,
        ...(seed === undefined ? {} : { seed }),
      },
      VERIFY_MS_MAX,
    );
    const choice = readAnswer(answer)?.choices[0];
    if (end.status !== 200 || !choice) {
      return { ...about, success: false, response: null, error: end.error ?? `status ${end.status}` };
    }
    const text = choice.message.content ?? '';
    const tokens = choice.logprobs?.content?.map(({ token }) => token) ?? text.split(/\s+/).filter(Boolean);
    return { ...about, success: true, response: { tokens, text } };
  }
  return {
    ...about,
    success: false,
    response: null,
    error: `unsupported challenge type: ${verify.challenge_type.slice(0, 64)}`,
  };
}

function readAnswer(json: Buffer | undefined): z.output<typeof answerSchema> | undefined {
  if (!json) return undefined;
  try {
    return answerSchema.safeParse(JSON.parse(json.toString())).data;
  } catch {
    return undefined;
  }
}
