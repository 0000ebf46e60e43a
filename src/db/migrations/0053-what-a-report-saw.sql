-- Which rows a service level report was made from. What a gateway that was away hands in afterwards is labelled with the time of
-- its work: the label does not tell whether a report saw it, the order of arrival does. Rows from before have none: they were
-- there. (A default that is set afterwards costs no rewriting of the tables.)
create sequence arrivals;
alter table usage add column arrival bigint;
alter table usage alter column arrival set default nextval('arrivals');
alter table consumer_refusals add column arrival bigint;
alter table consumer_refusals alter column arrival set default nextval('arrivals');
alter table probe_minutes add column arrival bigint;
alter table probe_minutes alter column arrival set default nextval('arrivals');

alter table sla_reports
  -- The last entry, and the last arrival, that the report saw. Null: made before these were kept.
  add column entries_cut bigint,
  add column arrivals_cut bigint,
  -- The newest cut of the account's reports before: what came after it to their months is counted here.
  add column entries_before bigint;
