import { request } from 'undici';
import { z } from 'zod';
import type { Logger } from '#kit/log.ts';
import type { Sealed } from '#kit/sealed.ts';

const ASK_MS_MAX = 10_000;
const ANSWER_BYTES_MAX = 65_536;

const standingSchema = z.looseObject({
  status: z.string().optional().catch(undefined),
  can_connect: z.boolean().optional().catch(undefined),
  api_key_valid: z.boolean().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  warning: z.string().optional().catch(undefined),
  next_steps: z.array(z.string()).max(20).optional().catch(undefined),
});

/**
 * Asks `GET {service}/api/v1/provider/status` once and passes on to the operator what it says about the key and the steps
 * that are left. Only information: whatever it answers, the hub decides. Never throws.
 */
export async function tellStanding(serviceUrl: string, key: Sealed<string>, log: Logger): Promise<void> {
  try {
    const base = serviceUrl.replace(/\/+$/, '').replace(/\/api\/v1$/, '');
    const response = await request(`${base}/api/v1/provider/status`, {
      headers: { authorization: `Bearer ${key.open()}` },
      headersTimeout: ASK_MS_MAX,
      bodyTimeout: ASK_MS_MAX,
    });
    let text = '';
    for await (const piece of response.body as AsyncIterable<Buffer>) {
      text += piece.toString();
      if (text.length > ANSWER_BYTES_MAX) break;
    }
    const parsed = standingSchema.safeParse(JSON.parse(text));
    if (!parsed.success) return;
    const {
      api_key_valid: valid,
      can_connect: canConnect,
      status,
      message,
      warning,
      next_steps: steps,
    } = parsed.data;
    const fields = { status, text: message?.slice(0, 500), warning: warning?.slice(0, 500), steps };
    if (valid === false || canConnect === false)
      log.warn(fields, 'the market does not expect this key to serve');
    else log.info(fields, 'the standing of this provider');
  } catch {
    log.debug('the standing of this provider could not be asked');
  }
}
