import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { Sealed } from '#kit/sealed.ts';

/** Stripe as far as we use it: a server that makes checkouts, and the webhooks that it would send. */
export interface StripeDouble {
  readonly api: { host: string; port: number; protocol: 'http' };
  /** The forms that came to the server, with their paths and idempotency keys. */
  readonly calls: { path: string; idempotencyKey: string | undefined; form: URLSearchParams }[];
  /** Answers to come before the ordinary ones: a status, or `hang-up`. */
  readonly failures: (number | 'hang-up')[];
  /** Metadata of payment intents that it knows. */
  readonly payments: Map<string, Record<string, string>>;
  close(): Promise<void>;
}

export const WEBHOOK_SECRET = new Sealed('whsec_for_tests_only');
export const SECRET_KEY = new Sealed('sk_test_for_tests_only');

export async function openStripe(): Promise<StripeDouble> {
  const calls: StripeDouble['calls'] = [];
  const failures: StripeDouble['failures'] = [];
  const payments: StripeDouble['payments'] = new Map();
  const made = new Map<string, string>();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const path = request.url ?? '';
      const key = request.headers['idempotency-key'] as string | undefined;
      const form = new URLSearchParams(Buffer.concat(parts).toString('utf8'));
      calls.push({ path, idempotencyKey: key, form });
      const failure = failures.shift();
      if (failure === 'hang-up') return void request.socket.destroy();
      const answer = (status: number, body: unknown): void => {
        response.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_double' });
        response.end(JSON.stringify(body));
      };
      if (failure !== undefined) return answer(failure, { error: { type: 'api_error', message: 'down' } });
      if (path === '/v1/checkout/sessions') {
        const id = made.get(key ?? '') ?? `cs_test_${made.size + 1}`;
        if (key) made.set(key, id);
        return answer(200, {
          id,
          object: 'checkout.session',
          url: `https://checkout.stripe.com/c/pay/${id}`,
        });
      }
      const payment = path.startsWith('/v1/payment_intents/') ? (path.split('/')[3] ?? '') : '';
      const metadata = payments.get(payment);
      if (metadata) return answer(200, { id: payment, object: 'payment_intent', metadata });
      return answer(404, {
        error: { type: 'invalid_request_error', code: 'resource_missing', message: 'none' },
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    api: { host: '127.0.0.1', port, protocol: 'http' },
    calls,
    failures,
    payments,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A webhook as Stripe sends it: the bytes, and the header that signs them at `atMs`. */
export function webhook(
  event: { id?: string; type: string; object: Record<string, unknown> },
  { atMs, secret = WEBHOOK_SECRET.open() }: { atMs: number; secret?: string },
): { payload: Buffer; signature: string } {
  const payload = Buffer.from(
    JSON.stringify({
      id: event.id ?? 'evt_1',
      object: 'event',
      api_version: '2026-01-01',
      created: Math.floor(atMs / 1000),
      livemode: false,
      type: event.type,
      data: { object: event.object },
    }),
  );
  const t = Math.floor(atMs / 1000);
  const v1 = createHmac('sha256', secret).update(`${t}.`).update(payload).digest('hex');
  return { payload, signature: `t=${t},v1=${v1}` };
}

/** `checkout.session.completed` of a checkout of ours. */
export function paidSession(
  checkout: string,
  { payment, cents, ...more }: { payment: string; cents: number; [field: string]: unknown },
): { type: string; object: Record<string, unknown> } {
  return {
    type: 'checkout.session.completed',
    object: {
      id: `cs_${payment}`,
      object: 'checkout.session',
      client_reference_id: checkout,
      payment_intent: payment,
      payment_status: 'paid',
      amount_total: cents,
      currency: 'usd',
      ...more,
    },
  };
}
