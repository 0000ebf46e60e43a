-- Business is a tier (src/domain/tier.ts), and an account has its tier by its plan; the column refused the plan's name, so
-- nobody could be given it.
do $$
declare
  rule text;
begin
  select pg_get_constraintdef(oid) into rule from pg_constraint
  where conname = 'consumers_plan_check' and conrelid = 'consumers'::regclass;
  if rule is not null and rule not like '%business%' then
    alter table consumers drop constraint consumers_plan_check;
    execute 'alter table consumers add constraint consumers_plan_check '
      || replace(rule, 'ARRAY[', 'ARRAY[''business''::text, ');
  end if;
end $$;
