-- +goose Up
-- Tables of the admin pages.
ALTER TABLE connectors ADD COLUMN enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE connectors ADD COLUMN second_factor BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE connectors ADD COLUMN tested TEXT NOT NULL DEFAULT '';
ALTER TABLE connectors ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE clusters ADD COLUMN color TEXT NOT NULL DEFAULT '';
ALTER TABLE clusters ADD COLUMN notes TEXT NOT NULL DEFAULT '';
ALTER TABLE access_rules ADD COLUMN domains TEXT NOT NULL DEFAULT '[]';
CREATE INDEX users_last_sign_in ON users (connector_id, last_sign_in);

-- Every change locks this row first, so that changes run one after another.
CREATE TABLE config_state (
    id      BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO config_state (id, version) VALUES (1, 0);

-- The history of changes, with their author. The entries before and after are encrypted, because they
-- contain secrets.
CREATE TABLE revisions (
    id          TEXT   NOT NULL PRIMARY KEY,
    number      BIGINT NOT NULL,
    time        BIGINT NOT NULL,
    kind        TEXT   NOT NULL,
    object_id   TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    author_id   TEXT   NOT NULL,
    author_name TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    before      TEXT   NOT NULL,
    after       TEXT   NOT NULL,
    trial_until BIGINT NOT NULL,
    outcome     TEXT   NOT NULL
);
CREATE UNIQUE INDEX revisions_number ON revisions (number);
CREATE INDEX revisions_object ON revisions (kind, object_id, number);
CREATE INDEX revisions_trial_until ON revisions (trial_until);

-- Settings that exist once: session policy, branding.
CREATE TABLE documents (
    id         TEXT NOT NULL PRIMARY KEY,
    body       TEXT NOT NULL,
    origin     TEXT NOT NULL,
    origin_ref TEXT NOT NULL
);

-- Single-use links: setup, recovery, invitation, proxy enrolment.
CREATE TABLE links (
    hash    TEXT   NOT NULL PRIMARY KEY,
    purpose TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    used    BIGINT NOT NULL
);
CREATE INDEX links_expires ON links (expires);

-- Recovery accounts, with which admins sign in when no connector works.
CREATE TABLE recovery_accounts (
    id            TEXT   NOT NULL PRIMARY KEY,
    login         TEXT   NOT NULL,
    login_key     TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,
    created       BIGINT NOT NULL,
    verified      BIGINT NOT NULL
);
CREATE UNIQUE INDEX recovery_accounts_login_key ON recovery_accounts (login_key);

-- Second factors of users and recovery accounts.
CREATE TABLE factors (
    id        TEXT   NOT NULL PRIMARY KEY,
    owner     TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    label     TEXT   NOT NULL,
    data      TEXT   NOT NULL,
    last_step BIGINT NOT NULL,
    created   BIGINT NOT NULL,
    last_used BIGINT NOT NULL
);
CREATE INDEX factors_owner ON factors (owner);

CREATE TABLE api_tokens (
    id          TEXT   NOT NULL PRIMARY KEY,
    hash        TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    scopes      TEXT   NOT NULL,
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created     BIGINT NOT NULL,
    expires     BIGINT NOT NULL,
    last_used   BIGINT NOT NULL,
    revoked     BIGINT NOT NULL
);
CREATE UNIQUE INDEX api_tokens_hash ON api_tokens (hash);
CREATE INDEX api_tokens_expires ON api_tokens (expires);

-- Test sign-ins through connectors: the settings and the result, both encrypted.
CREATE TABLE connector_tests (
    id           TEXT   NOT NULL PRIMARY KEY,
    connector_id TEXT   NOT NULL,
    sign_in_id   TEXT   NOT NULL,
    input        TEXT   NOT NULL,
    result       TEXT   NOT NULL,
    expires      BIGINT NOT NULL
);
CREATE INDEX connector_tests_expires ON connector_tests (expires);
