-- Appeals of providers against what a service level report charged their pledges: decided once, with the reason that the
-- provider reads. What is given back is a new move and a new entry (src/funds/collateral.ts); the charge stays as it was.

create table sla_appeals (
  finding_id text primary key references sla_charges,
  decision text not null check (decision in ('granted', 'rejected')),
  reason text not null,
  actor text not null,
  at timestamptz not null
);
create trigger sla_appeals_are_kept before update or delete on sla_appeals
  for each row execute function refuse_change();
create trigger sla_appeals_are_not_emptied before truncate on sla_appeals
  for each statement execute function refuse_change();
