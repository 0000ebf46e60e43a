-- In which session a key was made, and from where. Whoever ends a session that is not theirs must be able to end what was made in
-- it: a key made by a thief would outlive the session. Keys of before, and those that no session made (at sign-up, by the
-- operator), have none. Address and program stay with the key, since sessions are swept a week after they ended.
alter table keys
  add column session_id text,
  add column made_from text not null default '' check (length(made_from) <= 60),
  add column made_with text not null default '' check (length(made_with) <= 200);

create or replace function keys_keep_their_word() returns trigger language plpgsql as $$
begin
  if (new.id, new.kind, new.consumer_id, new.provider_id, new.prefix, new.hash, new.created_at, new.family_id, new.session_id,
      new.made_from, new.made_with)
    is distinct from
    (old.id, old.kind, old.consumer_id, old.provider_id, old.prefix, old.hash, old.created_at, old.family_id, old.session_id,
      old.made_from, old.made_with) then
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
