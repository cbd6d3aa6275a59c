-- +goose Up
-- Times are milliseconds since 1970 UTC; 0 means never or not yet.
CREATE TABLE users (
    id             TEXT    NOT NULL PRIMARY KEY,
    connector_id   TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    kube_name      TEXT    NOT NULL,
    name_key       TEXT    NOT NULL,
    login          TEXT    NOT NULL,
    display_name   TEXT    NOT NULL,
    email          TEXT    NOT NULL,
    email_verified BOOLEAN NOT NULL,
    group_names    TEXT    NOT NULL,
    upstream_data  TEXT    NOT NULL,
    disabled       BOOLEAN NOT NULL,
    created        BIGINT  NOT NULL,
    last_sign_in   BIGINT  NOT NULL,
    checked        BIGINT  NOT NULL
);
CREATE UNIQUE INDEX users_subject ON users (connector_id, subject);
CREATE UNIQUE INDEX users_name_key ON users (name_key);

CREATE TABLE local_users (
    id            TEXT    NOT NULL PRIMARY KEY,
    login         TEXT    NOT NULL,
    login_key     TEXT    NOT NULL,
    display_name  TEXT    NOT NULL,
    email         TEXT    NOT NULL,
    group_names   TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    file_hash     TEXT    NOT NULL,
    disabled      BOOLEAN NOT NULL,
    origin        TEXT    NOT NULL,
    origin_ref    TEXT    NOT NULL,
    created       BIGINT  NOT NULL
);
CREATE UNIQUE INDEX local_users_login_key ON local_users (login_key);

CREATE TABLE connectors (
    id           TEXT    NOT NULL PRIMARY KEY,
    type         TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    position     BIGINT  NOT NULL,
    group_prefix TEXT    NOT NULL,
    user_prefix  TEXT    NOT NULL,
    hidden       BOOLEAN NOT NULL,
    config       TEXT    NOT NULL,
    revision     TEXT    NOT NULL,
    origin       TEXT    NOT NULL,
    origin_ref   TEXT    NOT NULL
);

CREATE TABLE clusters (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    environment   TEXT    NOT NULL,
    server        TEXT    NOT NULL,
    ca            TEXT    NOT NULL,
    audience      TEXT    NOT NULL,
    mode          TEXT    NOT NULL,
    algorithm     TEXT    NOT NULL,
    token_seconds BIGINT  NOT NULL,
    namespace     TEXT    NOT NULL,
    labels        TEXT    NOT NULL,
    status_url    TEXT    NOT NULL,
    origin        TEXT    NOT NULL,
    origin_ref    TEXT    NOT NULL
);
CREATE UNIQUE INDEX clusters_audience ON clusters (audience);

CREATE TABLE access_rules (
    id             TEXT   NOT NULL PRIMARY KEY,
    position       BIGINT NOT NULL,
    description    TEXT   NOT NULL,
    everyone       BOOLEAN NOT NULL,
    connector_ids  TEXT   NOT NULL,
    group_names    TEXT   NOT NULL,
    user_names     TEXT   NOT NULL,
    cluster_ids    TEXT   NOT NULL,
    cluster_labels TEXT   NOT NULL,
    admin          BOOLEAN NOT NULL,
    origin         TEXT   NOT NULL,
    origin_ref     TEXT   NOT NULL
);

CREATE TABLE clients (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    public        BOOLEAN NOT NULL,
    pkce_optional BOOLEAN NOT NULL,
    redirect_uris TEXT    NOT NULL,
    grants        TEXT    NOT NULL,
    secret_hashes TEXT    NOT NULL,
    algorithm     TEXT    NOT NULL,
    origin        TEXT    NOT NULL,
    origin_ref    TEXT    NOT NULL
);

CREATE TABLE sign_ins (
    id           TEXT   NOT NULL PRIMARY KEY,
    cookie_hash  TEXT   NOT NULL,
    user_id      TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    connector_id TEXT   NOT NULL,
    amr          TEXT   NOT NULL,
    user_agent   TEXT   NOT NULL,
    address      TEXT   NOT NULL,
    authenticated BIGINT NOT NULL,
    last_seen    BIGINT NOT NULL,
    idle_expires BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    ended        BIGINT NOT NULL
);
CREATE UNIQUE INDEX sign_ins_cookie_hash ON sign_ins (cookie_hash);
CREATE INDEX sign_ins_user_id ON sign_ins (user_id);
CREATE INDEX sign_ins_expires ON sign_ins (expires);

