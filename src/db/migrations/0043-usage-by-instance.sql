-- Which gateway served a request: several gateways share the caps of keys and the quotas of plans, each says what it spent
-- of them, and a gateway that begins anew reads here what its lives before came to. Rows from before have none.
alter table usage add column instance text;
