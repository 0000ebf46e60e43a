-- What a plan pays for a consumer's requests is bounded by what the consumer paid for the plan (src/funds/plan-purses.ts), so
-- every gateway must hear of a new period at once: until it does, the plan covers nothing.

create function plan_period_added() returns trigger language plpgsql as $$
begin
  perform pg_notify('plan_periods_changed', new.consumer_id);
  return null;
end $$;
create trigger plan_periods_are_announced after insert on plan_periods
  for each row execute function plan_period_added();
