-- A provider may appeal against what a service level charged its pledge, as it may against a failed benchmark or a slash: asked
-- once about the finding of the charge. What is decided stands where it stood (`sla_appeals`).
alter table appeals drop constraint appeals_kind_check;
alter table appeals add constraint appeals_kind_check check (kind in ('benchmark', 'slash', 'service-level'));
