import type { ErrorCode } from '#wire/errors.ts';
import type { AttemptEnd } from './link.ts';

/**
 * What an agent's `status_code` means for us (Swan contract 1.9). The status is the agent's or its backend's word: only
 * one that blames the request is taken as the request's fault, anything odd is a provider's failure.
 */
export interface StatusMeaning {
  readonly outcome: AttemptEnd['outcome'];
  readonly errorCode: ErrorCode;
}

const REQUEST: StatusMeaning = { outcome: 'refused', errorCode: 'request-refused-by-model' };
const TOO_LONG: StatusMeaning = { outcome: 'refused', errorCode: 'prompt-too-long' };
const BUSY: StatusMeaning = { outcome: 'busy', errorCode: 'providers-busy' };
const FAILED: StatusMeaning = { outcome: 'failed', errorCode: 'provider-failed' };
const SLOW: StatusMeaning = { outcome: 'failed', errorCode: 'provider-too-slow' };

/** Backends say a prompt is too long with 400 and a sentence; vLLM, SGLang, llama.cpp and TGI use one of these words. */
const LENGTH_WORDS =
  /context[ _](?:length|size|window)|maximum context|too (?:long|many tokens)|inputs?`? tokens|exceed_context/i;

/** The meaning of a status and the error text that came with it. */
export function meaningOf(status: unknown, text: string | undefined): StatusMeaning {
  switch (status) {
    case 400:
    case 422:
      return text !== undefined && LENGTH_WORDS.test(text) ? TOO_LONG : REQUEST;
    case 413:
      return TOO_LONG;
    case 429:
      return BUSY;
    case 408:
    case 504:
      return SLOW;
    default:
      return FAILED;
  }
}

/** The status as a number for a log line: 502 when it is none between 400 and 599. */
export function shownStatus(status: unknown): number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599
    ? status
    : 502;
}
