-- Burns: SWAN that was bought with what charges set aside for it, and destroyed. A burn has the name of its transaction, so
-- it is noted once whoever reports it how often, and its entry is made in the same transaction.

alter table entries drop constraint entries_kind_check;
alter table entries add constraint entries_kind_check check (
  kind in (
    'charge', 'correction', 'grant', 'deposit', 'payout', 'payout-revoked', 'claim',
    'bonus', 'withdrawal', 'reversal', 'reinstatement', 'collection', 'plan-fee',
    'collateral', 'collateral-refund', 'slash', 'burn'
  )
);

create table burns (
  -- '<chain id>:<transaction>'
  id text primary key,
  chain_id bigint not null,
  transaction text not null check (transaction ~ '^0x[0-9a-f]{64}$'),
  -- SWAN in its smallest unit.
  units numeric(78,0) not null check (units > 0 and units <> 'NaN'),
  -- What was spent of what is set aside, in pico-USD.
  spent numeric(38,0) not null check (spent > 0 and spent <> 'NaN'),
  -- Whether the chain was asked, and said so.
  verified boolean not null,
  actor text not null,
  at timestamptz not null
);
create index burns_by_time on burns (at desc);
create trigger burns_are_kept before update or delete on burns for each row execute function refuse_change();
create trigger burns_are_not_emptied before truncate on burns for each statement execute function refuse_change();
