import type { AgentEnv } from '../env.ts';
import { whyLines } from '../why-page.ts';
import { type AccessOptions, withMarket } from './access.ts';
import type { Answer } from './print.ts';

/** `cygnet agent why`: every gate between a request and this provider's models, and what would put them in front. */
export async function why(model: string | undefined, options: AccessOptions, env: AgentEnv): Promise<Answer> {
  return await withMarket(options, env, async ({ market, key }) => {
    const answer = await market.why(key, model);
    return { value: answer, lines: whyLines(answer) };
  });
}
