-- +goose Up
-- When the upstream refused the user, and why; 0 after it has confirmed the user again.
ALTER TABLE users ADD COLUMN refused BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN refused_reason TEXT NOT NULL DEFAULT '';
