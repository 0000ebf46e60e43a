import { Stripe } from 'stripe';
import type { Database, Sql } from '#db/database.ts';
import { PICO_PER_USD, type Pico } from '#domain/money.ts';
import type { Clock } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';
import type { IdMaker } from '#kit/id.ts';
import type { Logger } from '#kit/log.ts';
import type { Sealed } from '#kit/sealed.ts';
import { lockAvailable, writeEntries } from '#ledger/book.ts';
import { collectionEntry, reinstatementEntry, reversalEntry } from '#ledger/funds-entries.ts';
import { CARD_MAXIMUM_CENTS, DEPOSIT_TERMS, type DepositTerms } from './deposit-rules.ts';
import { receive } from './deposits.ts';

/**
 * Card payments, by Stripe's checkout. We send the consumer to a page of Stripe's and hear of the payment by a webhook;
 * no card number ever comes near us.
 *
 * What must hold. Only what carries Stripe's signature, made in the last five minutes, is believed. A payment is booked
 * once: it is named by its payment intent, however often and in whatever order its events come. It is booked for the
 * consumer for whom we opened the checkout, which we noted before Stripe knew of it; what an event says about whom it is
 * for is only the number of that note. Money that goes back (a refund, a dispute) is taken from what the consumer has
 * unused, and the rest is owed and collected as soon as there is something.
 */
export interface CardSettings {
  readonly secretKey: Sealed<string>;
  readonly webhookSecret: Sealed<string>;
  /** Where the consumer comes back to. */
  readonly returnUrl: string;
  /** Stripe's API, where it is not the real one. */
  readonly api?: { readonly host: string; readonly port: number; readonly protocol: 'http' | 'https' };
}

/** What a webhook came to. Stripe is told that it was heard, for all of them. */
export type CardNews = 'booked' | 'known' | 'reversed' | 'reinstated' | 'ignored';

const TOLERANCE_S = 300;
const PICO_PER_CENT = PICO_PER_USD / 100n;
const COLLECTED_MAX = 1_000;

export class CardDesk {
  readonly #stripe: Stripe;
  readonly #settings: CardSettings;
  readonly #terms: DepositTerms;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #makeId: IdMaker;
  readonly #log: Logger;

