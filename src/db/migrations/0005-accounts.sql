-- People who sign in: users, their sessions, and what a provider tells of itself.
--
-- Why it is shaped so. A user is one consumer and, once upgraded, one provider; money and keys stay with those parties, so
-- nothing that serves or pays needs to know users. A password is kept as an argon2id hash, a session as the SHA-256 of its
-- secret: this table can lose neither. Sessions are made anew at each login and end by logging out, by a changed password,
-- or by time. What people and operators did to accounts, keys and wallets is written down and never rewritten.

create table users (
  id text primary key,
  -- As it was given; compared by `email_key`.
  email text not null check (length(email) between 3 and 254),
  email_key text not null unique check (email_key = lower(email_key)),
  display_name text not null check (length(display_name) between 1 and 200),
  password_hash text not null check (password_hash like '$argon2id$%'),
  consumer_id text not null unique references consumers,
  provider_id text unique references providers,
  is_operator boolean not null default false,
  created_at timestamptz not null,
  password_set_at timestamptz not null
);

create table sessions (
  id text primary key,
  user_id text not null references users,
  hash bytea not null unique check (octet_length(hash) = 32),
  created_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  check (expires_at > created_at)
);
create index sessions_by_user on sessions (user_id);
create index sessions_by_expiry on sessions (expires_at);

-- Addresses on a chain, lower case. The owner's is written once; payouts go to the beneficiary's.
alter table providers
  add column owner_address text unique check (owner_address ~ '^0x[0-9a-f]{40}$'),
  add column worker_address text check (worker_address ~ '^0x[0-9a-f]{40}$'),
  add column beneficiary_address text check (beneficiary_address ~ '^0x[0-9a-f]{40}$'),
  add column description text not null default '' check (length(description) <= 2000);

create function owner_address_is_final() returns trigger language plpgsql as $$
begin
  raise exception 'the owner address of a provider is written once' using errcode = 'restrict_violation';
end $$;
create trigger owner_address_is_final before update on providers
  for each row
  when (old.owner_address is not null and new.owner_address is distinct from old.owner_address)
  execute function owner_address_is_final();

create table approval_requests (
  id text primary key,
  provider_id text not null references providers,
  provider_name text not null check (length(provider_name) <= 200),
  hardware_summary text not null check (length(hardware_summary) <= 2000),
  contact_email text not null check (length(contact_email) <= 254),
  requested_at timestamptz not null
);
create index approval_requests_by_provider on approval_requests (provider_id, requested_at desc);

create table account_events (
  seq bigint generated always as identity primary key,
  at timestamptz not null,
  -- Who did it: a user, a key, or `cli`.
  actor text not null,
  what text not null,
  -- To whom or what.
  about text not null,
  detail jsonb not null default '{}'
);
create index account_events_by_about on account_events (about, seq desc);
create trigger account_events_are_kept before update or delete on account_events
  for each row execute function refuse_change();
create trigger account_events_are_not_emptied before truncate on account_events
  for each statement execute function refuse_change();
