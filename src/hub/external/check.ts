import type { Clock } from '#kit/clock.ts';
import { isFields } from '../completion.ts';
import { NotReachable } from './guarded-connect.ts';
import type { Line } from './line.ts';

const CHECK_MS = 10_000;
const LIST_BYTES_MAX = 4 * 1_048_576;
const MODELS_MAX = 20_000;

/** What one look at an endpoint found. `because` is a sentence of ours, fit for the endpoint's owner. */
export type CheckResult =
  | { readonly healthy: true; readonly models: ReadonlySet<string> }
  | { readonly healthy: false; readonly because: string };

/**
 * Asks an endpoint for its list of models, with its key: the one call that every OpenAI-compatible server has, costs
 * nothing, and shows whether the key is good. Never throws, and answers within ten seconds of `clock`.
 */
export async function checkEndpoint(line: Line, clock: Clock): Promise<CheckResult> {
  const late = new AbortController();
  const timer = clock.after(CHECK_MS, () => late.abort());
  try {
    const response = await line.pool.request({
      origin: line.origin,
      path: `${line.path}/models`,
      method: 'GET',
      headers: line.headers,
      signal: late.signal,
    });
    const { statusCode: status } = response;
    // A body that is left unread fails as aborted, and nobody else would hear it.
    response.body.on('error', () => {});
    if (status !== 200) {
      response.body.destroy();
      return ill(wordsFor(status));
    }
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of response.body as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > LIST_BYTES_MAX) return ill('Its list of models is too long.');
      parts.push(part);
    }
    const models = namesIn(Buffer.concat(parts).toString());
    return models ? { healthy: true, models } : ill('What it answers to GET /models is no list of models.');
  } catch (error) {
    if (late.signal.aborted) return ill('It did not answer in time.');
    if (error instanceof NotReachable) return ill(error.message);
    return ill(wordsForError((error as { code?: unknown }).code));
  } finally {
    timer.cancel();
  }
}

function ill(because: string): CheckResult {
  return { healthy: false, because };
}

function wordsFor(status: number): string {
  if (status === 401 || status === 403) return `It does not accept the key (status ${status}).`;
  if (status >= 300 && status < 400)
    return `It redirects (status ${status}): register the URL that it leads to.`;
  if (status === 404) return 'It has no GET /models under this URL (status 404).';
  if (status === 429 || status === 503) return `It is busy (status ${status}).`;
  if (status === 508) return 'It leads back to this market, or through too many others (status 508).';
  return `It answers with status ${status}.`;
}

function wordsForError(code: unknown): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'Nothing listens there.';
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return 'A connection could not be made in time.';
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
      return 'It closed the connection.';
    default:
      return typeof code === 'string' && /CERT|TLS|SSL|SELF_SIGNED|ALTNAME/.test(code)
        ? 'Its certificate is not valid for this name.'
        : 'It could not be asked.';
  }
}

function namesIn(text: string): Set<string> | undefined {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  const data = isFields(list) ? list['data'] : undefined;
  if (!Array.isArray(data)) return undefined;
  const names = data.slice(0, MODELS_MAX).map((each) => (isFields(each) ? each['id'] : undefined));
  return new Set(names.filter((name) => typeof name === 'string'));
}
