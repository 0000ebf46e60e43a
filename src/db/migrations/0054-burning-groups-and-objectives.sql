-- Error budgets that burn, of single models, regions and consumers as well; what explains one that is not told by itself; and
-- the objectives of tiers as an operator set them.
--
-- Why it is shaped so. One cause burns the budgets of a tier, a model, its regions and of whoever asked for it. All are kept, and
-- those that something else explains say what it is and are told to nobody. Objectives are history, as the terms of tiers are:
-- a version holds for the minutes from `from_at` on, so none that is past is judged anew.

alter table budget_alerts
  add column model_id text not null default '',
  add column region text not null default '',
  add column consumer_id text not null default '',
  -- An incident, or whose budget this one follows from; '' stands for itself.
  add column explained_by text not null default '';
drop index budget_alerts_burning;
create unique index budget_alerts_burning on budget_alerts (tier, model_id, region, consumer_id, rule)
  where ended_at is null;

create table objective_terms (
  number bigint generated always as identity primary key,
  tier text not null check (tier in ('hobby', 'pro', 'business')),
  -- Shares as parts per million: whole numbers, compared exactly.
  availability_ppm integer not null check (availability_ppm between 500000 and 999999),
  ttft_p95_ms integer not null check (ttft_p95_ms between 1 and 600000),
  ttlt_256_p95_ms integer not null check (ttlt_256_p95_ms between 1 and 600000),
  ttlt_512_p95_ms integer not null check (ttlt_512_p95_ms between ttlt_256_p95_ms and 600000),
  server_errors_ppm integer not null check (server_errors_ppm between 0 and 1000000),
  too_many_ppm integer not null check (too_many_ppm between 0 and 1000000),
  actor text not null,
  set_at timestamptz not null,
  -- The first whole minute that it holds for.
  from_at timestamptz not null check (from_at >= set_at and from_at = date_trunc('minute', from_at, 'UTC'))
);
create index objective_terms_by_tier on objective_terms (tier, number desc);

create function objective_terms_are_history() returns trigger language plpgsql as $$
begin
  raise exception 'objectives of a tier are history: set new ones instead';
end $$;
create trigger objective_terms_are_history before update or delete on objective_terms
  for each row execute function objective_terms_are_history();
create trigger objective_terms_are_never_emptied before truncate on objective_terms
  for each statement execute function objective_terms_are_history();

create function announce_objectives() returns trigger language plpgsql as $$
begin
  perform pg_notify('objectives_changed', new.tier);
  return null;
end $$;
create trigger announce_objectives after insert on objective_terms
  for each row execute function announce_objectives();
