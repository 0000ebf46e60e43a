-- The ledger. Entries are the truth: each moves money between accounts, its legs add up to zero, and none is ever changed
-- or removed. The balance on an account is a running sum of its legs, kept so that one statement can ask "is there
-- enough?"; `cygnet audit` rebuilds it from the entries. A positive leg is a credit. Amounts are whole pico-dollars.

create table accounts (
  -- 'consumer:<id>', 'provider:<id>', 'platform:<name>'; see src/ledger/chart.ts.
  id text primary key,
  kind text not null check (kind in ('consumer', 'provider', 'platform')),
  balance numeric(38,0) not null default 0 check (balance <> 'NaN'),
  -- Of the balance: set aside for the processes that serve this consumer. Always the sum of its leases.
  held numeric(38,0) not null default 0 check (held <> 'NaN'),
  -- Whatever program errs, no consumer is overdrawn and nothing held is spent twice.
  constraint consumer_is_never_overdrawn check (
    case when kind = 'consumer' then balance >= held and held >= 0 else held = 0 end
  )
);

-- Money set aside for one process: it may promise that much to requests without asking again.
create table leases (
  instance text not null,
  consumer_id text not null,
  amount numeric(38,0) not null check (amount >= 0 and amount <> 'NaN'),
  -- The last change, by an id that its maker chose: tells whether a change whose answer was lost was made.
  last_change text not null,
  last_amount numeric(38,0) not null,
  primary key (instance, consumer_id)
);
create index leases_by_consumer on leases (consumer_id);

-- Sets money aside for a process: up to `want`, at least `at_least`, and beyond that at most half of what is available.
-- Null: less than `at_least` is available. A function and not one statement with a locking subquery: after waiting for
-- the row, such a statement goes on with a mixture of old and new values; here the row is read when it is locked.
create function grow_lease(of_instance text, consumer text, at_least numeric, want numeric, change text)
returns numeric language plpgsql as $$
declare
  available numeric;
  granted numeric;
begin
  select balance - held into available from accounts where id = 'consumer:' || consumer for no key update;
  if available is null or available < at_least then
    return null;
  end if;
  granted := least(want, greatest(at_least, trunc(available / 2)));
  update accounts set held = held + granted where id = 'consumer:' || consumer;
  insert into leases as l (instance, consumer_id, amount, last_change, last_amount)
  values (of_instance, consumer, granted, change, granted)
  on conflict (instance, consumer_id) do update
  set amount = l.amount + excluded.amount, last_change = excluded.last_change, last_amount = excluded.last_amount;
  return granted;
end $$;

-- Returns leased money to what is available. False, and nothing changed, when less than `given` is leased.
create function give_back_lease(of_instance text, consumer text, given numeric, change text)
returns boolean language plpgsql as $$
begin
  perform from accounts where id = 'consumer:' || consumer for no key update;
  update leases set amount = amount - given, last_change = change, last_amount = given
  where instance = of_instance and consumer_id = consumer and amount >= given;
  if not found then
    return false;
  end if;
  update accounts set held = held - given where id = 'consumer:' || consumer;
  return true;
end $$;

create function legs_balance(accounts text[], amounts numeric[]) returns boolean
language sql immutable strict parallel safe
return cardinality(accounts) >= 2
  and cardinality(accounts) = cardinality(amounts)
  and array_ndims(accounts) = 1 and array_ndims(amounts) = 1
  and array_position(accounts, null) is null
  and array_position(amounts, null) is null
  and (select sum(a) = 0 and bool_and(a <> 0 and a <> 'NaN' and a = trunc(a)) from unnest(amounts) as a);

create table entries (
  -- The order in which entries were written. Gaps are rolled-back attempts.
  seq bigint generated always as identity primary key,
  -- Made by whoever asked; a repeat changes nothing.
  id text not null unique,
  kind text not null check (kind in ('charge', 'correction', 'grant', 'deposit')),
  at timestamptz not null,
  accounts text[] not null,
  amounts numeric(38,0)[] not null,
  memo jsonb not null default '{}',
  constraint entry_balances check (legs_balance(accounts, amounts))
);
create index entries_by_account on entries using gin (accounts);

create view postings as
  select e.seq, e.id, e.kind, e.at, leg.account, leg.amount
  from entries e, unnest(e.accounts, e.amounts) as leg(account, amount);

-- What serving left behind, one row per request; the columns of UsageRecord (src/domain/usage-record.ts).
create table usage (
  id text primary key,
  at timestamptz not null,
  consumer_id text not null,
  key_id text not null,
  model_id text not null,
  provider_id text,
  node_id text,
  attempt_id text,
  mode text check (mode in ('websocket', 'external')),
  streamed boolean not null,
  outcome text not null check (outcome in ('completed', 'cancelled', 'broken', 'failed')),
  error_code text,
  input_tokens bigint not null check (input_tokens >= 0),
  output_tokens bigint not null check (output_tokens >= 0),
  claimed_input_tokens bigint,
  claimed_output_tokens bigint,
  events bigint not null,
  bytes bigint not null,
  attempts bigint not null,
  ttft_ms double precision,
  total_ms double precision not null,
  price_id text not null,
  policy text not null,
  charge numeric(38,0) not null check (charge >= 0 and charge <> 'NaN'),
  -- Broken and failed answers are free; a charge names who is paid.
  check (charge = 0 or (outcome in ('completed', 'cancelled') and provider_id is not null))
);
create index usage_by_consumer on usage (consumer_id, at desc);
create index usage_by_provider on usage (provider_id, at desc) where provider_id is not null;

-- Later findings that a charge was too high; the columns of CorrectionRecord. One per request at most.
create table corrections (
  id text primary key,
  at timestamptz not null,
  request_id text not null unique references usage (id),
  consumer_id text not null,
  provider_id text not null,
  policy text not null,
  input_tokens bigint not null check (input_tokens >= 0),
  output_tokens bigint not null check (output_tokens >= 0),
  refund numeric(38,0) not null check (refund > 0 and refund <> 'NaN'),
  original_charge numeric(38,0) not null
);

-- Records that break a promise of the market (a charge above what was set aside, a broken field). They never block the
-- others, move no money, and raise an alarm: a person decides. The record is kept as the text that was posted.
create table rejected_usage (
  id text primary key,
  instance text not null,
  at timestamptz not null default now(),
  reason text not null,
  record text not null
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only: % refused', tg_table_name, tg_op using errcode = 'restrict_violation';
end $$;

create trigger entries_are_kept before update or delete on entries for each row execute function refuse_change();
create trigger entries_are_not_emptied before truncate on entries for each statement execute function refuse_change();
create trigger usage_is_kept before update or delete on usage for each row execute function refuse_change();
create trigger usage_is_not_emptied before truncate on usage for each statement execute function refuse_change();
create trigger corrections_are_kept before update or delete on corrections for each row execute function refuse_change();
create trigger corrections_are_not_emptied before truncate on corrections for each statement execute function refuse_change();
create trigger rejected_usage_is_kept before update or delete on rejected_usage for each row execute function refuse_change();
create trigger rejected_usage_is_not_emptied before truncate on rejected_usage for each statement execute function refuse_change();

insert into accounts (id, kind) values
  ('platform:fee', 'platform'),
  ('platform:treasury', 'platform'),
  ('platform:burn', 'platform'),
  ('platform:promo', 'platform'),
  ('platform:cash', 'platform');
