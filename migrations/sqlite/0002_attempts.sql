-- +goose Up
-- Attempts, such as wrong passwords, by the hash of their name; see server/base/ratelimit.
CREATE TABLE attempts (
    id      TEXT   NOT NULL PRIMARY KEY,
    tries   BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX attempts_expires ON attempts (expires);
