-- Rewards: what the market has measured of providers, the daily pool of SWAN, and a ledger of its own in which it is booked.
--
-- Why it is shaped so. A token is no dollar, so its entries stand in tables of their own: no sum over one ledger can meet
-- the other by mistake. Within them the rules are the same: entries are the truth, their legs add up to zero, nothing is
-- changed or removed, a balance is a running sum that can be rebuilt. A day is rewarded once, because the day is the key;
-- everything of it (inputs, shares, entries) is written in one transaction, and anybody can compute it again from the rows.

create table token_accounts (
  asset text not null check (asset in ('SWAN')),
  -- As in `accounts`: 'provider:<id>' can be paid out, 'vesting:<id>' is locked, 'platform:<name>'.
  id text not null,
  -- In the asset's smallest unit.
  balance numeric(78,0) not null default 0 check (balance <> 'NaN'),
  primary key (asset, id),
  -- Whatever program errs, nobody is paid what was not booked for it.
  constraint token_account_is_never_overdrawn check (id = 'platform:cash' or balance >= 0)
);

create table token_entries (
  seq bigint generated always as identity primary key,
  id text not null unique,
  asset text not null check (asset in ('SWAN')),
  kind text not null check (kind in ('allotment', 'reward', 'vested', 'payout', 'payout-revoked', 'claim')),
  at timestamptz not null,
  accounts text[] not null,
  amounts numeric(78,0)[] not null,
  memo jsonb not null default '{}',
  constraint token_entry_balances check (legs_balance(accounts, amounts))
);
create index token_entries_by_account on token_entries using gin (accounts);
create trigger token_entries_are_kept before update or delete on token_entries
  for each row execute function refuse_change();
create trigger token_entries_are_not_emptied before truncate on token_entries
  for each statement execute function refuse_change();

create view token_postings as
  select e.seq, e.id, e.asset, e.kind, e.at, leg.account, leg.amount
  from token_entries e, unnest(e.accounts, e.amounts) as leg(account, amount);

-- Out of which ledger a batch is paid: what is there were dollars.
alter table settlements add column asset text not null default 'USD' check (asset in ('USD', 'SWAN'));

-- The legs of both ledgers, for what is asked of payouts whatever they are paid out of.
create view settled_postings as
  select id, kind, account, amount, 'USD' as asset from postings where kind in ('payout', 'payout-revoked', 'claim')
  union all
  select id, kind, account, amount, asset from token_postings where kind in ('payout', 'payout-revoked', 'claim');

-- The minutes of a UTC day in which a provider had a live agent here, and in which there was a market to be at. A bit for
-- each minute: however many processes note the same minute, and in whichever order, it is noted once.
create table market_minutes (
  day text primary key check (day ~ '^\d{4}-\d{2}-\d{2}$'),
  minutes bit(1440) not null
);
create table provider_minutes (
  day text not null check (day ~ '^\d{4}-\d{2}-\d{2}$'),
  provider_id text not null,
  minutes bit(1440) not null,
  primary key (day, provider_id)
);

-- How much a day's pool is and how it is shared, from a day on. Never rewritten: what was booked stays explained.
create table reward_terms (
  effective_day text primary key check (effective_day ~ '^\d{4}-\d{2}-\d{2}$'),
  asset text not null default 'SWAN' check (asset in ('SWAN')),
  pool numeric(78,0) not null check (pool >= 0 and pool <> 'NaN'),
  phase integer not null check (phase in (1, 2, 3)),
  ubi_bps integer not null check (ubi_bps between 0 and 10000),
  set_at timestamptz not null
);
create trigger reward_terms_are_kept before update or delete on reward_terms
  for each row execute function refuse_change();
create trigger reward_terms_are_not_emptied before truncate on reward_terms
  for each statement execute function refuse_change();

-- What a provider's hardware counts for, in hundredths, by the operator's word: agents only claim what they have.
create table reward_tiers (
  seq bigint generated always as identity primary key,
  provider_id text not null references providers,
  tier integer not null check (tier in (100, 150, 250, 400)),
  set_at timestamptz not null
);
create index reward_tiers_by_provider on reward_tiers (provider_id, seq desc);
create trigger reward_tiers_are_kept before update or delete on reward_tiers
  for each row execute function refuse_change();

create table reward_days (
  day text primary key check (day ~ '^\d{4}-\d{2}-\d{2}$'),
  asset text not null check (asset in ('SWAN')),
  pool numeric(78,0) not null check (pool >= 0 and pool <> 'NaN'),
  phase integer not null,
  ubi_bps integer not null,
  -- What was measured of the market.
  market_minutes_7d bigint not null,
  market_minutes_30d bigint not null,
  models bigint not null,
  utilisation_ppm bigint not null,
  -- Of the pool: given to providers, and kept.
  given numeric(78,0) not null check (given >= 0 and given <> 'NaN'),
  reserve numeric(78,0) not null check (reserve >= 0 and reserve <> 'NaN'),
  vests_on text not null check (vests_on ~ '^\d{4}-\d{2}-\d{2}$'),
  made_at timestamptz not null,
  vested_at timestamptz,
  check (given + reserve = pool)
);
create index reward_days_locked on reward_days (vests_on) where vested_at is null;
create function keep_reward_day() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.vested_at is null and new.vested_at is not null
     and (to_jsonb(old) - 'vested_at') = (to_jsonb(new) - 'vested_at') then
    return new;
  end if;
  raise exception 'a rewarded day never changes' using errcode = 'restrict_violation';
end $$;
create trigger reward_days_are_kept before update or delete on reward_days
  for each row execute function keep_reward_day();
create trigger reward_days_are_not_emptied before truncate on reward_days
  for each statement execute function refuse_change();

-- What each provider was judged by and what it got; those that got nothing are there with the reason.
create table reward_shares (
  day text not null references reward_days,
  provider_id text not null,
  active boolean not null,
  tier integer not null,
  inferences bigint not null,
  tokens numeric(38,0) not null,
  succeeded bigint not null,
  failed bigint not null,
  latency_ms bigint not null,
  models bigint not null,
  minutes_7d bigint not null,
  minutes_30d bigint not null,
  -- Whole is 10^12.
  score bigint not null check (score between 0 and 1000000000000),
  weight bigint not null check (weight between 0 and score),
  excluded text,
  ubi numeric(78,0) not null check (ubi >= 0 and ubi <> 'NaN'),
  contribution numeric(78,0) not null check (contribution >= 0 and contribution <> 'NaN'),
  bonus numeric(78,0) not null check (bonus >= 0 and bonus <> 'NaN'),
  liquid numeric(78,0) not null check (liquid >= 0 and liquid <> 'NaN'),
  locked numeric(78,0) not null check (locked >= 0 and locked <> 'NaN'),
  primary key (day, provider_id),
  check (ubi + contribution + bonus = liquid + locked),
  check (excluded is null or liquid + locked = 0)
);
create index reward_shares_by_provider on reward_shares (provider_id, day desc);
create trigger reward_shares_are_kept before update or delete on reward_shares
  for each row execute function refuse_change();
create trigger reward_shares_are_not_emptied before truncate on reward_shares
  for each statement execute function refuse_change();

-- What consumers received is asked for by kind, among a thousand times as many charges.
create index entries_received on entries (kind)
  where kind in ('grant', 'deposit', 'bonus', 'withdrawal', 'reversal', 'reinstatement');
