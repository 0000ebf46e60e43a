-- Asks of agents' providers: what a provider wants for a model, whichever of its agents serves it. Until now only external
-- endpoints had asks (0016); the history, its rules and its place in `usage.price_id` are the same, so it is the same table.

alter table asks
  alter column endpoint_id drop not null,
  add column provider_id text references providers,
  add constraint an_ask_has_one_owner check (num_nonnulls(endpoint_id, provider_id) = 1),
  add constraint an_ask_is_for_a_model foreign key (model_id) references models;
create unique index asks_newest_of_provider on asks (provider_id, model_id, number desc) where provider_id is not null;

create or replace function announce_ask() returns trigger language plpgsql as $$
begin
  if new.endpoint_id is not null then
    perform pg_notify('endpoints_changed', new.endpoint_id);
  else
    perform pg_notify('providers_changed', new.provider_id);
  end if;
  return null;
end $$;
