-- +goose Up
-- How often something was tried, by the hash of what it was; see server/base/ratelimit.
CREATE TABLE attempts (
    id      TEXT   NOT NULL PRIMARY KEY,
    tries   BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX attempts_expires ON attempts (expires);
