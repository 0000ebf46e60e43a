-- What the operator pins a model to: who offers it must serve it so.
--
-- Why it is shaped so. The pins are checked by agents, which know their machine and their model server, before they offer a
-- model; here they are only kept and told. Null: the model is pinned to nothing.

alter table models add column requirements jsonb check (jsonb_typeof(requirements) = 'object');
