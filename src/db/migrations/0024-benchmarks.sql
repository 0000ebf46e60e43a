-- Benchmarks: whose turn it is, what was asked, and what came of it.
--
-- Why it is shaped so. A node's turn on a model is one row, and a process takes it by a change that only one can make: two
-- never ask the same node at once, and a process that dies leaves a turn that runs out. A run is written once, with its
-- marks, in the transaction that ends its turn; nothing of it changes later but that what follows was done (`acted_at`),
-- so a crash in between is found and made good. The seed, the questions and the answers are for the operator, who decides
-- appeals; no agent is ever shown them. What was asked is kept as digests, so that nobody is asked the same twice.

create table benchmark_turns (
  node_id text not null references nodes,
  model_id text not null,
  provider_id text not null references providers,
  due_at timestamptz not null,
  -- The last passed run since which none was failed; null before the first and after a failed one.
  passed_at timestamptz,
  -- No requests until then.
  withheld_until timestamptz,
  -- The run under way, and when its process counts as dead.
  run_id text,
  claimed_until timestamptz,
  primary key (node_id, model_id),
  check ((run_id is null) = (claimed_until is null))
);
create index benchmark_turns_by_provider on benchmark_turns (provider_id);

create function announce_benchmark_turn() returns trigger language plpgsql as $$
begin
  perform pg_notify('benchmark_turns_changed', new.node_id);
  return null;
end $$;
create trigger announce_benchmark_turn after insert or update on benchmark_turns
  for each row execute function announce_benchmark_turn();

create table benchmark_runs (
  id text primary key,
  node_id text not null,
  model_id text not null,
  provider_id text not null references providers,
  began_at timestamptz not null,
  ended_at timestamptz not null,
  passed boolean not null,
  -- Whether it was a step of the ladder, and which: failures in a row.
  counted boolean not null,
  failures integer not null check (failures >= 0),
  step text not null check (step in ('none', 'withheld', 'warning', 'slash', 'removal')),
  withheld_until timestamptz,
  -- What it lacked, in sentences for the provider.
  shortcomings text[] not null,
  math_right integer not null,
  math_asked integer not null,
  code_right integer not null,
  code_asked integer not null,
  -- Null: no answers to measure.
  ttft_ms double precision,
  tokens_per_second double precision not null,
  tier text not null,
  -- For the operator alone: the seeds, and question by question what came back.
  papers jsonb not null,
  acted_at timestamptz,
  check (counted or failures = 0)
);
create index benchmark_runs_by_provider on benchmark_runs (provider_id, ended_at desc);
create index benchmark_runs_by_time on benchmark_runs (ended_at desc);
create index benchmark_runs_to_act_on on benchmark_runs (ended_at) where counted and acted_at is null;

create function keep_benchmark_run() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.acted_at is null and new.acted_at is not null
     and (to_jsonb(old) - 'acted_at') = (to_jsonb(new) - 'acted_at') then
    return new;
  end if;
  raise exception 'a benchmark run never changes' using errcode = 'restrict_violation';
end $$;
create trigger benchmark_runs_are_kept before update or delete on benchmark_runs
  for each row execute function keep_benchmark_run();

-- What was asked, so that it is asked of nobody again.
create table benchmark_asked (
  digest bytea primary key check (octet_length(digest) = 16),
  asked_at timestamptz not null
);

-- The operator's decisions about failed runs. A granted one sets the run aside.
create table benchmark_appeals (
  run_id text primary key references benchmark_runs,
  decision text not null check (decision in ('granted', 'rejected')),
  reason text not null check (length(reason) <= 1000),
  decided_by text not null,
  decided_at timestamptz not null,
  -- Whether what was taken was given back.
  acted_at timestamptz
);
