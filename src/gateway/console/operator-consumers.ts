import { decimalUsd, parseUsd } from '#domain/money.ts';
import type { ConsumerRecord } from '#identity/consumer-desk.ts';
import { Fault } from '#kit/fault.ts';
import {
  type ConsumerAnswer,
  type ConsumersAnswer,
  consumersQuery,
  creditRequest,
  type LogAnswer,
  logQuery,
  operatorPlanRequest,
  paymentRequest,
  suspensionRequest,
} from '#wire/dashboard.ts';
import { sums } from './overview.ts';
import type { ConsoleRooms } from './rooms.ts';
import { type Route, route } from './route.ts';

/** What operators see of consumers and decide about them, and the log of what operators did. */
export function operatorConsumerRoutes(rooms: ConsoleRooms): Route[] {
  const { clock, consumers, own } = rooms;
  const forOperator = { access: 'operator', errors: 'text' } as const;
  const month = () => ({ from: clock.wallMs() - 30 * DAY_MS, until: clock.wallMs() + 1 });
  const theConsumer = async (id: string | undefined): Promise<ConsumerRecord> => {
    const found = await consumers.find(id ?? '');
    if (!found) throw new Fault('thing-unknown', { outer: 'There is no such consumer.' });
    return found;
  };
  const lines = async (records: readonly ConsumerRecord[]): Promise<ConsumersAnswer['consumers']> => {
    const balances = await own.balances(
      records.map(({ id }) => id),
      month(),
    );
    return records.map((each) => {
      const { total = 0n, held = 0n, spent = 0n } = balances.get(each.id) ?? {};
      return {
        id: each.id,
        name: each.name,
        email: each.email,
        plan: each.plan,
        keys: each.keys,
        created_at: iso(each.createdAt),
        suspended_at: each.suspendedAt === null ? null : iso(each.suspendedAt),
        suspended_because: each.suspendedBecause,
        balance_usd: decimalUsd(total),
        held_usd: decimalUsd(held),
        spent_30d_usd: decimalUsd(spent),
      };
    });
  };

  return [
    route(
      'GET /api/v1/operator/consumers',
      { ...forOperator, query: consumersQuery },
      async ({ query }): Promise<ConsumersAnswer> => {
        const { q, suspended, before, limit } = query;
        const found = await consumers.search({
          text: q === '' ? undefined : q,
          suspended: suspended === undefined ? undefined : suspended === 'true',
          before,
          limit: limit + 1,
        });
        const page = found.slice(0, limit);
        return {
          consumers: await lines(page),
          next: found.length > limit ? (page.at(-1)?.id ?? null) : null,
        };
      },
    ),
    route('GET /api/v1/operator/consumers/:id', forOperator, async ({ params }): Promise<ConsumerAnswer> => {
      const found = await theConsumer(params['id']);
      const [[consumer], usage, deposits] = await Promise.all([
        lines([found]),
        own.sums(found.id, month()),
        rooms.funds.deposits.list({ consumerId: found.id, limit: LISTED }),
      ]);
      return {
        consumer: consumer as ConsumerAnswer['consumer'],
        usage_30d: sums(usage),
        deposits: deposits.map((each) => ({
          id: each.id,
          method: each.method,
          status: each.state,
          value_usd: each.value === null ? null : decimalUsd(each.value),
          received_at: iso(each.receivedAt),
        })),
      };
    }),
    route(
      'POST /api/v1/operator/consumers/:id/suspension',
      { ...forOperator, body: suspensionRequest },
      async (visit) => {
        const { id, suspendedAt } = await theConsumer(visit.params['id']);
        const { suspended, reason } = visit.body;
        if (suspended && reason === '')
          throw new Fault('request-invalid', { outer: 'Say why, for who looks later.', param: 'reason' });
        visit.changed = { before: { suspended: suspendedAt !== null }, after: { suspended } };
        const change = { id, suspended, because: reason, actor: visit.actor, at: clock.wallMs() };
        const changed = await consumers.suspend(change);
        if (changed) await rooms.keys.look((await rooms.keyDesk.list(id)).map((key) => key.id));
        return { id, suspended, changed };
      },
    ),
    route(
      'POST /api/v1/operator/consumers/:id/credit',
      { ...forOperator, body: creditRequest },
      async (visit) => {
        const { id } = await theConsumer(visit.params['id']);
        const amount = atLeastSomething(visit.body.amount_usd);
        const before = await rooms.book.balance(id);
        await rooms.book.grant(id, amount, `operator:${visit.body.reference}`);
        const after = await rooms.book.balance(id);
        visit.changed = {
          before: { balance_usd: decimalUsd(before.total) },
          after: { balance_usd: decimalUsd(after.total) },
        };
        return { id, balance_usd: decimalUsd(after.total) };
      },
    ),
    route(
      'POST /api/v1/operator/consumers/:id/payments',
      { ...forOperator, body: paymentRequest },
      async (visit) => {
        const { id } = await theConsumer(visit.params['id']);
        const { method, amount_usd, reference } = visit.body;
        const amount = atLeastSomething(amount_usd);
        const answer = await rooms.funds.deposits.confirm({ method, consumerId: id, amount, reference });
        const { total } = await rooms.book.balance(id);
        visit.changed = { after: { balance_usd: decimalUsd(total), payment: answer } };
        return { id, payment: answer, balance_usd: decimalUsd(total) };
      },
    ),
    route(
      'PUT /api/v1/operator/consumers/:id/plan',
      { ...forOperator, body: operatorPlanRequest },
      async (visit) => {
        const { id } = await theConsumer(visit.params['id']);
        const { plan } = visit.body;
        const before = await consumers.setPlan({ id, plan, actor: visit.actor, at: clock.wallMs() });
        visit.changed = { before: { plan: before }, after: { plan } };
        return { id, plan };
      },
    ),
    route(
      'GET /api/v1/operator/log',
      { ...forOperator, query: logQuery },
      async ({ query }): Promise<LogAnswer> => {
        const { limit } = query;
        const found = await rooms.operatorLog.list({ ...query, limit: limit + 1 });
        const page = found.slice(0, limit);
        return {
          actions: page.map((each) => ({
            id: each.id,
            at: iso(each.at),
            actor: each.actor,
            email: each.email,
            what: each.what,
            about: each.about,
            address: each.address,
            asked: { ...each.asked },
            outcome: each.outcome ?? null,
            code: each.code,
            before: each.before ?? null,
            after: each.after ?? null,
          })),
          next: found.length > limit ? (page.at(-1)?.id ?? null) : null,
        };
      },
    ),
  ];
}

const DAY_MS = 86_400_000;
const LISTED = 50;
const iso = (ms: number): string => new Date(ms).toISOString();

function atLeastSomething(text: string): bigint {
  const amount = parseUsd(text);
  if (amount > 0n) return amount;
  throw new Fault('request-invalid', { outer: 'The amount is more than zero.', param: 'amount_usd' });
}
