import { Readable } from 'node:stream';
import { withMembers } from '#kit/json-members.ts';
import { multipart, newBoundary } from '#kit/multipart.ts';
import type { Randomness } from '#kit/random.ts';
import type { Job } from '../link.ts';
import { chatBody } from '../text-by-chat.ts';

/** A job as an endpoint is asked it. */
export interface UpstreamRequest {
  /** Behind the endpoint's own path. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | Readable;
}

/**
 * Writes the request for a job: the endpoint's name of the model, the fields to be set, and in a stream always the wish
 * for its usage, which is billed. The rest of the body stays byte for byte. A text completion is asked as a chat where
 * the endpoint is registered for chats only (`byChat`). Undefined when the body is no JSON object.
 */
export function requestOf(
  job: Job,
  about: { upstreamName: string; byChat: boolean; random: Randomness },
): UpstreamRequest | undefined {
  const set = { ...job.set, model: about.upstreamName };
  if (job.operation === 'audio/transcriptions') return formOf(job.body, set, about.random);
  const text = job.operation === 'chat/completions' || job.operation === 'completions';
  const body = withMembers(about.byChat ? chatBody(job.body) : job.body, {
    drop: DROPPED,
    set: { ...set, ...(text && STREAMED[job.stream ? 'yes' : 'no']) },
  });
  if (!body) return undefined;
  return {
    path: `/${about.byChat ? 'chat/completions' : job.operation}`,
    headers: { 'content-type': 'application/json' },
    body,
  };
}

const DROPPED = new Set(['stream', 'stream_options']);
const STREAMED = {
  yes: { stream: true, stream_options: { include_usage: true } },
  no: { stream: false },
};

function formOf(recording: Buffer, set: Record<string, unknown>, random: Randomness): UpstreamRequest {
  const { filename, ...fields } = set;
  const name = typeof filename === 'string' ? filename : 'recording';
  const form = multipart(fields, { name, bytes: recording }, newBoundary(random));
  return {
    path: '/audio/transcriptions',
    headers: { 'content-type': form.contentType, 'content-length': String(form.bytes) },
    body: Readable.from(form.pieces),
  };
}
