-- +goose Up
-- Recordings of shells that proxies have uploaded, in compressed parts. The description comes from the first
-- line of the recording. The cluster comes from the proxy's enrolment.
CREATE TABLE recordings (
    id         TEXT    NOT NULL PRIMARY KEY,
    proxy_id   TEXT    NOT NULL,
    public_key TEXT    NOT NULL,
    cluster_id TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    user_name  TEXT    NOT NULL,
    acted_as   TEXT    NOT NULL,
    namespace  TEXT    NOT NULL,
    pod        TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    command    TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    began      BIGINT  NOT NULL,
    duration   BIGINT  NOT NULL,
    faults     TEXT    NOT NULL,
    parts      BIGINT  NOT NULL,
    bytes      BIGINT  NOT NULL,
    complete   BOOLEAN NOT NULL,
    expires    BIGINT  NOT NULL
);
CREATE INDEX recordings_began ON recordings (began, id);
CREATE INDEX recordings_expires ON recordings (expires);
CREATE TABLE recording_parts (
    recording_id TEXT   NOT NULL,
    number       BIGINT NOT NULL,
    data         BLOB  NOT NULL,
    expires      BIGINT NOT NULL,
    PRIMARY KEY (recording_id, number)
);
CREATE INDEX recording_parts_expires ON recording_parts (expires);
