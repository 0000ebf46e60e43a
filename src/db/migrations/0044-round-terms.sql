-- Who makes a kind of round now, of several gateways: settlement, plan fees, invoices and the like are made by one at a time.
-- Each holder has a term with a number of its own. A transaction of a round locks its term (for key share) and finds whether it is
-- still the one in force, so whoever stood still and was replaced can write nothing more.
create table round_terms (
  name text primary key,
  term bigint not null,
  holder text not null,
  until timestamptz not null
);
