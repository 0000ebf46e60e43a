import type { Job } from './link.ts';
import { chatBody } from './text-by-chat.ts';

/**
 * The `inference` message of a job (Swan contract 1.5). The body's bytes are spliced in as they came: writing 64 kB of
 * prompt as JSON again would cost more than everything else. Fields to be set are appended when the body does not name
 * them; only a body that does name one is parsed and rewritten, as is one whose `stream` contradicts the job's (the
 * agent does not resolve that, and answers 502).
 *
 * `name` is the agent's own name of the model.
 */
export function inferenceFrame(job: Job, name: string): Buffer {
  const set: Record<string, unknown> = { ...job.set };
  if (name !== job.modelId) set['model'] = name;
  const { operation, body } = told(job);
  const recording = operation === 'audio/transcriptions';
  if (!job.stream && !recording && saysStream(body)) set['stream'] = false;
  const head = Buffer.from(
    `{"type":"inference","request_id":${JSON.stringify(job.attemptId)},"payload":{"endpoint_id":${JSON.stringify(job.modelId)},` +
      `"model_id":${JSON.stringify(name)},"operation":"${operation}","stream":${job.stream},"request":`,
  );
  return Buffer.concat([head, recording ? recordingBody(body, set) : bodyWith(body, set), CLOSING]);
}

/** What an agent is told of a job: of text completions it knows nothing, so it is asked to chat. */
function told(job: Job): { operation: string; body: Buffer } {
  if (job.operation === 'completions') return { operation: 'chat/completions', body: chatBody(job.body) };
  return { operation: job.operation, body: job.body };
}

/** A recording travels as base64 within the JSON body (Swan contract 1.10). */
function recordingBody(recording: Buffer, set: Record<string, unknown>): Buffer {
  const fields = JSON.stringify(set).slice(1, -1);
  return Buffer.concat([
    Buffer.from(`{${fields}${fields === '' ? '' : ','}"file":"`),
    Buffer.from(recording.toString('base64'), 'latin1'),
    Buffer.from('"}'),
  ]);
}

const CLOSING = Buffer.from('}}');

/** The body with fields set: its own bytes where that is possible. */
function bodyWith(body: Buffer, set: Record<string, unknown>): Buffer {
  const names = Object.keys(set);
  if (names.length === 0) return body;
  const end = body.lastIndexOf(0x7d);
  // A body that is `{}` would need no comma; one that names a field would hold it twice.
  const appends = end > 0 && body.includes(':') && !names.some((name) => body.includes(JSON.stringify(name)));
  if (!appends) return Buffer.from(JSON.stringify({ ...(JSON.parse(body.toString()) as object), ...set }));
  return Buffer.concat([body.subarray(0, end), Buffer.from(`,${JSON.stringify(set).slice(1)}`)]);
}

/** Might the body hold `"stream": true`? Only to decide whether to look closer, so a mention inside a text may say yes. */
function saysStream(body: Buffer): boolean {
  for (let at = body.indexOf('"stream"'); at >= 0; at = body.indexOf('"stream"', at + 8)) {
    if (/^"stream"\s*:\s*true/.test(body.toString('latin1', at, at + 64))) return true;
  }
  return false;
}
