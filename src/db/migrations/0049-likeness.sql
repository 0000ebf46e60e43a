-- Likeness: whether a node answers ordinary requests as the other providers' nodes of its model do.
--
-- Why it is shaped so. A model's turn is one row, and a process takes it by a change that only one can make; a process that
-- dies in the middle of a check leaves nothing but a turn that comes later. What a check came to is written in one
-- transaction: the answers, what each node stands at, and what is found. A finding ends once and is kept: it is what a
-- provider was put behind for. Prompts and openings of answers are for the operator, and are dropped after some months.

create table likeness_turns (
  model_id text primary key,
  due_at timestamptz not null
);

create table likeness_checks (
  id text primary key,
  model_id text not null,
  at timestamptz not null,
  prompt text not null
);
create index likeness_checks_by_time on likeness_checks (at);

create table likeness_answers (
  check_id text not null references likeness_checks on delete cascade,
  node_id text not null,
  provider_id text not null references providers,
  -- `unclear`: most answers were not alike, so it says nothing of anybody.
  verdict text not null check (verdict in ('alike', 'unlike', 'unclear')),
  opening text not null,
  ttft_ms double precision,
  primary key (check_id, node_id)
);
create index likeness_answers_by_node on likeness_answers (node_id);

create table likeness_findings (
  id text primary key,
  node_id text not null,
  model_id text not null,
  provider_id text not null references providers,
  found_at timestamptz not null,
  expires_at timestamptz not null,
  -- Of so many checks since its account was opened, so many found it unlike.
  checks integer not null,
  unlike integer not null,
  ended_at timestamptz,
  ended_as text check (ended_as in ('mended', 'cleared', 'expired')),
  ended_by text,
  ended_because text,
  check ((ended_at is null) = (ended_as is null))
);
create unique index likeness_findings_that_stand on likeness_findings (node_id, model_id) where ended_at is null;
create index likeness_findings_by_time on likeness_findings (found_at desc);
create index likeness_findings_by_provider on likeness_findings (provider_id, found_at desc);

-- Where a node stands on a model: the account that the next check is added to.
create table likeness_standings (
  node_id text not null,
  model_id text not null,
  provider_id text not null references providers,
  checks integer not null,
  unlike integer not null,
  evidence double precision not null check (evidence >= 0),
  -- What stands against it.
  finding_id text references likeness_findings,
  checked_at timestamptz not null,
  primary key (node_id, model_id)
);
create index likeness_standings_by_provider on likeness_standings (provider_id);

create function announce_likeness() returns trigger language plpgsql as $$
begin
  perform pg_notify('likeness_changed', new.node_id);
  return null;
end $$;
create trigger announce_likeness after insert or update on likeness_findings
  for each row execute function announce_likeness();

create function keep_likeness_finding() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.ended_at is null and new.ended_at is not null
     and (to_jsonb(old) - array['ended_at', 'ended_as', 'ended_by', 'ended_because'])
       = (to_jsonb(new) - array['ended_at', 'ended_as', 'ended_by', 'ended_because']) then
    return new;
  end if;
  raise exception 'a finding of likeness ends once, and nothing else of it changes' using errcode = 'restrict_violation';
end $$;
create trigger likeness_findings_are_kept before update or delete on likeness_findings
  for each row execute function keep_likeness_finding();
