-- What operators did: one row before anything is done, and one row for how it ended. An action that began and has no end
-- was cut off by a crash, and says so by its silence. Neither is ever changed.

create table operator_actions (
  id text primary key,
  at timestamptz not null,
  -- A user, or `cli`.
  actor text not null,
  -- The call or the command: `POST /api/v1/operator/providers/:id/status`.
  what text not null,
  -- To whom or what; empty where it is about nothing in particular.
  about text not null,
  -- Where it came from; empty for the command line.
  address text not null check (length(address) <= 60),
  -- What was asked for. Never a password, a code or a key.
  asked jsonb not null default '{}'
);
create index operator_actions_by_time on operator_actions (at desc, id);
create index operator_actions_by_about on operator_actions (about, at desc);
create trigger operator_actions_are_kept before update or delete on operator_actions
  for each row execute function refuse_change();
create trigger operator_actions_are_not_emptied before truncate on operator_actions
  for each statement execute function refuse_change();

create table operator_outcomes (
  action_id text primary key references operator_actions,
  at timestamptz not null,
  outcome text not null check (outcome in ('done', 'refused', 'failed')),
  -- The code of a refusal.
  code text,
  before jsonb,
  after jsonb
);
create trigger operator_outcomes_are_kept before update or delete on operator_outcomes
  for each row execute function refuse_change();
create trigger operator_outcomes_are_not_emptied before truncate on operator_outcomes
  for each statement execute function refuse_change();

-- A consumer that an operator suspended: its keys are refused until it is restored.
alter table consumers
  add column suspended_at timestamptz,
  add column suspended_because text not null default '' check (length(suspended_because) <= 1000);

-- A price that was proposed over the network and waits for its confirmation.
create table price_proposals (
  id text primary key,
  model_id text not null references models,
  -- The amounts, as `cygnet price set` takes them.
  amounts jsonb not null,
  effective_from timestamptz,
  forced boolean not null,
  proposed_by text not null,
  proposed_at timestamptz not null,
  expires_at timestamptz not null,
  -- SHA-256 of the word that confirms it.
  token_hash bytea not null check (octet_length(token_hash) = 32),
  decided_at timestamptz,
  decision text check (decision in ('confirmed', 'withdrawn')),
  price_id text references prices
);
create index price_proposals_open on price_proposals (proposed_at) where decided_at is null;

-- Gateways keep keys in memory: they hear of a suspension as they hear of a plan.
create trigger announce_suspension after update on consumers
  for each row when (new.suspended_at is distinct from old.suspended_at) execute function announce_plan();