CREATE TABLE devices (
    id            TEXT   NOT NULL PRIMARY KEY,
    user_id       TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id     TEXT   NOT NULL,
    sign_in_id    TEXT   NOT NULL,
    host          TEXT   NOT NULL,
    address       TEXT   NOT NULL,
    scopes        TEXT   NOT NULL,
    amr           TEXT   NOT NULL,
    nonce         TEXT   NOT NULL,
    authenticated BIGINT NOT NULL,
    created       BIGINT NOT NULL,
    last_used     BIGINT NOT NULL,
    idle_expires  BIGINT NOT NULL,
    expires       BIGINT NOT NULL,
    revoked       BIGINT NOT NULL,
    reason        TEXT   NOT NULL
);
CREATE INDEX devices_user_id ON devices (user_id);
CREATE INDEX devices_expires ON devices (expires);

CREATE TABLE refresh_tokens (
    hash           TEXT   NOT NULL PRIMARY KEY,
    device_id      TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    created        BIGINT NOT NULL,
    expires        BIGINT NOT NULL,
    used           BIGINT NOT NULL,
    successor_hash TEXT   NOT NULL,
    sealed_answer  TEXT   NOT NULL
);
CREATE INDEX refresh_tokens_device_id ON refresh_tokens (device_id);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires);

CREATE TABLE access_tokens (
    hash       TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  TEXT   NOT NULL,
    device_id  TEXT   NOT NULL,
    sign_in_id TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    amr        TEXT   NOT NULL,
    authenticated BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    revoked    BIGINT NOT NULL
);
CREATE INDEX access_tokens_device_id ON access_tokens (device_id);
CREATE INDEX access_tokens_expires ON access_tokens (expires);

CREATE TABLE codes (
    hash          TEXT   NOT NULL PRIMARY KEY,
    client_id     TEXT   NOT NULL,
    user_id       TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    sign_in_id    TEXT   NOT NULL,
    redirect_uri  TEXT   NOT NULL,
    scopes        TEXT   NOT NULL,
    nonce         TEXT   NOT NULL,
    challenge     TEXT   NOT NULL,
    host          TEXT   NOT NULL,
    amr           TEXT   NOT NULL,
    authenticated BIGINT NOT NULL,
    expires       BIGINT NOT NULL,
    used          BIGINT NOT NULL,
    device_id     TEXT   NOT NULL,
    access_hash   TEXT   NOT NULL
);
CREATE INDEX codes_expires ON codes (expires);

CREATE TABLE signing_keys (
    id        TEXT   NOT NULL PRIMARY KEY,
    algorithm TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    private   TEXT   NOT NULL,
    public    TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    activated BIGINT NOT NULL,
    retired   BIGINT NOT NULL
);
CREATE INDEX signing_keys_algorithm ON signing_keys (algorithm, state);

CREATE TABLE leases (
    name    TEXT   NOT NULL PRIMARY KEY,
    holder  TEXT   NOT NULL,
    expires BIGINT NOT NULL
);

CREATE TABLE audit_events (
    id           TEXT   NOT NULL PRIMARY KEY,
    time         BIGINT NOT NULL,
    name         TEXT   NOT NULL,
    request_id   TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    user_name    TEXT   NOT NULL,
    sign_in_id   TEXT   NOT NULL,
    device_id    TEXT   NOT NULL,
    token_id     TEXT   NOT NULL,
    client_id    TEXT   NOT NULL,
    cluster_id   TEXT   NOT NULL,
    connector_id TEXT   NOT NULL,
    address      TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    detail       TEXT   NOT NULL
);
CREATE INDEX audit_events_time ON audit_events (time);
CREATE INDEX audit_events_user_id ON audit_events (user_id, time);
CREATE INDEX audit_events_request_id ON audit_events (request_id);
