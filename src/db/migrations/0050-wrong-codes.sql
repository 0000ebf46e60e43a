-- Wrong codes of a second factor, counted where every gateway counts them and a restart forgets nothing.
--
-- Why it is shaped so. A code has six digits, and whoever guesses at one knows the password already. The count stands in the
-- row that is locked while a code is looked at, so that guesses at the same time, over several gateways, are counted each.
-- From the fifth on no code of the authenticator is looked at for a while; recovery codes are too long to be guessed and are
-- taken all the same, so that the owner is not locked out by who guesses.

alter table second_factors
  -- Since the last right one.
  add column wrong_codes integer not null default 0 check (wrong_codes >= 0),
  add column last_wrong_at timestamptz,
  add column locked_until timestamptz;
