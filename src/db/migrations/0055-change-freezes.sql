-- Freezes of changes that an operator declares, beside those that burning budgets and severe incidents bring about.
--
-- Why it is shaped so. A freeze is history like maintenance: who declared it, why and until when stays known. It ends at its time
-- or when it is lifted, once; of what it was nothing changes.
create table change_freezes (
  id text primary key,
  words text not null check (length(words) between 1 and 500),
  actor text not null,
  from_at timestamptz not null,
  -- Null: until it is lifted.
  until_at timestamptz check (until_at > from_at),
  lifted_at timestamptz check (lifted_at >= from_at),
  lifted_by text,
  check ((lifted_at is null) = (lifted_by is null))
);
create index change_freezes_by_time on change_freezes (from_at desc);

create function change_freezes_are_history() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.lifted_at is null and new.lifted_at is not null
    and (new.id, new.words, new.actor, new.from_at) = (old.id, old.words, old.actor, old.from_at)
    and new.until_at is not distinct from old.until_at then
    return new;
  end if;
  raise exception 'a freeze is history: lift it, or declare another';
end $$;
create trigger change_freezes_are_history before update or delete on change_freezes
  for each row execute function change_freezes_are_history();
create trigger change_freezes_are_never_emptied before truncate on change_freezes
  for each statement execute function change_freezes_are_history();
