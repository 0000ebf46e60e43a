import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { BalanceEvent } from '#wire/dashboard.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { plural, usd } from '../../parts/format.ts';
import { useLive } from '../../parts/live.ts';
import { Notice } from '../../parts/notice.tsx';
import { account, type BalanceBody } from './api.ts';

const LAST_DAYS_FEW = 3;

/** The balance, kept up with what the market says of it. */
export function useBalance(): { balance: BalanceBody | undefined; live: boolean } {
  const queries = useQueryClient();
  const query = useQuery(account.balance());
  const state = useLive('/api/v1/events?topics=balance', ['balance'], (_name, data) => {
    const { total_usd, held_usd, available_usd } = data as BalanceEvent;
    const now = { total: total_usd, frozen: held_usd, available: available_usd };
    const before = queries.getQueryData(account.balance().queryKey);
    queries.setQueryData(account.balance().queryKey, now);
    // Money came in: its deposit, its receipt and its movement are new as well.
    if (before === undefined || Number(total_usd) <= Number(before.total)) return;
    for (const { queryKey } of [account.deposits(), account.documents(), account.movements()])
      void queries.invalidateQueries({ queryKey });
  });
  return { balance: query.data, live: state === 'live' };
}

/** How many days the balance lasts at the pace of the last seven; undefined where nothing was spent, or nothing is left. */
export function useDaysLeft(balance: BalanceBody | undefined): number | undefined {
  const week = useQuery(account.overview('7d')).data;
  if (!balance || !week) return undefined;
  const perDay = Number(week.totals.spend_usd) / 7;
  const left = Number(balance.available);
  return perDay > 0 && left > 0 ? left / perDay : undefined;
}

/** Says so where money runs out, or has. Nothing for a new account, which has other things to do first. */
export function MoneyNotice({ balance }: { balance: BalanceBody | undefined }) {
  const days = useDaysLeft(balance);
  const deposits = useQuery(account.deposits()).data;
  if (!balance || !deposits) return null;
  const action = (
    <ButtonLink to="/account/billing" search={{ tab: 'add' }} kind="primary" size="sm">
      Add money
    </ButtonLink>
  );
  if (Number(balance.available) <= 0) {
    if (deposits.deposits.length === 0 && Number(deposits.total_spent_usd) === 0) return null;
    return (
      <Notice tone="bad" title="The balance is used up" action={action} className="mb-6">
        Requests that cost something are refused until money arrives. Your keys go on working then.
      </Notice>
    );
  }
  if (days === undefined || days >= LAST_DAYS_FEW) return null;
  return (
    <Notice tone="warn" title="The balance runs out soon" action={action} className="mb-6">
      At the pace of the last 7 days, {usd(balance.available)} lasts{' '}
      {days < 1 ? 'less than a day' : `about ${plural(Math.floor(days), 'day')}`}.
    </Notice>
  );
}
