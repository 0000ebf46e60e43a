-- External endpoints: OpenAI-compatible HTTP servers that a provider registered, used when no agent can serve.
--
-- Why it is shaped so. The key of an endpoint is another house's secret and must be sent to it, so it cannot be hashed: it
-- is sealed (AES-256-GCM) under a secret that this database does not hold, and bound to the endpoint's id and URL, so that
-- whoever can write here can neither read it nor have it sent elsewhere. An endpoint never changes where it is or whose it
-- is: a changed one is registered anew. A removed one keeps its row, which usage records name, and loses its key for good.
-- Every hub keeps the endpoints in memory, so each change is announced (`endpoints_changed`, with the id as payload).

create table external_endpoints (
  id text primary key,
  provider_id text not null references providers,
  name text not null check (length(name) between 1 and 200),
  url text not null check (length(url) between 1 and 500),
  -- Which secret the key is sealed under; null: the endpoint takes no key.
  secret_id text check (secret_id ~ '^[0-9a-f]{8}$'),
  key_sealed bytea check (octet_length(key_sealed) between 29 and 2000),
  capacity integer not null check (capacity between 1 and 4096),
  created_at timestamptz not null,
  removed_at timestamptz,
  changed_at timestamptz not null default clock_timestamp(),
  check (removed_at is null or key_sealed is null),
  check (key_sealed is null or secret_id is not null)
);
create index external_endpoints_by_provider on external_endpoints (provider_id, created_at);
create index external_endpoints_by_change on external_endpoints (changed_at);

create table external_models (
  endpoint_id text not null references external_endpoints,
  model_id text not null references models,
  -- What the endpoint calls it.
  upstream_name text not null check (length(upstream_name) between 1 and 200),
  operations text[] not null check (
    cardinality(operations) between 1 and 5
    and operations <@ array[
      'chat/completions', 'completions', 'embeddings', 'images/generations', 'audio/transcriptions'
    ]
  ),
  primary key (endpoint_id, model_id)
);

create function endpoints_keep_their_place() returns trigger language plpgsql as $$
begin
  if (new.id, new.provider_id, new.url, new.created_at)
    is distinct from (old.id, old.provider_id, old.url, old.created_at) then
    raise exception 'an endpoint never changes where it is or whose it is';
  end if;
  if old.removed_at is not null and (new.removed_at, new.key_sealed)
    is distinct from (old.removed_at, old.key_sealed) then
    raise exception 'a removal is final';
  end if;
  new.changed_at := clock_timestamp();
  return new;
end $$;
create trigger endpoints_keep_their_place before update on external_endpoints
  for each row execute function endpoints_keep_their_place();

create function announce_endpoint() returns trigger language plpgsql as $$
begin
  perform pg_notify('endpoints_changed', new.id);
  return null;
end $$;
create trigger announce_endpoint after insert or update on external_endpoints
  for each row execute function announce_endpoint();
