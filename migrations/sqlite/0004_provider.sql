-- +goose Up
-- Further settings of clients: exemption from consent, public keys instead of secrets, back-channel
-- logout, and the client's own groups.
ALTER TABLE clients ADD COLUMN first_party BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE clients ADD COLUMN key_set TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN logout_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN group_names TEXT NOT NULL DEFAULT '[]';

-- Device authorization requests (RFC 8628).
CREATE TABLE device_codes (
    hash             TEXT   NOT NULL PRIMARY KEY,
    user_code_hash   TEXT   NOT NULL,
    client_id        TEXT   NOT NULL,
    scopes           TEXT   NOT NULL,
    host             TEXT   NOT NULL,
    address          TEXT   NOT NULL,
    created          BIGINT NOT NULL,
    expires          BIGINT NOT NULL,
    interval_seconds BIGINT NOT NULL,
    next_poll        BIGINT NOT NULL,
    user_id          TEXT   NOT NULL,
    sign_in_id       TEXT   NOT NULL,
    amr              TEXT   NOT NULL,
    authenticated    BIGINT NOT NULL,
    approved         BIGINT NOT NULL,
    denied           BIGINT NOT NULL,
    used             BIGINT NOT NULL,
    device_id        TEXT   NOT NULL,
    access_hash      TEXT   NOT NULL
);
CREATE UNIQUE INDEX device_codes_user_code_hash ON device_codes (user_code_hash);
CREATE INDEX device_codes_expires ON device_codes (expires);

-- Consents of users to clients.
CREATE TABLE consents (
    user_id   TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id TEXT   NOT NULL,
    scopes    TEXT   NOT NULL,
    granted   BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);

-- Clients to notify when a session ends, with the sid that they know. It is the sid of an earlier session of
-- the same user if the browser has signed in again since.
CREATE TABLE sign_in_clients (
    sign_in_id TEXT NOT NULL REFERENCES sign_ins (id) ON DELETE CASCADE,
    client_id  TEXT NOT NULL,
    sid        TEXT NOT NULL,
    PRIMARY KEY (sign_in_id, client_id, sid)
);

-- Pending back-channel logout notices.
CREATE TABLE logout_notices (
    id        TEXT   NOT NULL PRIMARY KEY,
    client_id TEXT   NOT NULL,
    user_id   TEXT   NOT NULL,
    sid       TEXT   NOT NULL,
    next_try  BIGINT NOT NULL,
    tries     BIGINT NOT NULL,
    expires   BIGINT NOT NULL
);
CREATE INDEX logout_notices_next_try ON logout_notices (next_try);
CREATE INDEX logout_notices_expires ON logout_notices (expires);

-- The last use of client secrets, keys and workload rules.
CREATE TABLE last_uses (
    id TEXT   NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);

-- Platforms whose tokens workloads (CI jobs and the like) may exchange, and the identity that they get. Migration 0011 renames machine_rules to workload_rules.
CREATE TABLE trusted_issuers (
    id         TEXT NOT NULL PRIMARY KEY,
    url        TEXT NOT NULL,
    audience   TEXT NOT NULL,
    key_set    TEXT NOT NULL,
    ca         TEXT NOT NULL,
    origin     TEXT NOT NULL,
    origin_ref TEXT NOT NULL
);
CREATE TABLE machine_rules (
    id          TEXT   NOT NULL PRIMARY KEY,
    position    BIGINT NOT NULL,
    description TEXT   NOT NULL,
    issuer_id   TEXT   NOT NULL,
    claims      TEXT   NOT NULL,
    group_names TEXT   NOT NULL,
    origin      TEXT   NOT NULL,
    origin_ref  TEXT   NOT NULL
);

CREATE INDEX access_tokens_sign_in_id ON access_tokens (sign_in_id);
CREATE INDEX access_tokens_user_id ON access_tokens (user_id);
