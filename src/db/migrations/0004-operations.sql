-- What a request asked for, and what it used that is not counted in tokens. Until now there was only chat, so that is what
-- the rows that are there say of themselves.

alter table usage
  -- The path of OpenAI's API behind /v1/.
  add column operation text not null default 'chat/completions',
  -- Images made, recordings transcribed.
  add column units bigint not null default 0 check (units >= 0),
  -- Seconds of sound, each begun one counted.
  add column seconds bigint not null default 0 check (seconds >= 0);
