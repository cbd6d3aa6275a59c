-- +goose Up
-- Enrolled proxies, with the public keys that authenticate them.
CREATE TABLE proxies (
    id         TEXT   NOT NULL PRIMARY KEY,
    cluster_id TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    public_key TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL
);
CREATE INDEX proxies_cluster ON proxies (cluster_id);

-- Revocations for proxies. The number is assigned under the lock of one row, so that it grows in the order in
-- which transactions commit. A proxy that has a revocation therefore has all earlier ones.
CREATE TABLE feed_state (
    id  BIGINT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO feed_state (id, seq) VALUES (1, 0);
CREATE TABLE revocations (
    seq     BIGINT NOT NULL PRIMARY KEY,
    kind    TEXT   NOT NULL,
    value   TEXT   NOT NULL,
    reason  TEXT   NOT NULL,
    time    BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX revocations_expires ON revocations (expires);

-- How a proxy behaves without contact to the server, and how long streams may outlive their token.
ALTER TABLE clusters ADD COLUMN stale_seconds BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clusters ADD COLUMN fail_closed BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE clusters ADD COLUMN stream_seconds BIGINT NOT NULL DEFAULT 0;
