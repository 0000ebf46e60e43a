-- Money in and out: deposits, withdrawals, plans that are paid for, and what providers pledge.
--
-- Why it is shaped so. Each kind of arrival has a name that the outside gave it (a transaction and its place in it, a
-- payment, a bank's reference), which is the primary key: however often it is reported, there is one row, and its entry in
-- the ledger is made in the same transaction. A pledge is a running sum of moves that are never changed; the checks hold
-- the promise that nothing is slashed or refunded that was not deposited, whatever program errs.

alter table entries drop constraint entries_kind_check;
alter table entries add constraint entries_kind_check check (
  kind in (
    'charge', 'correction', 'grant', 'deposit', 'payout', 'payout-revoked', 'claim',
    'bonus', 'withdrawal', 'reversal', 'reinstatement', 'collection', 'plan-fee',
    'collateral', 'collateral-refund', 'slash'
  )
);
alter table accounts drop constraint accounts_kind_check;
alter table accounts add constraint accounts_kind_check check (
  kind in ('consumer', 'provider', 'platform', 'collateral')
);
alter table accounts add constraint collateral_is_never_overdrawn check (kind <> 'collateral' or balance >= 0);
insert into accounts (id, kind) values
  ('platform:receivable', 'platform'),
  ('platform:plans', 'platform'),
  ('platform:slashed', 'platform');

-- What an asset is worth from a moment on, in pico-USD for one whole token. Never rewritten: what was booked stays explained.
create table asset_rates (
  asset text not null check (asset in ('SWAN')),
  effective_at timestamptz not null,
  pico_per_token numeric(38,0) not null check (pico_per_token > 0 and pico_per_token <> 'NaN'),
  set_at timestamptz not null,
  primary key (asset, effective_at)
);
create trigger asset_rates_are_kept before update or delete on asset_rates
  for each row execute function refuse_change();
create trigger asset_rates_are_not_emptied before truncate on asset_rates
  for each statement execute function refuse_change();

-- Where a consumer pays to. Derived from an extended public key by its index; no private key is anywhere near.
create sequence deposit_address_index minvalue 0 start 0 maxvalue 2147483647;
create table deposit_addresses (
  -- Names the extended public key.
  key_id text not null,
  index bigint not null check (index between 0 and 2147483647),
  consumer_id text not null references consumers,
  address text not null unique check (address ~ '^0x[0-9a-f]{40}$'),
  made_at timestamptz not null,
  primary key (key_id, index),
  unique (key_id, consumer_id)
);
create trigger deposit_addresses_are_kept before update or delete on deposit_addresses
  for each row execute function refuse_change();

create table deposits (
  -- '<chain>:<transaction>:<log index>', 'card:<payment>', 'bank:<reference>', 'paypal:<reference>'
  id text primary key,
  method text not null check (method in ('crypto', 'card', 'bank', 'paypal')),
  consumer_id text not null references consumers,
  asset text not null check (asset in ('USDC', 'USDT', 'SWAN', 'USD')),
  -- The asset's smallest unit; pico-USD for USD.
  units numeric(78,0) not null check (units > 0 and units <> 'NaN'),
  -- Null while nobody said what it is worth.
  value numeric(38,0) check (value >= 0 and value <> 'NaN'),
  bonus numeric(38,0) not null default 0 check (bonus >= 0 and bonus <> 'NaN'),
  -- 'small': below the minimum; 'unpriced': no rate. Both are kept, and booked by the operator's word.
  state text not null check (state in ('booked', 'small', 'unpriced')),
  -- Who paid, or under which words.
  source text not null default '',
  received_at timestamptz not null,
  booked_at timestamptz,
  check ((state = 'booked') = (booked_at is not null)),
  check (state = 'unpriced' or value is not null)
);
create index deposits_by_consumer on deposits (consumer_id, received_at desc);
create function keep_deposit() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.state <> 'booked' and new.state = 'booked'
     and (to_jsonb(old) - array['state', 'value', 'bonus', 'booked_at'])
       = (to_jsonb(new) - array['state', 'value', 'bonus', 'booked_at']) then
    return new;
  end if;
  raise exception 'a deposit never changes' using errcode = 'restrict_violation';
end $$;
create trigger deposits_are_kept before update or delete on deposits for each row execute function keep_deposit();
create trigger deposits_are_not_emptied before truncate on deposits
  for each statement execute function refuse_change();

create table card_checkouts (
  id text primary key,
  consumer_id text not null references consumers,
  cents bigint not null check (cents > 0),
  session_id text unique,
  created_at timestamptz not null
);

-- Card money that went back: refunds and disputes. What the consumer could not give back at once is owed.
create table card_reversals (
  id text primary key,
  deposit_id text not null references deposits,
  consumer_id text not null references consumers,
  amount numeric(38,0) not null check (amount > 0 and amount <> 'NaN'),
  taken numeric(38,0) not null check (taken >= 0 and taken <= amount),
  reinstated boolean not null default false,
  at timestamptz not null
);
create index card_reversals_by_deposit on card_reversals (deposit_id);
create index card_reversals_owed on card_reversals (consumer_id) where taken < amount and not reinstated;

create table withdrawals (
  -- The operator's reference of the payment.
  id text primary key,
  consumer_id text not null references consumers,
  amount numeric(38,0) not null check (amount > 0 and amount <> 'NaN'),
  reason text not null,
  at timestamptz not null
);
create trigger withdrawals_are_kept before update or delete on withdrawals
  for each row execute function refuse_change();

-- What was paid for of a plan. Periods of a consumer follow on each other.
create table plan_periods (
  consumer_id text not null references consumers,
  plan text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null check (ends_at > starts_at),
  fee numeric(38,0) not null check (fee > 0 and fee <> 'NaN'),
  primary key (consumer_id, plan, starts_at)
);
create trigger plan_periods_are_kept before update or delete on plan_periods
  for each row execute function refuse_change();

create table collateral_pledges (
  -- 'usd', or '<chain>:<contract>:<token>'.
  scope text not null,
  -- The provider's id where it pledged dollars; the account on the chain otherwise.
  holder text not null,
  asset text not null check (asset in ('USDC', 'USDT', 'SWAN', 'USD')),
  deposited numeric(78,0) not null default 0 check (deposited >= 0 and deposited <> 'NaN'),
  locked numeric(78,0) not null default 0 check (locked >= 0 and locked <> 'NaN'),
  waiting numeric(78,0) not null default 0 check (waiting >= 0 and waiting <> 'NaN'),
  slashed numeric(78,0) not null default 0 check (slashed >= 0 and slashed <> 'NaN'),
  refunded numeric(78,0) not null default 0 check (refunded >= 0 and refunded <> 'NaN'),
  refundable_at timestamptz,
  primary key (scope, holder),
  constraint nothing_leaves_that_was_not_deposited check (deposited = locked + waiting + slashed + refunded),
  check ((waiting > 0) or refundable_at is null)
);

create table collateral_moves (
  id text primary key,
  seq bigint generated always as identity unique,
  scope text not null,
  holder text not null,
  kind text not null check (kind in ('deposited', 'requested', 'cancelled', 'slashed', 'refunded')),
  amount numeric(78,0) not null check (amount > 0 and amount <> 'NaN'),
  reference text not null default '',
  at timestamptz not null
);
create index collateral_moves_by_holder on collateral_moves (holder, scope, seq);
create trigger collateral_moves_are_kept before update or delete on collateral_moves
  for each row execute function refuse_change();
create trigger collateral_moves_are_not_emptied before truncate on collateral_moves
  for each statement execute function refuse_change();

-- What providers said they deposited, and what we found.
create table collateral_deposits (
  id text primary key,
  provider_id text not null references providers,
  method text not null check (method in ('chain', 'usd')),
  -- Of a transaction: unknown until it was found.
  asset text check (asset in ('USDC', 'USDT', 'SWAN', 'USD')),
  -- In the asset's smallest unit, pico-USD for USD.
  amount numeric(78,0) check (amount > 0 and amount <> 'NaN'),
  chain_id bigint,
  transaction text check (transaction ~ '^0x[0-9a-f]{64}$'),
  -- The operator's reference of a payment in dollars.
  reference text unique,
  state text not null check (state in ('pending', 'confirmed', 'rejected')),
  reason text not null default '',
  created_at timestamptz not null,
  decided_at timestamptz,
  unique (provider_id, chain_id, transaction),
  check ((method = 'chain') = (transaction is not null)),
  check (state <> 'confirmed' or (amount is not null and asset is not null))
);
-- A transaction proves one provider's deposit. One that is only claimed blocks nobody.
create unique index collateral_transaction_used_once on collateral_deposits (chain_id, transaction)
  where state = 'confirmed';
create index collateral_deposits_by_provider on collateral_deposits (provider_id, created_at desc);
create index collateral_deposits_pending on collateral_deposits (created_at) where state = 'pending';

-- Findings against providers, each judged once.
create table collateral_findings (
  id text primary key,
  provider_id text not null references providers,
  reason text not null,
  failures integer not null check (failures > 0),
  share_bps integer not null check (share_bps between 0 and 10000),
  removes boolean not null,
  at timestamptz not null
);
create trigger collateral_findings_are_kept before update or delete on collateral_findings
  for each row execute function refuse_change();
