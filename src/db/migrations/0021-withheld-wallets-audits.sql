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
  nonce text primary key check (nonce ~ '^[0-9a-z]{8,64}$'),
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
  -- A nonce proves once: this is its key.
  nonce text primary key references wallet_challenges,
  provider_id text not null references providers,
  purpose text not null check (purpose in ('owner', 'beneficiary')),
  address text not null check (address ~ '^0x[0-9a-f]{40}$'),
  -- 'key': a wallet with a key (EIP-191). 'contract': one that is a contract (ERC-1271).
  kind text not null check (kind in ('key', 'contract')),
  signature text not null check (signature ~ '^0x[0-9a-f]+$'),
  proven_at timestamptz not null
);
create index wallet_proofs_by_provider on wallet_proofs (provider_id, address);
create trigger wallet_proofs_are_kept before update or delete on wallet_proofs
  for each row execute function refuse_change();
create trigger wallet_proofs_are_not_emptied before truncate on wallet_proofs
  for each statement execute function refuse_change();

-- A payout address that was proven and does not count yet.
alter table providers
  add column beneficiary_next text check (beneficiary_next ~ '^0x[0-9a-f]{40}$'),
  add column beneficiary_next_at timestamptz,
  add constraint beneficiary_next_has_its_moment check ((beneficiary_next is null) = (beneficiary_next_at is null));

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
