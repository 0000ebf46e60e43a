import { OPERATIONS, type Operation } from '#domain/operation.ts';
import type { Usage } from '#domain/usage.ts';
import type { AttemptEnd } from '#hub/link.ts';

/**
 * What gateways say to each other of one job: its beginning and its end, as JSON. Read by hand and not by a schema, because
 * both are on the way of every request that is served elsewhere: a schema took half of what the other gateway does before
 * its agent hears of the job. Whatever is beyond the named fields is passed over: it is from tomorrow.
 */

/** What a `job` frame says, beyond what an agent is told. */
export interface PeerJob {
  readonly attempt: string;
  readonly link: string;
  readonly model: string;
  readonly completion: string;
  readonly created: number;
  readonly operation: Operation;
  readonly items: number;
  readonly dimensions?: number | undefined;
  readonly stream: boolean;
  readonly set: Readonly<Record<string, unknown>>;
  readonly via?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly body_bytes: number;
  readonly credit: number;
  readonly deadline_ms: number;
}

/** What an `end` frame says. */
export interface PeerEnd {
  readonly outcome: AttemptEnd['outcome'];
  readonly usage?: Usage | undefined;
  readonly inner?: string | undefined;
  readonly error_code?: string | undefined;
}

const NAME_CHARS_MAX = 256;
const OUTCOMES: readonly unknown[] = ['completed', 'refused', 'busy', 'failed', 'lost', 'cancelled'];

/** A job as it was said; undefined when it is none. */
export function readPeerJob(said: unknown): PeerJob | undefined {
  if (!isRecord(said)) return undefined;
  const lawful =
    isName(said['attempt']) &&
    isName(said['link']) &&
    isName(said['model']) &&
    isName(said['completion']) &&
    Number.isSafeInteger(said['created']) &&
    (OPERATIONS as readonly unknown[]).includes(said['operation']) &&
    isCount(said['items'], 0) &&
    (said['dimensions'] === undefined || isCount(said['dimensions'], 1)) &&
    typeof said['stream'] === 'boolean' &&
    isRecord(said['set']) &&
    (said['via'] === undefined || typeof said['via'] === 'string') &&
    (said['traceparent'] === undefined || isName(said['traceparent'])) &&
    isCount(said['body_bytes'], 0) &&
    isCount(said['credit'], 1) &&
    Number.isFinite(said['deadline_ms']) &&
    (said['deadline_ms'] as number) > 0;
  return lawful ? (said as unknown as PeerJob) : undefined;
}

/** An end as it was said; undefined when it is none. */
export function readPeerEnd(said: unknown): PeerEnd | undefined {
  if (!isRecord(said)) return undefined;
  const lawful =
    OUTCOMES.includes(said['outcome']) &&
    (said['usage'] === undefined || isUsage(said['usage'])) &&
    (said['inner'] === undefined || typeof said['inner'] === 'string') &&
    (said['error_code'] === undefined || typeof said['error_code'] === 'string');
  return lawful ? (said as unknown as PeerEnd) : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value.length <= NAME_CHARS_MAX;
}

function isCount(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least;
}

/** Numbers alone, and those that no usage lacks: what is charged is counted from them. */
function isUsage(value: unknown): boolean {
  if (!isRecord(value) || !isNumber(value['inputTokens']) || !isNumber(value['outputTokens'])) return false;
  for (const name in value) if (!isNumber(value[name])) return false;
  return true;
}

function isNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}
