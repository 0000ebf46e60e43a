-- What we sign and send on chain. A transaction is stored, signed, before it is sent; its nonce belongs to it for ever. Its
-- versions differ in what they offer for gas only, so at most one of them can happen. An outcome is given once, when it
-- is too deep in the chain to change.

create table transactions (
  -- Made by whoever wanted it done: a repeat finds what is there.
  id text primary key,
  chain_id bigint not null,
  sender text not null check (sender ~ '^0x[0-9a-f]{40}$'),
  nonce bigint not null check (nonce >= 0),
  -- Null deploys a contract.
  recipient text check (recipient ~ '^0x[0-9a-f]{40}$'),
  data text not null,
  value numeric(78,0) not null check (value >= 0 and value <> 'NaN'),
  gas numeric(78,0) not null check (gas > 0 and gas <> 'NaN'),
  stored_at timestamptz not null default now(),
  outcome text check (outcome in ('done', 'reverted', 'displaced')),
  outcome_hash text,
  outcome_block numeric(78,0),
  outcome_created text,
  unique (chain_id, sender, nonce)
);
create index transactions_open on transactions (chain_id, sender, nonce) where outcome is null;

create table transaction_versions (
  transaction_id text not null references transactions (id),
  -- 0 is the first.
  number integer not null check (number >= 0),
  hash text not null unique,
  raw text not null,
  max_fee_per_gas numeric(78,0) not null,
  max_priority_fee_per_gas numeric(78,0) not null,
  -- Wall time in milliseconds.
  signed_at_ms bigint not null,
  primary key (transaction_id, number)
);

create function keep_transaction() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.outcome is null and new.outcome is not null
     and (old.id, old.chain_id, old.sender, old.nonce, old.data, old.value, old.gas)
       = (new.id, new.chain_id, new.sender, new.nonce, new.data, new.value, new.gas)
     and old.recipient is not distinct from new.recipient then
    return new;
  end if;
  raise exception 'a transaction gets its outcome once and is never changed otherwise' using errcode = 'restrict_violation';
end $$;

create trigger transactions_are_kept before update or delete on transactions for each row execute function keep_transaction();
create trigger transactions_are_not_emptied before truncate on transactions for each statement execute function refuse_change();
create trigger versions_are_kept before update or delete on transaction_versions for each row execute function refuse_change();
create trigger versions_are_not_emptied before truncate on transaction_versions for each statement execute function refuse_change();
