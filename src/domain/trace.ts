import { createHash } from 'node:crypto';

/**
 * A request's place in a trace, as W3C Trace Context has it. The ids of our own spans follow from the ids that requests and
 * attempts have anyway, so nothing is made or kept for them while a request runs.
 */
export interface Trace {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** The caller's span, 16 hexadecimal digits; absent: the trace begins here. */
  readonly parentId?: string;
}

const HEADER = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The trace of a request: the caller's, where its `traceparent` is one, else a new one. Undefined where the caller says that
 * its trace is not recorded.
 */
export function traceOf(header: string | string[] | undefined, requestId: string): Trace | undefined {
  const [, version, traceId = '', parentId = '', flags = ''] =
    (typeof header === 'string' && HEADER.exec(header)) || [];
  const isOne = version !== undefined && version !== 'ff' && !/^0+$/.test(traceId) && !/^0+$/.test(parentId);
  if (!isOne) return { traceId: digest(requestId, 32) };
  return (Number.parseInt(flags, 16) & 1) === 1 ? { traceId, parentId } : undefined;
}

/** The span of a request or an attempt, by its id. */
export function spanIdOf(id: string): string {
  return digest(`span ${id}`, 16);
}

/** What is sent on with an attempt. */
export function traceparentOf(trace: Trace, attemptId: string): string {
  return `00-${trace.traceId}-${spanIdOf(attemptId)}-01`;
}

function digest(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}
