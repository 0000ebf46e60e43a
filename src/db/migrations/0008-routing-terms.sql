-- What routing may be asked to heed of a provider: where it is and what it does with prompts. Noted by the operator,
-- because neither can be measured from here: a data policy is what the provider has promised in writing.
alter table providers
  add column region text check (region ~ '^[a-z0-9-]{1,32}$'),
  add column data_policy text not null default 'unstated'
    check (data_policy in ('unstated', 'no-collection', 'zero-retention'));

-- A version of the model on trial, by the hash of its weights, and the share of requests that it leads.
alter table models
  add column canary_version text check (length(canary_version) between 1 and 200),
  add column canary_share double precision check (canary_share >= 0 and canary_share <= 1),
  add constraint canary_is_whole check ((canary_version is null) = (canary_share is null));
