-- The terms of tiers as an operator set them, and the plan that only an operator gives.
--
-- Why it is shaped so. The terms that a market begins with are in its program (src/domain/tier.ts); a row here is a version
-- that replaces them from then on. The table only grows: what was promised when can be looked up. The newest row of a tier
-- holds, and every gateway hears of it.

create table tier_terms (
  number bigint generated always as identity primary key,
  tier text not null check (tier in ('hobby', 'pro', 'business')),
  prompt_tokens_max integer check (prompt_tokens_max > 0),
  output_tokens_max integer check (output_tokens_max > 0),
  concurrent integer check (concurrent > 0),
  burst integer check (burst > 0),
  weight integer not null check (weight between 1 and 1000),
  queue_deadline_ms integer not null check (queue_deadline_ms between 0 and 600000),
  retries_max integer check (retries_max between 0 and 20),
  smaller_model text not null check (smaller_model in ('before', 'after', 'never')),
  -- Basis points. Below 10,000 whoever serves would get less than it asks.
  price_factor integer not null check (price_factor between 10000 and 1000000),
  actor text not null,
  set_at timestamptz not null
);

create function tier_terms_are_history() returns trigger language plpgsql as $$
begin
  raise exception 'terms of a tier are history: set new ones instead';
end $$;
create trigger tier_terms_are_history before update or delete on tier_terms
  for each row execute function tier_terms_are_history();
create trigger tier_terms_are_never_emptied before truncate on tier_terms
  for each statement execute function tier_terms_are_history();

create function announce_tier() returns trigger language plpgsql as $$
begin
  perform pg_notify('tiers_changed', new.tier);
  return null;
end $$;
create trigger announce_tier after insert on tier_terms
  for each row execute function announce_tier();

alter table consumers
  drop constraint consumers_plan_check,
  add constraint consumers_plan_check check (plan in ('free', 'pay-as-you-go', 'pro', 'business'));
