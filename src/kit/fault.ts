/**
 * An operation that failed. `code` is a row of the error table (`wire/errors.ts`), from which status, sentence and blame
 * follow. `inner` is for us: it may name hosts and causes and never leaves the house. `outer` replaces the table's
 * sentence where the caller can be told more precisely; it must be fit for anyone to read.
 */
export class Fault extends Error {
  override name = 'Fault';
  readonly code: string;
  readonly outer: string | undefined;
  /** Seconds after which a retry makes sense, for `Retry-After`. */
  readonly retryAfterS: number | undefined;
  /** The request field the complaint is about, for the OpenAI error body. */
  readonly param: string | undefined;

  constructor(
    code: string,
    about: { inner?: string; outer?: string; cause?: unknown; retryAfterS?: number; param?: string } = {},
  ) {
    super(about.inner ?? about.outer ?? code, about.cause === undefined ? undefined : { cause: about.cause });
    this.code = code;
    this.outer = about.outer;
    this.retryAfterS = about.retryAfterS;
    this.param = about.param;
  }
}
