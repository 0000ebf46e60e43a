-- Service level agreements that pay: what was refused of each consumer's requests, stretches that do not count, and the
-- reports of closed months with the credits that followed.
--
-- Why it is shaped so. A request that nobody could be asked for leaves no row in `usage`, and yet it is the plainest outage
-- there is: so refusals are counted by consumer and minute here. A report is made once for a consumer and month, in the
-- transaction that books its credit and charges the stakes of providers, and never changes; what it was computed from is in
-- its digest. An exclusion is entered with its evidence and can be withdrawn, and both stay known.

create table consumer_refusals (
  at timestamptz not null,
  -- The process that counted.
  instance text not null,
  consumer_id text not null,
  model_id text not null,
  -- Of the error table.
  code text not null,
  requests bigint not null check (requests > 0),
  primary key (consumer_id, at, instance, model_id, code)
);
create index consumer_refusals_by_time on consumer_refusals (at);
create trigger consumer_refusals_are_kept before update or delete on consumer_refusals
  for each row execute function refuse_change();
create trigger consumer_refusals_are_not_emptied before truncate on consumer_refusals
  for each statement execute function refuse_change();

create table sla_exclusions (
  id text primary key,
  -- '' is everybody.
  consumer_id text not null default '',
  kind text not null check (
    kind in ('customer-network', 'over-quota', 'force-majeure', 'above-tier-limits', 'misuse')
  ),
  from_at timestamptz not null,
  until_at timestamptz not null check (until_at > from_at),
  evidence text not null check (evidence <> ''),
  actor text not null,
  entered_at timestamptz not null,
  withdrawn_at timestamptz,
  withdrawn_by text
);
create index sla_exclusions_by_time on sla_exclusions (from_at);
create function keep_sla_exclusion() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.withdrawn_at is null and new.withdrawn_at is not null
    and (new.id, new.consumer_id, new.kind, new.from_at, new.until_at, new.evidence, new.actor, new.entered_at)
      = (old.id, old.consumer_id, old.kind, old.from_at, old.until_at, old.evidence, old.actor, old.entered_at)
  then
    return new;
  end if;
  raise exception 'an exclusion can only be withdrawn' using errcode = 'restrict_violation';
end $$;
create trigger sla_exclusions_are_kept before update or delete on sla_exclusions
  for each row execute function keep_sla_exclusion();
create trigger sla_exclusions_are_not_emptied before truncate on sla_exclusions
  for each statement execute function refuse_change();

-- Months of which every report is made.
create table sla_months (
  month text primary key check (month ~ '^\d{4}-\d{2}$'),
  closed_at timestamptz not null,
  -- It and all before it came before there were agreements here.
  before_all boolean not null default false
);
-- Agreements begin with the month in which a market learns of them.
insert into sla_months (month, closed_at, before_all)
  select to_char(date_trunc('month', now() at time zone 'UTC') - interval '1 month', 'YYYY-MM'), now(), true
  where exists (select from usage);

create table sla_reports (
  id text primary key,
  consumer_id text not null,
  month text not null check (month ~ '^\d{4}-\d{2}$'),
  made_at timestamptz not null,
  -- The version of the terms by its name; the terms themselves are in the body.
  terms text not null,
  -- SHA-256 of what it was computed from.
  inputs_digest text not null check (inputs_digest ~ '^[0-9a-f]{64}$'),
  fee numeric(38,0) not null check (fee >= 0 and fee <> 'NaN'),
  credit numeric(38,0) not null check (credit >= 0 and credit <= fee),
  -- Of the credit: what the stakes of providers paid.
  from_stakes numeric(38,0) not null check (from_stakes >= 0 and from_stakes <= credit),
  -- The whole report, as JSON text.
  body text not null,
  unique (consumer_id, month)
);
create index sla_reports_by_month on sla_reports (month, consumer_id);
create trigger sla_reports_are_kept before update or delete on sla_reports
  for each row execute function refuse_change();
create trigger sla_reports_are_not_emptied before truncate on sla_reports
  for each statement execute function refuse_change();

-- What a report asked of the stakes of providers, and what they had.
create table sla_charges (
  finding_id text primary key references collateral_findings,
  report_id text not null references sla_reports,
  provider_id text not null references providers,
  minutes integer not null check (minutes > 0),
  share numeric(38,0) not null check (share > 0 and share <> 'NaN'),
  taken numeric(38,0) not null check (taken >= 0 and taken <= share)
);
create index sla_charges_by_report on sla_charges (report_id);
create trigger sla_charges_are_kept before update or delete on sla_charges
  for each row execute function refuse_change();
create trigger sla_charges_are_not_emptied before truncate on sla_charges
  for each statement execute function refuse_change();

insert into accounts (id, kind) values ('platform:sla', 'platform');

-- Whatever kinds of entries there are by now, one more.
do $$
declare
  rule text;
begin
  select pg_get_constraintdef(oid) into rule from pg_constraint
  where conname = 'entries_kind_check' and conrelid = 'entries'::regclass;
  alter table entries drop constraint entries_kind_check;
  execute 'alter table entries add constraint entries_kind_check '
    || replace(rule, 'ARRAY[', 'ARRAY[''sla-credit''::text, ') || ' not valid';
end $$;

-- Step: the entries are read through while they may be written.
alter table entries validate constraint entries_kind_check;

-- Step, outside a transaction. Credit of the market's, which is spent first: service level credits are of it.
drop index concurrently if exists entries_given;
create index concurrently entries_given on entries (seq) where kind in ('grant', 'bonus', 'sla-credit');

-- Step: the end.
