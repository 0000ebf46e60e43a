-- Ways to read the usage list: what a key spent since an instant, and what the whole market did lately. The second is a
-- BRIN index: rows arrive in the order of time, so it costs next to nothing to keep.

create index usage_by_key on usage (key_id, at) include (charge);
create index usage_by_time on usage using brin (at);
