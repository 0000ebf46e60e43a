import { answerBytes, isCompletionChunkFor, isFields } from './completion.ts';
import type { Job } from './link.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const CLOSING_BRACE = 0x7d;

/** Do these bytes begin with `data: {` at `at`? */
function opens(sse: Buffer, at: number): boolean {
  return (
    sse[at] === 0x64 &&
    sse[at + 1] === 0x61 &&
    sse[at + 2] === 0x74 &&
    sse[at + 3] === 0x61 &&
    sse[at + 4] === 0x3a &&
    sse[at + 5] === 0x20 &&
    sse[at + 6] === 0x7b
  );
}

/**
 * Are these bytes exactly `count` server-sent events of the form `data: {…}\n\n`, with no other line break (which an
 * event stream would read as the end of a line)? Looks for breaks with the machine's own search: 20 ns an event.
 */
export function isFramed(sse: Buffer, count: number): boolean {
  let at = 0;
  let seen = 0;
  while (at < sse.length) {
    if (!opens(sse, at)) return false;
    const end = sse.indexOf(LINE_FEED, at);
    if (end < 0 || sse[end - 1] !== CLOSING_BRACE || sse[end + 1] !== LINE_FEED) return false;
    at = end + 2;
    seen += 1;
  }
  return seen === count && sse.indexOf(CARRIAGE_RETURN) < 0;
}

/** Do framed events say what they were told to say: the id, the model, the time, choices, and no usage? Parses each. */
export function areEventsFor(sse: Buffer, job: Job): boolean {
  let at = 0;
  while (at < sse.length) {
    const end = sse.indexOf(LINE_FEED, at);
    let chunk: unknown;
    try {
      chunk = JSON.parse(sse.toString('utf8', at + 'data: '.length, end));
    } catch {
      return false;
    }
    if (!isCompletionChunkFor(chunk, job)) return false;
    at = end + 2;
  }
  return true;
}

/**
 * UTF-8 bytes of what a model wrote in framed events. `spare` is the least that an event without a role has beyond the
 * smallest event and its content; undefined when there is no such event. Parses each.
 */
export function measureEvents(sse: Buffer, job: Job): { bytes: number; spare: number | undefined } {
  let bytes = 0;
  let spare: number | undefined;
  const envelope = envelopeBytes(job);
  let at = 0;
  while (at < sse.length) {
    const end = sse.indexOf(LINE_FEED, at);
    let inEvent = 0;
    let plain = true;
    for (const choice of choicesOf(sse.toString('utf8', at + 'data: '.length, end))) {
      const delta = isFields(choice) ? choice['delta'] : undefined;
      inEvent += answerBytes(delta);
      if (isFields(choice) && typeof choice['text'] === 'string')
        inEvent += Buffer.byteLength(choice['text']);
      if (isFields(delta) && 'role' in delta) plain = false;
    }
    bytes += inEvent;
    if (plain && inEvent > 0)
      spare = Math.min(spare ?? Number.POSITIVE_INFINITY, Math.max(0, end + 2 - at - envelope - inEvent));
    at = end + 2;
  }
  return { bytes, spare };
}

function choicesOf(json: string): unknown[] {
  try {
    const chunk: unknown = JSON.parse(json);
    return isFields(chunk) && Array.isArray(chunk['choices']) ? chunk['choices'] : [];
  } catch {
    return [];
  }
}

/** The size of the smallest event that can carry content for a job: whatever an event has beyond it may be content. */
export function envelopeBytes(job: Job): number {
  const smallest = job.operation === 'completions' ? SMALLEST_TEXT_EVENT : SMALLEST_EVENT;
  return smallest.length + job.completionId.length + job.modelId.length;
}

const SMALLEST_EVENT =
  'data: {"id":"","object":"chat.completion.chunk","created":1000000000,"model":"","choices":[{"index":0,"delta":{"content":""}}]}\n\n';
const SMALLEST_TEXT_EVENT =
  'data: {"id":"","object":"text_completion","created":1000000000,"model":"","choices":[{"index":0,"text":""}]}\n\n';
