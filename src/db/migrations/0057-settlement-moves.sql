-- When a batch moved on: for whoever asks how long a payout took, and what it waits for.
--
-- Why it is shaped so. A batch knows how far it is and not since when; a row for each move says so. A move is noted in the
-- statement that makes it, so there is none without its time. Batches from before have no rows: nobody noted when.

create table settlement_moves (
  settlement_id text not null references settlements,
  -- 'in-force' is no state of a batch: it is what the chain says of one that is confirmed.
  move text not null check (move in ('submitted', 'pending', 'confirmed', 'in-force', 'revoked')),
  attempt integer not null,
  at timestamptz not null,
  primary key (settlement_id, move, attempt)
);
create trigger settlement_moves_are_kept before update or delete on settlement_moves
  for each row execute function refuse_change();
create trigger settlement_moves_are_not_emptied before truncate on settlement_moves
  for each statement execute function refuse_change();
