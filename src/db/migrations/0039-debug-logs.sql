-- Debug logs: what a consumer asked and what it was answered, kept only while that consumer wants it, for its eyes alone.
--
-- Why it is shaped so. Nothing is logged by default: a consumer turns it on until a moment at most 72 hours ahead, and whoever
-- serves learns of that with the key. Texts are redacted before they come here and sealed with the market's secret, bound to
-- their consumer and request; a copy of this table tells nothing of them. An entry is kept only if its request was accepted
-- while the log was on and not emptied since (`debug_cleared_at`), judged in the statement that inserts it: so nothing that
-- waited in some process's memory appears after its consumer turned the log off.

alter table consumers
  add column debug_until timestamptz,
  add column debug_cleared_at timestamptz;

create table debug_entries (
  -- The request.
  id text primary key,
  consumer_id text not null references consumers,
  at timestamptz not null,
  -- The market's own words for what was asked for and how it ended; nothing of what was said.
  endpoint text not null check (length(endpoint) <= 100),
  status integer not null check (status between 0 and 599),
  streamed boolean not null,
  secret_id text not null,
  sealed bytea not null check (octet_length(sealed) <= 1048576),
  expires_at timestamptz not null
);
create index debug_entries_by_consumer on debug_entries (consumer_id, at desc, id desc);
create index debug_entries_by_expiry on debug_entries (expires_at);

-- Gateways keep keys in memory: they hear of it as they hear of a plan.
create trigger announce_debug_log after update on consumers
  for each row when (new.debug_until is distinct from old.debug_until) execute function announce_plan();
