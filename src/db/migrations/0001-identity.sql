-- Who is who: consumers, providers, their keys and their nodes.
--
-- Why it is shaped so. A key is kept as a hash only, so this database cannot lose one; it belongs to one owner for ever
-- and a revocation is final, so what a row once said about a request stays true. A node (a machine, by the public key in
-- its agent's key file) belongs to the first provider that brings it, for ever: nobody can take over another's record by
-- repeating an id they saw. Every gateway and hub keeps keys and provider states in memory, so each change is announced
-- (`keys_changed`, `providers_changed`, with the id as payload) in the transaction that makes it.
--
-- Moments are handed in by the program (its clock is replaceable), except `changed_at`, which orders changes for readers
-- that may have missed an announcement and therefore comes from the database's own clock.

create table consumers (
  id text primary key,
  name text not null check (length(name) between 1 and 200),
  created_at timestamptz not null
);

create table providers (
  id text primary key,
  name text not null check (length(name) between 1 and 200),
  state text not null check (
    state in ('pending', 'under_review', 'approved', 'activating', 'active', 'suspended', 'removed')
  ),
  -- Why it is in this state, in the operator's words; never shown to others.
  state_reason text not null default '' check (length(state_reason) <= 1000),
  state_since timestamptz not null,
  created_at timestamptz not null
);

create table keys (
  id text primary key,
  kind text not null check (kind in ('consumer', 'provider')),
  consumer_id text references consumers,
  provider_id text references providers,
  owner_id text not null generated always as (coalesce(consumer_id, provider_id)) stored,
  name text not null check (length(name) between 1 and 200),
  -- The first eight characters after `sk-swan-` or `sk-prov-`, for people to tell keys apart.
  prefix text not null check (prefix ~ '^[0-9a-f]{8}$'),
  -- SHA-256 of the whole key. The key has 160 random bits: no salt and no slow hash could add anything.
  hash bytea not null unique check (octet_length(hash) = 32),
  created_at timestamptz not null,
  revoked_at timestamptz,
  -- A day is enough to find keys nobody uses, and costs one write a day.
  last_used_on date,
  changed_at timestamptz not null default clock_timestamp(),
  check ((kind = 'consumer') = (consumer_id is not null)),
  check ((kind = 'provider') = (provider_id is not null))
);

create index keys_by_owner on keys (owner_id);
create index keys_by_change on keys (changed_at);

create table nodes (
  node_id text primary key check (length(node_id) between 1 and 200),
  provider_id text not null references providers,
  -- The key that brought the node first.
  first_key_id text not null references keys,
  name text check (length(name) <= 200),
  -- What the agent last said about its machine; claims, not facts.
  hardware jsonb,
  first_seen timestamptz not null,
  last_seen timestamptz not null
);

create index nodes_by_provider on nodes (provider_id);

create function keys_keep_their_word() returns trigger language plpgsql as $$
begin
  if (new.id, new.kind, new.consumer_id, new.provider_id, new.prefix, new.hash, new.created_at)
    is distinct from (old.id, old.kind, old.consumer_id, old.provider_id, old.prefix, old.hash, old.created_at) then
    raise exception 'a key never changes what it is or whose it is';
  end if;
  if old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at then
    raise exception 'a revocation is final';
  end if;
  -- A mark of use is nobody's news.
  if (new.name, new.revoked_at) is distinct from (old.name, old.revoked_at) then
    new.changed_at := clock_timestamp();
  end if;
  return new;
end $$;

create trigger keys_keep_their_word before update on keys
  for each row execute function keys_keep_their_word();

create function keys_never_vanish() returns trigger language plpgsql as $$
begin
  raise exception 'a key is revoked, never deleted';
end $$;

create trigger keys_never_vanish before delete on keys
  for each row execute function keys_never_vanish();

create function nodes_keep_their_provider() returns trigger language plpgsql as $$
begin
  raise exception 'a node belongs to one provider for ever';
end $$;

create trigger nodes_keep_their_provider before update on nodes
  for each row
  when (
    new.node_id is distinct from old.node_id
    or new.provider_id is distinct from old.provider_id
    or new.first_key_id is distinct from old.first_key_id
  )
  execute function nodes_keep_their_provider();

create function announce_key() returns trigger language plpgsql as $$
begin
  perform pg_notify('keys_changed', new.id);
  return null;
end $$;

create trigger announce_new_key after insert on keys for each row execute function announce_key();
create trigger announce_changed_key after update on keys
  for each row when (new.changed_at is distinct from old.changed_at) execute function announce_key();

create function announce_provider() returns trigger language plpgsql as $$
begin
  perform pg_notify('providers_changed', new.id);
  return null;
end $$;

create trigger announce_provider after insert or update on providers
  for each row execute function announce_provider();
