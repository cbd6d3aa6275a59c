-- +goose Up
-- Proxies that have enrolled, with the public key that they show who they are with.
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

-- What was taken away, for proxies to hear of. The number is taken under the lock of one
-- row, so that it grows in the order in which transactions commit: who has heard of one
-- has heard of all before.
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

-- What a proxy does when it hears nothing, and with streams whose token has expired.
ALTER TABLE clusters ADD COLUMN stale_seconds BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clusters ADD COLUMN fail_closed BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE clusters ADD COLUMN stream_seconds BIGINT NOT NULL DEFAULT 0;
