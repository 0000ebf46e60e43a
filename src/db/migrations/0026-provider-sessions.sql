-- Who was connected, from when to when, and why it ended: what a provider is shown when it asks where its uptime went.
--
-- Why it is shaped so. A row is written when an agent registers and written again while it is there, so that a process that
-- dies leaves the last moment in which each agent was heard of: whoever finds such a row closes it at that moment and says
-- so, and no provider is given time that nobody saw. Uptime in percent is not computed from here but from minutes
-- (0019), which know in which minutes there was a market to be at.

create table provider_sessions (
  -- The link's.
  id text primary key,
  provider_id text not null references providers,
  node_id text not null,
  mode text not null check (mode in ('websocket', 'external')),
  -- The process that saw it.
  instance text not null,
  connected_at timestamptz not null,
  last_heard_at timestamptz not null,
  ended_at timestamptz,
  -- In our words; empty while it lasts.
  why text not null default '',
  -- Requests that ended with it.
  attempts_lost integer not null default 0 check (attempts_lost >= 0),
  check (last_heard_at >= connected_at and (ended_at is null or ended_at >= connected_at)),
  check ((ended_at is null) = (why = ''))
);
create index provider_sessions_of on provider_sessions (provider_id, connected_at desc);
create index provider_sessions_open on provider_sessions (last_heard_at) where ended_at is null;
