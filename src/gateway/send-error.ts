import type { Fault } from '#kit/fault.ts';
import { errorBody, errorRow } from '#wire/errors.ts';
import type { Headers, Reply } from './reply.ts';

/**
 * Answers with a fault as OpenAI's clients expect it. What the fault says inwardly stays here: only the table's sentence
 * or the fault's outer text leaves.
 */
export function sendError(reply: Reply, fault: Fault, headers: Headers = []): void {
  const row = errorRow(fault.code);
  const body = Buffer.from(JSON.stringify(errorBody(fault.code, fault)));
  reply.send(row.status, [...errorHeaders(fault), ...headers], body);
}

/** The headers every error carries. */
function errorHeaders(fault: Fault): string[] {
  const headers = ['content-type', 'application/json'];
  if (fault.retryAfterS !== undefined) headers.push('retry-after', String(Math.ceil(fault.retryAfterS)));
  return headers;
}
