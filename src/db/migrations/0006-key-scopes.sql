-- What a key may do, less than its owner may; keys that take over from others; the plan of an account.
--
-- Why it is shaped so. Gateways judge a request from memory, so everything a key is judged by travels with the key's row
-- and is announced like it; a changed plan announces the keys of its consumer. Rotation makes a new key of the same
-- family, and spending is counted by family: a new key must not be a new purse.

alter table consumers
  add column plan text not null default 'pay-as-you-go' check (plan in ('free', 'pay-as-you-go', 'pro'));

alter table keys
  add column family_id text references keys,
  -- The key that took over from this one.
  add column superseded_by text references keys,
  add column models text[] check (cardinality(models) between 1 and 200),
  add column categories text[] check (
    cardinality(categories) >= 1 and categories <@ array['llm', 'image', 'audio', 'embedding', 'multimodal']
  ),
  add column cap_day_pico numeric(38, 0) check (cap_day_pico >= 0 and cap_day_pico <> 'NaN'),
  add column cap_month_pico numeric(38, 0) check (cap_month_pico >= 0 and cap_month_pico <> 'NaN'),
  add column addresses text[] check (cardinality(addresses) between 1 and 100),
  add column requests_per_minute integer check (requests_per_minute between 1 and 1000000000),
  add column expires_at timestamptz;

create index keys_by_family on keys (family_id) where family_id is not null;

create or replace function keys_keep_their_word() returns trigger language plpgsql as $$
begin
  if (new.id, new.kind, new.consumer_id, new.provider_id, new.prefix, new.hash, new.created_at, new.family_id)
    is distinct from
    (old.id, old.kind, old.consumer_id, old.provider_id, old.prefix, old.hash, old.created_at, old.family_id) then
    raise exception 'a key never changes what it is or whose it is';
  end if;
  if old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at then
    raise exception 'a revocation is final';
  end if;
  -- A mark of use is nobody's news.
  if (new.name, new.revoked_at, new.models, new.categories, new.cap_day_pico, new.cap_month_pico, new.addresses,
      new.requests_per_minute, new.expires_at)
    is distinct from
    (old.name, old.revoked_at, old.models, old.categories, old.cap_day_pico, old.cap_month_pico, old.addresses,
      old.requests_per_minute, old.expires_at) then
    new.changed_at := clock_timestamp();
  end if;
  return new;
end $$;

create function announce_plan() returns trigger language plpgsql as $$
begin
  update keys set changed_at = clock_timestamp() where consumer_id = new.id and revoked_at is null;
  return null;
end $$;
create trigger announce_plan after update on consumers
  for each row when (new.plan is distinct from old.plan) execute function announce_plan();
