-- Appeals that providers ask for, and what is decided of findings that are no benchmark.
--
-- Why it is shaped so. An appeal is asked once about one thing: a failed benchmark run, or a finding that took from a pledge.
-- What is decided of a run stands where it stood (`benchmark_appeals`), since it may be decided without having been asked;
-- a finding of the operator's own gets a table alike. Neither is ever changed: a decision is made once.

create table appeals (
  -- The id of a run, or of a finding.
  subject text primary key,
  kind text not null check (kind in ('benchmark', 'slash')),
  provider_id text not null references providers,
  reason text not null check (length(reason) between 1 and 1000),
  asked_by text not null,
  asked_at timestamptz not null
);
create index appeals_by_provider on appeals (provider_id, asked_at desc);
create index appeals_by_time on appeals (asked_at);
create trigger appeals_are_kept before update or delete on appeals
  for each row execute function refuse_change();

create table finding_appeals (
  finding_id text primary key references collateral_findings,
  decision text not null check (decision in ('granted', 'rejected')),
  reason text not null check (length(reason) <= 1000),
  decided_by text not null,
  decided_at timestamptz not null
);
create trigger finding_appeals_are_kept before update or delete on finding_appeals
  for each row execute function refuse_change();

-- The last run of a node on a model, for whoever asks why no requests come.
create index benchmark_runs_by_place on benchmark_runs (node_id, model_id, ended_at desc);
create index collateral_findings_by_provider on collateral_findings (provider_id, at desc);
