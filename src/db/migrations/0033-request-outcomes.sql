-- How each request was served: the way it took, whose fault it was, what its provider got and what the market kept.
--
-- Why it is shaped so. The row of the request (`usage`) is money and is kept for ever; how it was served matters for a while
-- and is a multiple of it in size. So it is a table of its own, partitioned by day, and old days are dropped whole (deleting
-- rows would leave the work to the vacuum). Partitions are made by the process that needs them
-- (src/ledger/outcome-table.ts). There is no foreign key: a day is dropped without a look at the usage list. There is no word
-- of a prompt here, and no key.

create table request_outcomes (
  at timestamptz not null,
  request_id text not null,
  consumer_id text not null,
  model_id text not null,
  provider_id text,
  tier text not null,
  region text,
  queue_ms double precision,
  whose text check (whose in ('caller', 'provider', 'platform')),
  fallback text,
  -- Of what was paid, by the consumer and by its plan together: as charged, before any correction.
  provider_part numeric(38,0) not null check (provider_part >= 0),
  market_part numeric(38,0) not null check (market_part >= 0),
  -- A list of attempts (src/domain/serving.ts).
  tries jsonb not null,
  primary key (request_id, at)
) partition by range (at);

-- What a tier makes of the price belongs to the money, so it is on the row that is kept.
alter table usage add column price_factor integer not null default 10000;
alter table usage add constraint usage_price_factor_check check (price_factor >= 10000) not valid;

-- Step: the requests are read through while they may be written.
alter table usage validate constraint usage_price_factor_check;
