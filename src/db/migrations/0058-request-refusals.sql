-- Requests of known keys that ended without a usage record: refused before anybody was asked, or left until then.
--
-- Why it is shaped so. `request_outcomes` tells how the requests of the usage list were served, and each of its rows has its
-- other half there. A refusal has no such half: it is no usage, and the usage list is money. So it is a table of its own that
-- holds all there is to know of one, read by the same readers. Partitions are days, made by the process that needs them and
-- dropped whole (src/ledger/day-partitions.ts). Rows are best effort and bounded (src/ledger/refusal-buffer.ts). There is no
-- word of a prompt here, and no key: names are those of our own tables.

create table request_refusals (
  at timestamptz not null,
  request_id text not null,
  consumer_id text not null,
  key_id text not null,
  tier text not null,
  model_id text,
  operation text not null,
  streamed boolean not null,
  region text,
  status integer not null,
  code text not null,
  whose text not null check (whose in ('caller', 'provider', 'platform')),
  queue_ms double precision,
  total_ms double precision not null,
  -- A list of attempts (src/domain/serving.ts), nearly always an empty one.
  tries jsonb not null,
  primary key (request_id, at)
) partition by range (at);

create index request_refusals_of_consumer on request_refusals (consumer_id, at);
create index request_refusals_by_time on request_refusals (at);