  constructor(parts: {
    settings: CardSettings;
    database: Database;
    clock: Clock;
    makeId: IdMaker;
    log: Logger;
    terms?: DepositTerms;
  }) {
    const { settings } = parts;
    this.#settings = settings;
    this.#terms = parts.terms ?? DEPOSIT_TERMS;
    this.#database = parts.database;
    this.#clock = parts.clock;
    this.#makeId = parts.makeId;
    this.#log = parts.log;
    this.#stripe = new Stripe(settings.secretKey.open(), {
      telemetry: false,
      timeout: 20_000,
      maxNetworkRetries: 2,
      ...settings.api,
    });
  }

  /** Opens a checkout for a consumer; answers the page to send it to. Throws `request-invalid` for too little or much. */
  async checkout(consumerId: string, cents: number): Promise<{ id: string; url: string }> {
    const least = this.#terms.cardMinimumCents;
    if (!Number.isSafeInteger(cents) || cents < least || cents > CARD_MAXIMUM_CENTS) {
      throw new Fault('request-invalid', {
        outer: `A card deposit is between $${dollars(least)} and $${dollars(CARD_MAXIMUM_CENTS)}.`,
        param: 'amount_usd',
      });
    }
    const id = this.#makeId('chk');
    await this.#database.sql`
      insert into card_checkouts (id, consumer_id, cents, created_at)
      values (${id}, ${consumerId}, ${cents}, ${new Date(this.#clock.wallMs())})`;
    const { returnUrl } = this.#settings;
    const price = { currency: 'usd', unit_amount: cents, product_data: { name: 'Inference credit' } };
    try {
      const session = await this.#stripe.checkout.sessions.create(
        {
          mode: 'payment',
          client_reference_id: id,
          payment_intent_data: { metadata: { cygnet_checkout: id } },
          line_items: [{ quantity: 1, price_data: price }],
          success_url: `${returnUrl}?deposit=paid`,
          cancel_url: `${returnUrl}?deposit=cancelled`,
        },
        { idempotencyKey: id },
      );
      if (!session.url) throw new Error('the checkout has no page');
      await this.#database.sql`update card_checkouts set session_id = ${session.id} where id = ${id}`;
      return { id, url: session.url };
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw this.#unavailable('Stripe opened no checkout', error);
    }
  }

  /**
   * Hears a webhook: `payload` is the body as it came, byte for byte. Throws `signature-invalid` for what Stripe did not
   * sign or signed too long ago, and `conflict` for what comes before that which it is about; Stripe sends that again.
   */
  async hear(payload: Buffer, signature: string | undefined): Promise<CardNews> {
    const event = this.#verified(payload, signature);
    const answer = await this.#database.transaction((sql) => this.#follow(sql, event));
    if (typeof answer === 'object' && (await this.#isOurs(answer.missing))) {
      throw new Fault('conflict', { inner: `${answer.missing} goes back before it was booked.` });
    }
    const news = typeof answer === 'object' ? 'ignored' : answer;
    this.#log.info({ event: event.id, type: event.type, news }, 'Stripe told of a payment.');
    return news;
  }

  #verified(payload: Buffer, signature: string | undefined): Stripe.Event {
    const secret = this.#settings.webhookSecret.open();
    const nowMs = this.#clock.wallMs();
    try {
      const { webhooks } = this.#stripe;
      return webhooks.constructEvent(payload, signature ?? '', secret, TOLERANCE_S, undefined, nowMs);
    } catch (error) {
      const inner = error instanceof Error ? error.message : String(error);
      throw new Fault('signature-invalid', { inner, cause: error });
    }
  }

  async #follow(sql: Sql, event: Stripe.Event): Promise<CardNews | { missing: string }> {
    switch (event.type) {
      case 'checkout.session.completed':
      case 'checkout.session.async_payment_succeeded':
        return await this.#paid(sql, event.data.object);
      case 'charge.refunded': {
        const { payment_intent: payment, amount_refunded: cents } = event.data.object;
        return await this.#refunded(sql, idOf(payment), BigInt(cents) * PICO_PER_CENT);
      }
      case 'charge.dispute.funds_withdrawn': {
        const { id, payment_intent: payment, amount: cents } = event.data.object;
        const amount = BigInt(cents) * PICO_PER_CENT;
        return await this.#reverse(sql, { id: `dispute:${id}`, payment: idOf(payment), amount });
      }
      case 'charge.dispute.funds_reinstated': {
        const { id, payment_intent: payment } = event.data.object;
        return await this.#reinstate(sql, { id: `dispute:${id}`, payment: idOf(payment) });
      }
      default:
        return 'ignored';
    }
  }

  async #paid(sql: Sql, session: Stripe.Checkout.Session): Promise<CardNews> {
    const { client_reference_id: checkout, payment_intent: payment, amount_total: cents } = session;
    const [known] = await sql<{ consumer_id: string }[]>`
      select consumer_id from card_checkouts where id = ${checkout ?? ''}`;
    // Another shop's payment on the same account of Stripe, or one that is not through yet.
    if (!known || session.payment_status !== 'paid' || !payment || !cents) return 'ignored';
    if (session.currency !== 'usd') {
      this.#log.error(
        { session: session.id, currency: session.currency },
        'A card paid in another currency than dollars; a person must look at it.',
      );
      return 'ignored';
    }
    const amount = BigInt(cents) * PICO_PER_CENT;
    const at = this.#clock.wallMs();
    const answer = await receive(sql, at, {
      id: `card:${idOf(payment)}`,
      method: 'card',
      consumerId: known.consumer_id,
      asset: 'USD',
      units: amount,
      value: amount,
      bonus: 0n,
      state: 'booked',
      source: session.id,
      receivedAt: at,
    });
    return answer === 'known' ? 'known' : 'booked';
  }

  /** Stripe tells how much of a payment was refunded altogether, so what is new is the difference. */
  async #refunded(sql: Sql, payment: string, altogether: Pico): Promise<CardNews | { missing: string }> {
    const [deposit] = await sql`select from deposits where id = ${`card:${payment}`} for update`;
    if (!deposit) return { missing: payment };
    const [row] = await sql<{ before: Pico }[]>`
      select coalesce(sum(amount), 0) as before from card_reversals
      where deposit_id = ${`card:${payment}`} and id like 'refund:%'`;
    const amount = altogether - (row?.before ?? 0n);
    if (amount <= 0n) return 'known';
    return await this.#reverse(sql, { id: `refund:${payment}:${altogether}`, payment, amount });
  }

  async #reverse(
    sql: Sql,
    { id, payment, amount }: { id: string; payment: string; amount: Pico },
  ): Promise<CardNews | { missing: string }> {
    const depositId = `card:${payment}`;
    const [deposit] = await sql<{ consumer_id: string }[]>`
      select consumer_id from deposits where id = ${depositId} for update`;
    if (!deposit) return { missing: payment };
    const [known] = await sql`select from card_reversals where id = ${id}`;
    if (known) return 'known';
    const { consumer_id: consumerId } = deposit;
    const available = (await lockAvailable(sql, consumerId)) ?? 0n;
    const taken = available < amount ? available : amount;
    const at = this.#clock.wallMs();
    await sql`
      insert into card_reversals (id, deposit_id, consumer_id, amount, taken, at)
      values (${id}, ${depositId}, ${consumerId}, ${amount}, ${taken}, ${new Date(at)})`;
    await writeEntries(sql, [reversalEntry({ id, at, consumerId, amount, taken })]);
    return 'reversed';
  }

  async #reinstate(
    sql: Sql,
    { id, payment }: { id: string; payment: string },
  ): Promise<CardNews | { missing: string }> {
    const [row] = await sql<{ consumer_id: string; amount: Pico; taken: Pico; reinstated: boolean }[]>`
      select consumer_id, amount, taken, reinstated from card_reversals where id = ${id} for update`;
    if (!row) return { missing: payment };
    if (row.reinstated) return 'known';
    const { consumer_id: consumerId, amount, taken } = row;
    const at = this.#clock.wallMs();
    await sql`update card_reversals set reinstated = true where id = ${id}`;
    await writeEntries(sql, [reinstatementEntry({ id, at, consumerId, amount, taken })]);
    return 'reinstated';
  }

  /** Whether a payment that we have not booked is one of our checkouts: then its first event is still to come. */
  async #isOurs(payment: string): Promise<boolean> {
    try {
      const { metadata } = await this.#stripe.paymentIntents.retrieve(payment);
      const [known] = await this.#database.sql`
        select from card_checkouts where id = ${metadata['cygnet_checkout'] ?? ''}`;
      return known !== undefined;
    } catch (error) {
      if (error instanceof Stripe.errors.StripeInvalidRequestError) return false;
      throw this.#unavailable(`Stripe does not tell about ${payment}`, error);
    }
  }

  /** Takes what is owed for reversals from balances that have something again; the number of collections. */
  async collect(): Promise<number> {
    const owed = await this.#database.sql<{ id: string; consumer_id: string }[]>`
      select r.id, r.consumer_id from card_reversals r
      join accounts a on a.id = 'consumer:' || r.consumer_id and a.balance > a.held
      where r.taken < r.amount and not r.reinstated order by r.at, r.id limit ${COLLECTED_MAX}`;
    let collected = 0;
    for (const { id, consumer_id: consumerId } of owed) {
      collected += await this.#database.transaction(async (sql) => {
        const [row] = await sql<{ amount: Pico; taken: Pico }[]>`
          select amount, taken from card_reversals
          where id = ${id} and taken < amount and not reinstated for update`;
        if (!row) return 0;
        const available = (await lockAvailable(sql, consumerId)) ?? 0n;
        const missing = row.amount - row.taken;
        const amount = available < missing ? available : missing;
        if (amount <= 0n) return 0;
        await sql`update card_reversals set taken = taken + ${amount} where id = ${id}`;
        const at = this.#clock.wallMs();
        await writeEntries(sql, [collectionEntry({ id: `${id}:${row.taken}`, at, amount, consumerId })]);
        return 1;
      });
    }
    return collected;
  }

  #unavailable(what: string, cause: unknown): Fault {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new Fault('card-unavailable', { inner: `${what}: ${why}`, cause, retryAfterS: 30 });
  }
}

function idOf(thing: string | { id: string } | null): string {
  return typeof thing === 'string' ? thing : (thing?.id ?? '');
}

function dollars(cents: number): string {
  return (cents / 100).toFixed(2).replace('.00', '');
}
