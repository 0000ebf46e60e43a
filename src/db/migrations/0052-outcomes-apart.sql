-- Records of how a request was served that could not be stored with it. The charge is booked all the same; the whole record
-- is kept here, with the reason, until a person has looked at it. It is of no worth after the days for which outcomes are kept.
create table rejected_outcomes (
  request_id text primary key,
  instance text not null,
  at timestamptz not null default now(),
  reason text not null,
  record text not null
);
