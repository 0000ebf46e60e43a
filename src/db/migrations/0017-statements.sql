-- Invoices, credit notes and receipts.
--
-- Why it is shaped so. A month is closed by a cut through the entries, like a day of settlement: what stands on a month's
-- invoices is every entry that is labelled before the month's end and was there at its cut, and that no month before has.
-- So each entry is on exactly one month whatever is written late, and the sums of all months are the ledger. The lines of a
-- month are made once, in one transaction; the documents are made from the lines. A number is taken and its document
-- written in one transaction, under a lock on the series: numbers have no gaps and nothing is issued twice. A document is
-- kept as the text it was issued as, and never changed: a mistake is put right by a credit note.

create table billing_months (
  month text primary key check (month ~ '^\d{4}-\d{2}$'),
  ends_at timestamptz not null unique,
  -- Every entry up to it was committed when the row was made.
  cut bigint not null,
  made_at timestamptz not null,
  -- 'cut': closed; 'gathered': its lines are there; 'issued': its documents are.
  state text not null default 'cut' check (state in ('cut', 'gathered', 'issued'))
);
create function keep_billing_month() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and (to_jsonb(old) - 'state') = (to_jsonb(new) - 'state')
     and (old.state, new.state) in (('cut', 'gathered'), ('gathered', 'issued')) then
    return new;
  end if;
  raise exception 'a closed month never changes' using errcode = 'restrict_violation';
end $$;
create trigger billing_months_are_kept before update or delete on billing_months
  for each row execute function keep_billing_month();
create trigger billing_months_are_not_emptied before truncate on billing_months
  for each statement execute function refuse_change();

-- What a consumer's account saw in a month, summed up.
create table billing_lines (
  month text not null references billing_months,
  consumer_id text not null,
  -- 'usage': charges of requests, with what was given back of them by the month's cut; 'refund': given back of requests
  -- that an earlier month has; 'plan-fee'; 'movement': everything else that moved the balance.
  kind text not null check (kind in ('usage', 'refund', 'plan-fee', 'movement')),
  -- The model, the plan, or the kind of entry.
  name text not null,
  -- usage: when it was served, which is an earlier month where it was written late. refund: the month that has the charge.
  of_month text not null check (of_month ~ '^\d{4}-\d{2}$'),
  -- Requests, periods, or entries.
  count bigint not null,
  input_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  units bigint not null default 0,
  seconds bigint not null default 0,
  -- What it did to the balance: charges are negative.
  amount numeric(38,0) not null check (amount <> 'NaN'),
  primary key (month, consumer_id, kind, name, of_month)
);
create index billing_lines_by_consumer on billing_lines (consumer_id, month);
create trigger billing_lines_are_kept before update or delete on billing_lines
  for each row execute function refuse_change();
create trigger billing_lines_are_not_emptied before truncate on billing_lines
  for each statement execute function refuse_change();

create table document_series (
  kind text primary key check (kind in ('invoice', 'credit-note', 'receipt')),
  last bigint not null default 0
);
insert into document_series (kind) values ('invoice'), ('credit-note'), ('receipt');

create table documents (
  number text primary key,
  kind text not null references document_series,
  serial bigint not null check (serial > 0),
  -- What it is about; there is one document for each.
  subject text not null unique,
  consumer_id text not null,
  month text references billing_months,
  issued_at timestamptz not null,
  total numeric(38,0) not null check (total <> 'NaN'),
  -- The document as JSON, as it was issued (src/wire/documents.ts).
  body text not null,
  unique (kind, serial)
);
create index documents_by_consumer on documents (consumer_id, issued_at desc, number);
create index documents_by_month on documents (month, kind, serial);
create trigger documents_are_kept before update or delete on documents
  for each row execute function refuse_change();
create trigger documents_are_not_emptied before truncate on documents
  for each statement execute function refuse_change();

-- Entries are written in the order of time, so this costs next to nothing to keep: for months and for exports of a range.
create index entries_by_time on entries using brin (at);
-- Few entries give credit away: they tell free volume from paid.
create index entries_given on entries (seq) where kind in ('grant', 'bonus');
