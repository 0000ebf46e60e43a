-- What the market withholds from providers, whose wallet an address is, and what audits found.
--
-- Why it is shaped so. A failure keeps a provider from requests until a moment; the moment is on its row, so that every hub
-- hears of it by the announcement of the row and none needs a clock of its own to start it. A wallet is proven by a text that
-- it signed: the text is made here, with a nonce that is used once, and is kept with the signature, so that anybody can check
-- it later. Whether an address is a provider's is told by these rows and not by a mark beside the address. An audit's
-- result is a row: an alarm can ask whether the last one ran and what it found.

alter table providers
  add column withheld_until timestamptz,
  add column withheld_because text not null default '' check (length(withheld_because) <= 1000);

create table wallet_challenges (
  nonce text primary key check (nonce ~ '^[0-9a-z]{16,64}$'),
  provider_id text not null references providers,
  purpose text not null check (purpose in ('owner', 'beneficiary')),
  address text not null check (address ~ '^0x[0-9a-f]{40}$'),
  -- Word for word what the wallet signs.
  message text not null,
  issued_at timestamptz not null,
  expires_at timestamptz not null check (expires_at > issued_at)
);
create index wallet_challenges_by_provider on wallet_challenges (provider_id, issued_at desc);

create table wallet_proofs (
  -- The nonce of the text that was signed: it proves once.
  nonce text primary key,
  provider_id text not null references providers,
  purpose text not null check (purpose in ('owner', 'beneficiary')),
  address text not null check (address ~ '^0x[0-9a-f]{40}$'),
  -- 'key': a wallet with a key (EIP-191). 'contract': one that is a contract (ERC-1271). 'before': an address that was noted
  -- before proofs were asked for, and stays good.
  kind text not null check (kind in ('key', 'contract', 'before')),
  message text not null,
  signature text not null check (signature ~ '^0x[0-9a-f]*$'),
  proven_at timestamptz not null
);
create index wallet_proofs_by_provider on wallet_proofs (provider_id, proven_at);
-- A wallet owns the collateral of one provider, and a provider has one owner.
create unique index wallet_proofs_owner_of_one on wallet_proofs (address) where purpose = 'owner';
create unique index wallet_proofs_one_owner on wallet_proofs (provider_id) where purpose = 'owner';

insert into wallet_proofs (nonce, provider_id, purpose, address, kind, message, signature, proven_at)
select 'before:' || purpose || ':' || id, id, purpose, address, 'before', '', '0x', created_at
from providers, lateral (values ('owner', owner_address), ('beneficiary', beneficiary_address)) as a(purpose, address)
where address is not null;

create trigger wallet_proofs_are_kept before update or delete on wallet_proofs
  for each row execute function refuse_change();
create trigger wallet_proofs_are_not_emptied before truncate on wallet_proofs
  for each statement execute function refuse_change();

-- An owner address is a claim until it is proven, and gives way to whoever proves it. A proven one is final.
create or replace function owner_address_is_final() returns trigger language plpgsql as $$
begin
  perform from wallet_proofs where provider_id = old.id and purpose = 'owner' and address = old.owner_address;
  if found then
    raise exception 'the owner address of a provider is written once' using errcode = 'restrict_violation';
  end if;
  return new;
end $$;

-- Where a provider is paid at a moment. The first wallet that it proves counts at once. Another one counts a day later, and
-- only if no further one was proven within that day: whoever stole a key is seen before he is paid, and the old wallet,
-- proven again, stops him.
create function payout_wallet(provider text, moment timestamptz) returns text language sql stable
return coalesce(
  (
    select p.address from wallet_proofs p
    where p.provider_id = provider and p.purpose = 'beneficiary' and p.proven_at <= moment and (
      not exists (select from wallet_proofs q where q.provider_id = provider and q.proven_at < p.proven_at)
      or (
        p.proven_at <= moment - interval '1 day' and not exists (
          select from wallet_proofs q
          where q.provider_id = provider and q.purpose = 'beneficiary'
            and q.proven_at > p.proven_at and q.proven_at < p.proven_at + interval '1 day'
        )
      )
    )
    order by p.proven_at desc, p.nonce limit 1
  ),
  (select p.address from wallet_proofs p where p.provider_id = provider and p.purpose = 'owner' and p.proven_at <= moment)
);

create table audit_runs (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  -- 'nightly' or 'command'.
  occasion text not null check (occasion in ('nightly', 'command')),
  balanced boolean not null,
  chain_asked boolean not null,
  took_ms bigint not null check (took_ms >= 0),
  differences jsonb not null default '[]'
);
create index audit_runs_newest on audit_runs (at desc);
create trigger audit_runs_are_kept before update or delete on audit_runs
  for each row execute function refuse_change();

-- What the chain shows and this ledger cannot know of: it is older than the chain (a backup was restored), or somebody else
-- has the operator's key or the deposit key. While one is open, nothing is paid out.
create table chain_strangers (
  -- '<chain>:<transaction>:<log index>'
  id text primary key,
  what text not null check (what in ('deposit', 'slash')),
  detail text not null,
  found_at timestamptz not null,
  -- The operator's word on it; empty while it is open.
  resolution text not null default '' check (length(resolution) <= 1000),
  resolved_at timestamptz,
  check ((resolved_at is null) = (resolution = ''))
);
create index chain_strangers_open on chain_strangers (found_at) where resolved_at is null;
