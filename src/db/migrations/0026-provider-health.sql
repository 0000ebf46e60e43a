-- How providers fare: who was connected, from when to when, and why it ended; and how many attempts at requests each served
-- and failed.
--
-- Why it is shaped so. A session's row is written when an agent registers and written again while it is there, so that a process that
-- dies leaves the last moment in which each agent was heard of: whoever finds such a row closes it at that moment and says
-- so, and no provider is given time that nobody saw. Uptime in percent is not computed from here but from minutes
-- (0019), which know in which minutes there was a market to be at.
--
-- Attempts are counted beside requests, because a request that another provider saved is no failure of the market and is
-- one of whoever failed it. Each life of a process has rows of its own with its whole count, so that two never wait for
-- each other and a row that is written twice is the same row.

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

create table provider_attempts (
  day date not null,
  -- The run of the process that counted.
  life text not null,
  provider_id text not null,
  model_id text not null,
  served bigint not null check (served >= 0),
  -- By the provider's fault: an error, a missed deadline, a lost connection.
  failed bigint not null check (failed >= 0),
  primary key (day, provider_id, model_id, life)
);

-- When a provider became active for the first time: its first week is counted from there, and no suspension begins it anew.
alter table providers add column first_active_at timestamptz;
update providers set first_active_at = case when state = 'active' then state_since else created_at end
where state in ('active', 'suspended', 'removed');
create function note_first_activation() returns trigger language plpgsql as $$
begin
  if new.state = 'active' and new.first_active_at is null then
    new.first_active_at := new.state_since;
  end if;
  return new;
end $$;
create trigger note_first_activation before insert or update on providers
  for each row execute function note_first_activation();
