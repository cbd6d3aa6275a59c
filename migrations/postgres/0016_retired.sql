-- +goose Up
-- When the user's connector was deleted; 0 while it exists. A retired user keeps the name, and never signs in.
ALTER TABLE users ADD COLUMN retired BIGINT NOT NULL DEFAULT 0;
-- Whether an admin had disabled the user before.
ALTER TABLE users ADD COLUMN was_disabled BOOLEAN NOT NULL DEFAULT FALSE;
DROP INDEX users_subject;
CREATE UNIQUE INDEX users_subject ON users (connector_id, subject) WHERE retired = 0;
CREATE INDEX users_retired ON users (connector_id) WHERE retired <> 0;
