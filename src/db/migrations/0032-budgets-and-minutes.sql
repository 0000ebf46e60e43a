-- Error budgets: when one began and ceased to burn, as any process of the market saw it, and whom that was told; and of every hour
-- the minutes that were available, which is what budgets are of.
--
-- Why it is shaped so. Every process counts for itself, so a budget burns while any of them says so, and it is over when none
-- did for a while; the table is where they meet. A tier and rule burn at most once at a time.

create table budget_alerts (
  id text primary key,
  tier text not null,
  rule text not null,
  severity text not null check (severity in ('page', 'ticket')),
  -- How fast the long window burned when it began: times the rate that lasts a month.
  rate double precision not null,
  began_at timestamptz not null,
  last_held_at timestamptz not null,
  ended_at timestamptz check (ended_at >= began_at)
);
create unique index budget_alerts_burning on budget_alerts (tier, rule) where ended_at is null;
create index budget_alerts_by_time on budget_alerts (began_at desc);

-- Whom a beginning or an end was told. Absent: it is due.
create table budget_notices (
  alert_id text not null references budget_alerts,
  what text not null check (what in ('began', 'ended')),
  channel text not null check (channel in ('webhook', 'mail')),
  tries integer not null default 0,
  not_before timestamptz not null,
  delivered_at timestamptz,
  primary key (alert_id, what, channel)
);

-- Of each hour: the minutes that anybody measured, by a request or a probe, and those of them that were unavailable. Minutes
-- are kept for five weeks and the status page shows 90 days, so they are counted when their hour is added up.
create table service_availability (
  at timestamptz not null,
  model_id text not null,
  -- '' is everywhere.
  region text not null,
  measured integer not null check (measured between 1 and 60),
  unavailable integer not null check (unavailable between 0 and measured),
  primary key (at, model_id, region)
);
