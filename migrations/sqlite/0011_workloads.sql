-- +goose Up
-- Rename machines to workloads, the term for CI jobs and other callers that are not people.
ALTER TABLE machine_rules RENAME TO workload_rules;
UPDATE last_uses SET id = 'workload_rule/' || SUBSTR(id, LENGTH('machine_rule/') + 1) WHERE SUBSTR(id, 1, LENGTH('machine_rule/')) = 'machine_rule/';
UPDATE revisions SET kind = 'workloads' WHERE kind = 'machines';
UPDATE users SET connector_id = 'workload', kube_name = 'workload' || SUBSTR(kube_name, LENGTH('machine') + 1), name_key = 'workload' || SUBSTR(name_key, LENGTH('machine') + 1)
WHERE connector_id = 'machine';
