-- Asks: what the owner of an external endpoint wants for a model, where that is other than the listed price.
--
-- Why it is shaped so. What a consumer is charged names the price it was charged at, and for who was served at an ask that
-- is the ask: so an ask is a version in a history that only grows, like a listed price, and its id stands in
-- `usage.price_id`. The newest row of an endpoint and model holds; 'listed' goes back to the listed price. That an ask is
-- never above the listed price is no rule of this table, because a listed price may fall below an ask that stands: routing
-- then passes it over (`src/routing/eligible.ts`).

create table asks (
  id text primary key check (id like 'ask\_%'),
  number bigint generated always as identity,
  endpoint_id text not null,
  model_id text not null,
  unit text not null check (unit in ('token', 'request', 'listed')),
  input_pico numeric(38, 0) check (input_pico >= 0),
  output_pico numeric(38, 0) check (output_pico >= 0),
  request_pico numeric(38, 0) check (request_pico >= 0),
  minute_pico numeric(38, 0) check (minute_pico >= 0),
  created_at timestamptz not null,
  foreign key (endpoint_id, model_id) references external_models,
  check ((unit = 'token') = (input_pico is not null) and (unit = 'token') = (output_pico is not null)),
  check ((unit = 'request') = (request_pico is not null)),
  check (minute_pico is null or unit = 'request')
);
create unique index asks_newest on asks (endpoint_id, model_id, number desc);

create function asks_are_history() returns trigger language plpgsql as $$
begin
  raise exception 'an ask is history: set a new one instead';
end $$;
create trigger asks_are_history before update or delete on asks
  for each row execute function asks_are_history();
create trigger asks_are_never_emptied before truncate on asks
  for each statement execute function asks_are_history();

-- Whoever keeps the endpoints in memory hears of a new ask as of a change of its endpoint.
create function announce_ask() returns trigger language plpgsql as $$
begin
  perform pg_notify('endpoints_changed', new.endpoint_id);
  return null;
end $$;
create trigger announce_ask after insert on asks
  for each row execute function announce_ask();
