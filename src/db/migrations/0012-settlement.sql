-- Settlement: what providers earned becomes batches on chain, and claims come back as entries.
--
-- Why it is shaped so. A batch is made in one transaction with the entries that take its payouts out of the providers'
-- balances: from then on no other batch can contain them, whatever dies. Of a batch nothing can change but how far it has
-- come. At most one for each token is under way, so two programs that settle at once make one batch. Addresses are in
-- lower case; units are the token's smallest.

alter table entries drop constraint entries_kind_check;
alter table entries add constraint entries_kind_check check (
  kind in ('charge', 'correction', 'grant', 'deposit', 'payout', 'payout-revoked', 'claim')
);
insert into accounts (id, kind) values ('platform:claimable', 'platform');

-- The end of a day by the sequence of entries: every entry up to `cut` was committed when the row was made.
create table settlement_cuts (
  id bigint generated always as identity primary key,
  chain_id bigint not null,
  contract text not null check (contract ~ '^0x[0-9a-f]{40}$'),
  token text not null check (token ~ '^0x[0-9a-f]{40}$'),
  day text not null check (day ~ '^\d{4}-\d{2}-\d{2}$'),
  cut bigint not null,
  -- False when the day was not over yet.
  final boolean not null,
  -- True once it was found that nobody is due anything by this cut.
  nothing_due boolean not null default false,
  made_at timestamptz not null
);
create unique index settlement_cuts_final on settlement_cuts (chain_id, contract, token, day) where final;

create table settlements (
  -- '<chain id>:<contract>:<token>:<number>'
  id text primary key,
  chain_id bigint not null,
  contract text not null,
  token text not null,
  number bigint not null check (number > 0),
  cut_id bigint not null unique references settlement_cuts,
  day text not null,
  cut bigint not null,
  decimals integer not null,
  pico_per_token numeric(38,0) not null check (pico_per_token > 0 and pico_per_token <> 'NaN'),
  minimum numeric(38,0) not null check (minimum >= 0 and minimum <> 'NaN'),
  -- SHA-256 of the claims file of the batch before that was not revoked.
  previous text check (previous ~ '^0x[0-9a-f]{64}$'),
  accounts bigint not null check (accounts > 0),
  increase numeric(78,0) not null check (increase > 0 and increase <> 'NaN'),
  total numeric(78,0) not null check (total >= increase and total <> 'NaN'),
  root text not null check (root ~ '^0x[0-9a-f]{64}$'),
  claims_hash text not null check (claims_hash ~ '^0x[0-9a-f]{64}$'),
  made_at timestamptz not null,
  state text not null default 'pending' check (state in ('pending', 'submitted', 'confirmed', 'revoked')),
  -- Counts the transactions that were needed: one that reverted is followed by another.
  attempt integer not null default 1,
  unique (chain_id, contract, token, number)
);
create unique index settlements_under_way on settlements (chain_id, contract, token)
  where state in ('pending', 'submitted');

create function keep_settlement() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE'
     and (to_jsonb(old) - array['state', 'attempt']) = (to_jsonb(new) - array['state', 'attempt'])
     and new.attempt >= old.attempt
     and (old.state = new.state or (old.state, new.state) in (
       ('pending', 'submitted'), ('submitted', 'pending'), ('submitted', 'confirmed'), ('pending', 'confirmed'),
       ('confirmed', 'revoked')
     )) then
    return new;
  end if;
  raise exception 'a settlement never changes what it pays' using errcode = 'restrict_violation';
end $$;
create trigger settlements_are_kept before update or delete on settlements
  for each row execute function keep_settlement();
create trigger settlements_are_not_emptied before truncate on settlements
  for each statement execute function refuse_change();

create table settlement_payouts (
  settlement_id text not null references settlements,
  provider_id text not null,
  account text not null check (account ~ '^0x[0-9a-f]{40}$'),
  units numeric(78,0) not null check (units > 0 and units <> 'NaN'),
  -- What left the provider's balance for them.
  paid numeric(38,0) not null check (paid > 0 and paid <> 'NaN'),
  primary key (settlement_id, provider_id)
);
create index settlement_payouts_by_account on settlement_payouts (account);
create index settlement_payouts_by_provider on settlement_payouts (provider_id);
create trigger settlement_payouts_are_kept before update or delete on settlement_payouts
  for each row execute function refuse_change();
create trigger settlement_payouts_are_not_emptied before truncate on settlement_payouts
  for each statement execute function refuse_change();

-- What the contract paid, as its events say, deep enough in the chain to stay.
create table settlement_claims (
  -- '<transaction>:<index>'
  event_id text primary key,
  chain_id bigint not null,
  contract text not null,
  token text not null,
  account text not null,
  units numeric(78,0) not null check (units > 0 and units <> 'NaN'),
  cumulative numeric(78,0) not null,
  -- What the payouts that it collected had cost.
  paid numeric(38,0) not null check (paid > 0 and paid <> 'NaN'),
  block numeric(78,0) not null,
  transaction text not null,
  unique (chain_id, contract, token, account, cumulative)
);
create trigger settlement_claims_are_kept before update or delete on settlement_claims
  for each row execute function refuse_change();
create trigger settlement_claims_are_not_emptied before truncate on settlement_claims
  for each statement execute function refuse_change();

-- How far each reader of events has read. Moves on in the transaction that keeps what was read.
create table chain_cursors (
  reader text primary key,
  block numeric(78,0) not null,
  hash text not null
);
