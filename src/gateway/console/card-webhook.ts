import type { FastifyInstance } from 'fastify';
import { Fault } from '#kit/fault.ts';
import type { ConsoleRooms } from './rooms.ts';

const WEBHOOK_BYTES_MAX = 262_144;

/**
 * Where Stripe tells of payments. The signature is over the bytes as they came, so this address alone reads its body as
 * bytes, and everything else that a caller says of itself counts for nothing here.
 */
export function cardWebhook(app: FastifyInstance, rooms: ConsoleRooms): void {
  void app.register(async (inner) => {
    inner.removeAllContentTypeParsers();
    inner.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    inner.post('/api/v1/webhooks/stripe', { bodyLimit: WEBHOOK_BYTES_MAX }, async (request) => {
      const { card } = rooms.funds;
      if (!card) throw new Fault('thing-unknown', { outer: 'This market takes no cards.' });
      const signature = request.headers['stripe-signature'];
      const payload = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const news = await card.hear(payload, typeof signature === 'string' ? signature : undefined);
      return { received: true, news };
    });
  });
}
