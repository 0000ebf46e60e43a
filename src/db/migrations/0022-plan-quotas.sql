-- What a plan covers of a request: it is charged like any other, and the plan's fees pay instead of the consumer.
--
-- Why it is shaped so. Both are on the row of the request and in its one entry, so the parts of those who are paid are those
-- of the whole, and whoever reads what the consumer paid (`charge`) reads what it read before. The quota that was taken is
-- on the row too: how much of it is left follows from the rows alone.

alter table usage
  add column covered numeric(38,0) not null default 0 check (covered >= 0 and covered <> 'NaN'),
  add column covered_tokens bigint not null default 0 check (covered_tokens >= 0),
  add column covered_units bigint not null default 0 check (covered_units >= 0),
  add constraint covered_answers_were_served check (
    covered = 0 or (outcome in ('completed', 'cancelled') and provider_id is not null)
  );
create index usage_covered on usage (at) where covered_tokens > 0 or covered_units > 0;

alter table corrections
  add column covered_refund numeric(38,0) not null default 0 check (covered_refund <> 'NaN'),
  add column original_covered numeric(38,0) not null default 0 check (original_covered >= 0 and original_covered <> 'NaN'),
  drop constraint corrections_refund_check,
  add constraint corrections_refund_check check (
    refund >= 0 and refund <> 'NaN' and refund + covered_refund > 0
    and refund + covered_refund <= original_charge + original_covered
  );
