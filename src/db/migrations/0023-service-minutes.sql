-- What happened in each minute, by model, tier, region and provider: the figures that objectives, the status page and
-- planners are computed from.
--
-- Why it is shaped so. Every process adds rows of its own, so two never wait for each other and a row that is written twice
-- is the same row. Durations are kept as sketches, which can be added up over minutes and processes; averages of
-- percentiles cannot. Minutes are kept for five weeks and hours for more than a year, so both are partitioned by time and
-- old partitions are dropped whole: deleting rows would leave the work to the vacuum. Partitions are made by the process
-- that needs them (src/reliability/minute-table.ts). There is no word of a prompt here, and no consumer.

create table service_minutes (
  at timestamptz not null,
  -- The process that counted.
  instance text not null,
  model_id text not null,
  tier text not null,
  region text not null,
  provider_id text not null,
  mode text not null check (mode in ('', 'websocket', 'external')),
  requests bigint not null check (requests >= 0),
  failures bigint not null check (failures between 0 and requests),
  too_many bigint not null check (too_many >= 0),
  disconnects bigint not null check (disconnects >= 0),
  cancelled bigint not null check (cancelled >= 0),
  retries bigint not null check (retries >= 0),
  fallbacks bigint not null check (fallbacks >= 0),
  input_tokens bigint not null check (input_tokens >= 0),
  output_tokens bigint not null check (output_tokens >= 0),
  generation_ms double precision not null check (generation_ms >= 0),
  ttft text,
  ttlt256 text,
  ttlt512 text,
  queue text,
  -- Its hour was added up with it.
  rolled boolean not null default false,
  primary key (at, instance, model_id, tier, region, provider_id, mode)
) partition by range (at);
create index service_minutes_unrolled on service_minutes (at) where not rolled;

create table service_hours (
  at timestamptz not null,
  model_id text not null,
  tier text not null,
  region text not null,
  provider_id text not null,
  mode text not null,
  requests bigint not null,
  failures bigint not null,
  too_many bigint not null,
  disconnects bigint not null,
  cancelled bigint not null,
  retries bigint not null,
  fallbacks bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  generation_ms double precision not null,
  ttft text,
  ttlt256 text,
  ttlt512 text,
  queue text,
  primary key (at, model_id, tier, region, provider_id, mode)
) partition by range (at);
