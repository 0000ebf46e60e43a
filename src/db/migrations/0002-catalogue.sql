-- What is sold, and at what price.
--
-- Why it is shaped so. A price is a version in a history that only grows: a request is charged at the price it was
-- admitted with, and anyone must be able to look that price up years later. The price in force at an instant is the one
-- with the latest `effective_from` not after it, so a price can be set for the future and never needs switching on.
-- Gateways keep the catalogue in memory; each change is announced on `catalogue_changed` with the model's id.

create table models (
  -- The canonical repository id, case-sensitive.
  id text primary key check (length(id) between 1 and 200),
  -- The short name that resolves too.
  slug text not null unique check (slug = lower(slug) and length(slug) between 1 and 200),
  aliases text[] not null default '{}',
  name text not null,
  category text not null check (category in ('llm', 'image', 'audio', 'embedding', 'multimodal')),
  context_tokens integer check (context_tokens > 0),
  max_output_tokens integer check (max_output_tokens > 0),
  min_vram_gb integer not null check (min_vram_gb >= 0),
  tier text not null,
  license text not null,
  active boolean not null default true,
  created_at timestamptz not null
);

create table prices (
  id text primary key,
  model_id text not null references models,
  effective_from timestamptz not null,
  unit text not null check (unit in ('token', 'request')),
  -- Pico-dollars (10^-12 USD). One micro-dollar per million tokens is one pico-dollar per token.
  input_pico numeric(38, 0) check (input_pico >= 0),
  output_pico numeric(38, 0) check (output_pico >= 0),
  request_pico numeric(38, 0) check (request_pico >= 0),
  -- Kept from the price lists of audio models; nothing is charged by the minute yet.
  minute_pico numeric(38, 0) check (minute_pico >= 0),
  -- Where the amount comes from: a published list, or the operator.
  source text not null,
  created_at timestamptz not null,
  unique (model_id, effective_from),
  check (
    case unit
      when 'token' then
        input_pico is not null and output_pico is not null and request_pico is null and minute_pico is null
      else request_pico is not null and input_pico is null and output_pico is null
    end
  )
);

create function prices_are_history() returns trigger language plpgsql as $$
begin
  raise exception 'a price is history: set a new one instead';
end $$;

create trigger prices_are_history before update or delete on prices
  for each row execute function prices_are_history();
create trigger prices_are_never_emptied before truncate on prices
  for each statement execute function prices_are_history();

create function announce_model() returns trigger language plpgsql as $$
begin
  perform pg_notify('catalogue_changed', new.id);
  return null;
end $$;

create trigger announce_model after insert or update on models
  for each row execute function announce_model();

create function announce_price() returns trigger language plpgsql as $$
begin
  perform pg_notify('catalogue_changed', new.model_id);
  return null;
end $$;

create trigger announce_price after insert on prices
  for each row execute function announce_price();
