-- A provider's life: when it was first activated, that `removed` is final, and giving back what was taken.
--
-- Why it is shaped so. The days of grace begin with the first activation and not with each one after a suspension, so that
-- moment is kept apart from `state_since`. That nobody comes back from `removed` was a rule of the program alone; here the
-- database holds it as well. What was slashed and is given back on appeal is a new move and a new entry: the slash itself
-- stays as it was.

alter table providers add column activated_at timestamptz;
update providers set activated_at = state_since where state in ('active', 'suspended');

create function keep_provider_life() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and old.state = 'removed' and new.state <> 'removed' then
    raise exception 'a removed provider stays removed' using errcode = 'restrict_violation';
  end if;
  if new.state = 'active' and new.activated_at is null then
    new.activated_at := new.state_since;
  end if;
  return new;
end $$;
create trigger keep_provider_life before insert or update on providers
  for each row execute function keep_provider_life();

-- Whatever kinds there are by now, one more.
do $$
declare
  held record;
begin
  for held in
    select conrelid::regclass as place, conname, pg_get_constraintdef(oid) as rule from pg_constraint
    where conname in ('entries_kind_check', 'collateral_moves_kind_check')
  loop
    execute format('alter table %s drop constraint %I', held.place, held.conname);
    execute format(
      'alter table %s add constraint %I %s',
      held.place, held.conname, replace(held.rule, 'ARRAY[', 'ARRAY[''slash-returned''::text, ')
    );
  end loop;
end $$;
