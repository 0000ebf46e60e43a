-- What service level agreements need to know of time: when plans changed, what single accounts have contracted, and when the
-- whole market was down.
--
-- Why it is shaped so. A plan is a column that forgets; its changes are rows that stay, each with what it was before, so that an
-- account without any was on its plan all along. Contract terms are versions for whole months, since a month is what a credit is
-- computed for; the newest version that has begun counts, and none is ever changed. A market that is down measures nothing: the
-- last sign of life of any process, against the first of the next one, is what shows it, and what was found is kept.

create table plan_changes (
  seq bigint generated always as identity primary key,
  consumer_id text not null references consumers,
  at timestamptz not null,
  before text not null,
  after text not null check (after <> before)
);
create index plan_changes_by_consumer on plan_changes (consumer_id, at);
create trigger plan_changes_are_kept before update or delete on plan_changes
  for each row execute function refuse_change();
create trigger plan_changes_are_not_emptied before truncate on plan_changes
  for each statement execute function refuse_change();

create table sla_contracts (
  consumer_id text not null references consumers,
  version integer not null check (version > 0),
  -- The first month that it counts for.
  from_month text not null check (from_month ~ '^\d{4}-\d{2}$'),
  -- As JSON text; null: from then on the terms of the tier.
  terms text,
  actor text not null,
  at timestamptz not null,
  primary key (consumer_id, version)
);
create trigger sla_contracts_are_kept before update or delete on sla_contracts
  for each row execute function refuse_change();
create trigger sla_contracts_are_not_emptied before truncate on sla_contracts
  for each statement execute function refuse_change();

-- The last sign of life of each process.
create table market_lives (
  life text primary key,
  began_at timestamptz not null,
  last_at timestamptz not null
);
create index market_lives_by_time on market_lives (last_at);

create table market_gaps (
  from_at timestamptz primary key,
  until_at timestamptz not null check (until_at > from_at),
  -- The process that found it when it began.
  life text not null,
  found_at timestamptz not null
);
create trigger market_gaps_are_kept before update or delete on market_gaps
  for each row execute function refuse_change();
create trigger market_gaps_are_not_emptied before truncate on market_gaps
  for each statement execute function refuse_change();
