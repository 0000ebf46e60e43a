import { isFields } from '../completion.ts';

/**
 * What an endpoint's refusal means. Its status and words are a stranger's, and most of them speak of the endpoint's owner
 * (its key, its quota, its account), not of the consumer's request: a consumer must never read 401 because somebody
 * else's key has expired. Only 400, 413 and 422 with an error in one of the shapes that model servers write are taken
 * as a word on the request; what a proxy or a wrong path answers is the endpoint's failure.
 *
 * Shapes: OpenAI `{error: {message, code}}`; vLLM `{object: "error", message, code}`; TGI `{error: "…", error_type}`;
 * FastAPI `{detail}`.
 */
export interface UpstreamRefusal {
  /** As `agent-status.ts` reads it. */
  readonly status: number;
  /** Only to tell kinds of failure apart; nobody is shown it. */
  readonly text: string | undefined;
}

/** Is what the status means known without the body? */
export function meansWithoutBody(status: number): boolean {
  return status !== 400 && status !== 413 && status !== 422;
}

/** Reads a refusal with `status` other than 200, and its body, as far as it was read. */
export function readRefusal(status: number, body: string): UpstreamRefusal {
  if (status === 429 || status === 503) return { status: 429, text: undefined };
  if (status === 408 || status === 504 || status === 524) return { status: 504, text: undefined };
  if (meansWithoutBody(status)) return { status: status === 404 ? 404 : 502, text: undefined };
  const error = errorIn(parsed(body));
  // Too large for the endpoint's proxy: no failure of its models, and others may take it.
  if (!error) return { status: status === 413 ? 429 : 502, text: undefined };
  if (OWNERS_FAULT.test(error.code)) return { status: 502, text: undefined };
  return { status, text: error.text };
}

/** Reads an error that came where an answer should be: in an event, or with status 200. Undefined when it is none. */
export function readErrorInside(value: unknown): UpstreamRefusal | undefined {
  if (!isFields(value) || ((value['error'] ?? undefined) === undefined && value['object'] !== 'error'))
    return undefined;
  const error = errorIn(value);
  const code = error?.code ?? '';
  if (/\b(?:400|422)\b|context_length|BadRequest|validation/i.test(code) && error)
    return { status: 400, text: error.text };
  if (/\b(?:429|503)\b|rate_limit|overloaded/i.test(code)) return { status: 429, text: undefined };
  return { status: 502, text: undefined };
}

/** Codes of a 400 that speak of the key, the account or the endpoint's set-up. */
const OWNERS_FAULT =
  /api_key|auth|permission|account|billing|quota|credit|model_not_found|model_not_available|deployment/i;

function errorIn(value: unknown): { text: string; code: string } | undefined {
  if (!isFields(value)) return undefined;
  const inner = value['error'];
  if (isFields(inner)) return said(inner['message'], [inner['code'], inner['type']]);
  if (typeof inner === 'string') return said(inner, [value['error_type'], value['code']]);
  if (value['detail'] !== undefined) {
    const { detail } = value;
    return said(typeof detail === 'string' ? detail : JSON.stringify(detail), ['validation']);
  }
  return said(value['message'], [value['code'], value['type']]);
}

function said(message: unknown, codes: readonly unknown[]): { text: string; code: string } | undefined {
  if (typeof message !== 'string') return undefined;
  const code = codes.filter((each) => typeof each === 'string' || typeof each === 'number').join(' ');
  return { text: message.slice(0, 1_024), code: code.slice(0, 128) };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
