/**
 * The error table. A row decides everything about a failure that a caller can meet: the HTTP status, the `type` and
 * `code` of the OpenAI-shaped body, whose fault it was, whether it spends the error budget of our availability promise,
 * whether trying again can help, and the sentence. `docs/errors.md` holds the same rows; a test compares the two.
 */
export type Whose = 'caller' | 'provider' | 'platform';

export interface ErrorRow {
  readonly status: number;
  /** The OpenAI error `type`. */
  readonly type: string;
  /** The OpenAI error `code`, where clients of OpenAI know one; our own name otherwise. */
  readonly openaiCode: string;
  readonly whose: Whose;
  readonly spendsBudget: boolean;
  /** May the caller usefully send the same request again? */
  readonly retry: boolean;
  readonly sentence: string;
}

const row = (
  status: number,
  type: string,
  openaiCode: string,
  whose: Whose,
  spendsBudget: boolean,
  retry: boolean,
  sentence: string,
): ErrorRow => ({ status, type, openaiCode, whose, spendsBudget, retry, sentence });

const INVALID = 'invalid_request_error';

export const ERRORS = {
  'body-not-json': row(400, INVALID, 'invalid_json', 'caller', false, false, 'The body is not valid JSON.'),
  'request-invalid': row(400, INVALID, 'invalid_value', 'caller', false, false, 'The request is not valid.'),
  'request-refused-by-model': row(
    400,
    INVALID,
    'invalid_value',
    'caller',
    false,
    false,
    'The model cannot serve this request as it stands.',
  ),
  'request-quarantined': row(
    400,
    INVALID,
    'request_quarantined',
    'caller',
    false,
    false,
    'This request disconnected several providers and is not tried again for a while.',
  ),
  'prompt-too-long': row(
    400,
    INVALID,
    'context_length_exceeded',
    'caller',
    false,
    false,
    "The prompt is longer than the model's context allows.",
  ),
  'key-missing': row(
    401,
    'authentication_error',
    'missing_api_key',
    'caller',
    false,
    false,
    'No API key was given. Send it as Authorization: Bearer sk-swan-….',
  ),
  'key-unknown': row(
    401,
    'authentication_error',
    'invalid_api_key',
    'caller',
    false,
    false,
    'This API key is not known.',
  ),
  'key-revoked': row(
    401,
    'authentication_error',
    'invalid_api_key',
    'caller',
    false,
    false,
    'This API key was revoked.',
  ),
  'key-of-provider': row(
    401,
    'authentication_error',
    'invalid_api_key',
    'caller',
    false,
    false,
    'This is a provider key. Inference needs a consumer key (sk-swan-…).',
  ),
  'balance-short': row(
    402,
    'insufficient_quota',
    'insufficient_balance',
    'caller',
    false,
    false,
    'The balance does not cover this request.',
  ),
  'route-unknown': row(
    404,
    INVALID,
    'not_found',
    'caller',
    false,
    false,
    'There is nothing at this address.',
  ),
  'model-unknown': row(
    404,
    INVALID,
    'model_not_found',
    'caller',
    false,
    false,
    'This model is not in the catalogue.',
  ),
  'generation-unknown': row(
    404,
    INVALID,
    'not_found',
    'caller',
    false,
    false,
    'No request of yours has this id.',
  ),
  'method-not-allowed': row(
    405,
    INVALID,
    'method_not_allowed',
    'caller',
    false,
    false,
    'This address does not answer that method.',
  ),
  'client-too-slow': row(
    408,
    INVALID,
    'client_too_slow',
    'caller',
    false,
    true,
    'The answer was not read fast enough.',
  ),
  'body-too-large': row(
    413,
    INVALID,
    'request_too_large',
    'caller',
    false,
    false,
    'The body is larger than this market accepts.',
  ),
  'prompt-too-large-for-providers': row(
    413,
    INVALID,
    'request_too_large',
    'caller',
    false,
    false,
    'No provider that is connected now can accept a request this large.',
  ),
  'encoding-unsupported': row(
    415,
    INVALID,
    'unsupported_encoding',
    'caller',
    false,
    false,
    'Send the body as uncompressed JSON.',
  ),
  'rate-limited': row(
    429,
    'rate_limit_error',
    'rate_limit_exceeded',
    'caller',
    false,
    true,
    'Too many requests a minute for this key.',
  ),
  'too-many-at-once': row(
    429,
    'rate_limit_error',
    'concurrency_limit_exceeded',
    'caller',
    false,
    true,
    'Too many requests at once for this key.',
  ),
  'client-left': row(
    499,
    INVALID,
    'client_closed_request',
    'caller',
    false,
    false,
    'The client closed the connection.',
  ),
  internal: row(
    500,
    'server_error',
    'internal_error',
    'platform',
    true,
    true,
    'Something went wrong on our side.',
  ),
  'provider-cut-off': row(
    502,
    'server_error',
    'provider_cut_off',
    'provider',
    true,
    true,
    'The answer was cut off. You were not charged.',
  ),
  'provider-failed': row(
    502,
    'server_error',
    'provider_failed',
    'provider',
    true,
    true,
    'The providers that were tried could not serve this request. You were not charged.',
  ),
  'model-without-provider': row(
    503,
    'server_error',
    'no_provider_available',
    'platform',
    true,
    true,
    'No provider is serving this model now.',
  ),
  'providers-busy': row(
    503,
    'server_error',
    'all_providers_busy',
    'platform',
    true,
    true,
    'All providers of this model are busy.',
  ),
  'playground-empty': row(
    503,
    'server_error',
    'playground_empty',
    'platform',
    false,
    false,
    'The credit of the playground is used up. A key of your own works.',
  ),
  'ledger-unavailable': row(
    503,
    'server_error',
    'ledger_unavailable',
    'platform',
    true,
    true,
    'Paid work cannot be accepted right now.',
  ),
  'shutting-down': row(
    503,
    'server_error',
    'shutting_down',
    'platform',
    false,
    true,
    'This server is restarting.',
  ),
  'provider-too-slow': row(
    504,
    'server_error',
    'provider_timeout',
    'provider',
    true,
    true,
    'No answer arrived in time. You were not charged.',
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** The row of a code; a code that is not in the table is a bug of ours and reads as `internal`. */
export function errorRow(code: string): ErrorRow {
  return Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode] : ERRORS.internal;
}

/** The OpenAI-shaped body of an error. */
export function errorBody(
  code: string,
  about: { outer?: string | undefined; param?: string | undefined } = {},
): { error: { message: string; type: string; code: string; param: string | null } } {
  const { sentence, type, openaiCode } = errorRow(code);
  return {
    error: {
      message: about.outer ?? sentence,
      type,
      code: openaiCode,
      param: about.param ?? null,
    },
  };
}
