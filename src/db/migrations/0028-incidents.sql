-- Incidents and their timelines, what synthetic probes found, maintenance that was announced, and which smaller model may
-- stand in for another.
--
-- Why it is shaped so. The timeline is the incident: its steps are only ever added, and the post-mortem, the status page and
-- the notices are read from them. The row of the incident beside it is where it stands now, so that every process of a
-- market sees the same one: a component has at most one that is open, whichever process saw it first.

create table incidents (
  id text primary key,
  -- '' is the whole market, which only an operator can say.
  model_id text not null,
  -- '' is everywhere.
  region text not null default '',
  opened_at timestamptz not null,
  opened_by text not null check (opened_by in ('rule', 'operator')),
  severity text not null check (severity in ('minor', 'major', 'critical')),
  worst text not null check (worst in ('minor', 'major', 'critical')),
  triggers text[] not null default '{}',
  because text not null,
  -- When any process last saw a reason for it.
  last_held_at timestamptz not null,
  silenced_until timestamptz,
  resolved_at timestamptz check (resolved_at >= opened_at)
);
create unique index incidents_open on incidents (model_id, region) where resolved_at is null;
create index incidents_by_time on incidents (opened_at desc);

create table incident_steps (
  seq bigint generated always as identity primary key,
  incident_id text not null references incidents,
  at timestamptz not null,
  kind text not null check (kind in ('opened', 'changed', 'note', 'silenced', 'resolved', 'post-mortem')),
  -- 'rule', or who wrote it.
  actor text not null,
  severity text check (severity in ('minor', 'major', 'critical')),
  words text not null,
  -- For operators alone: on no public page and in no notice.
  internal boolean not null default false
);
create index incident_steps_by_incident on incident_steps (incident_id, seq);
create trigger incident_steps_are_kept before update or delete on incident_steps
  for each row execute function refuse_change();
create trigger incident_steps_are_not_emptied before truncate on incident_steps
  for each statement execute function refuse_change();

-- Whom a step was told. Absent: it is due.
create table incident_notices (
  step_seq bigint not null references incident_steps,
  channel text not null check (channel in ('webhook', 'mail')),
  tries integer not null default 0,
  not_before timestamptz not null,
  delivered_at timestamptz,
  primary key (step_seq, channel)
);

-- Probes through the public door (region '') and straight to the candidates of a region, by the minute.
create table probe_minutes (
  at timestamptz not null,
  model_id text not null,
  region text not null,
  probes integer not null check (probes > 0),
  failures integer not null check (failures between 0 and probes),
  primary key (at, model_id, region)
);

create table maintenance_windows (
  id text primary key,
  -- '' is the whole market.
  model_id text not null default '',
  words text not null,
  announced_at timestamptz not null,
  from_at timestamptz not null,
  until_at timestamptz not null check (until_at > from_at),
  -- Called off; it stays, because it was announced.
  removed_at timestamptz
);
create index maintenance_by_time on maintenance_windows (from_at);

alter table models add column stand_in text references models (id) check (stand_in <> id);
