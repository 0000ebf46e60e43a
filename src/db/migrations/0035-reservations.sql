-- Places at a model that are kept for one consumer: a number of requests at once, or a share of what its providers can do.
--
-- Why it is shaped so. A reservation is never changed, only ended: what was kept for whom, and when, stays known. It says
-- itself after how long without a request its places are lent to others.

create table reservations (
  id text primary key check (id like 'rsv\_%'),
  consumer_id text not null references consumers,
  model_id text not null references models,
  slots integer check (slots between 1 and 100000),
  share_basis_points integer check (share_basis_points between 1 and 9000),
  -- Null: they are kept whether they are used or not.
  release_idle_s integer check (release_idle_s between 1 and 86400),
  actor text not null,
  created_at timestamptz not null,
  ended_at timestamptz,
  check ((slots is null) <> (share_basis_points is null))
);
create unique index reservations_standing on reservations (consumer_id, model_id) where ended_at is null;

create function announce_reservation() returns trigger language plpgsql as $$
begin
  perform pg_notify('reservations_changed', new.id);
  return null;
end $$;
create trigger announce_reservation after insert or update on reservations
  for each row execute function announce_reservation();
