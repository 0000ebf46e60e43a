import { isCompletionChunkFor } from './completion.ts';
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
