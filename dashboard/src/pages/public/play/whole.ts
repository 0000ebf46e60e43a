import { ApiError, call, send } from '../../../api.ts';
import { pause, ticksMs } from '../../../surroundings.ts';

/** An answer that comes in one piece, and what it took. */
export interface Whole<T> {
  readonly answer: T;
  readonly tookMs: number;
  /** Dollars as a decimal text, as the ledger has them; undefined where the market does not say in time. */
  readonly cost: string | undefined;
}

/** Asks for a picture or a transcript, and then for what it cost. Throws `ApiError`. */
export async function askWhole<T>(path: string, body: unknown, key: string | undefined): Promise<Whole<T>> {
  const begun = ticksMs();
  const reply = await send('POST', path, { body, key });
  const answer = (await reply.json()) as T;
  const tookMs = ticksMs() - begun;
  return { answer, tookMs, cost: await costOf(reply.headers.get('x-request-id'), key) };
}

const LOOKS = 4;
const LOOK_MS = 500;

/** A request that another process of the market served is known here a moment later. */
async function costOf(id: string | null, key: string | undefined): Promise<string | undefined> {
  if (id === null) return undefined;
  for (let look = 0; look < LOOKS; look += 1) {
    try {
      // One look after another: that is what waiting is.
      // oxlint-disable-next-line no-await-in-loop
      const { data } = await call<{ data: { usage_usd: string } }>('GET', `/v1/generation?id=${id}`, { key });
      return data.usage_usd;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) return undefined;
      // oxlint-disable-next-line no-await-in-loop
      await pause(LOOK_MS);
    }
  }
  return undefined;
}
