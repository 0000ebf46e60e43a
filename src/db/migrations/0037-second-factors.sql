-- A second factor for signing in, and what tells a user's sessions apart.
--
-- Why it is shaped so. The secret of an authenticator must be computed with, so it is sealed and not hashed; a copy of this
-- table opens nothing without the market's secret. It counts once its user has shown a code of it (`confirmed_at`). Each
-- time step is good for one code: the last one that was used is kept, and none before it is ever taken again. Recovery codes
-- are random and long, so a plain hash of them is enough; each is good once.

create table second_factors (
  user_id text primary key references users,
  secret_id text not null,
  sealed bytea not null,
  made_at timestamptz not null,
  confirmed_at timestamptz,
  -- The newest time step of 30 s whose code was taken.
  last_step bigint not null default 0
);

create table recovery_codes (
  user_id text not null references second_factors on delete cascade,
  hash bytea not null check (octet_length(hash) = 32),
  used_at timestamptz,
  primary key (user_id, hash)
);

-- Where a session was opened from, and with what, for its user's eyes.
alter table sessions
  add column address text not null default '' check (length(address) <= 60),
  add column program text not null default '' check (length(program) <= 200);
