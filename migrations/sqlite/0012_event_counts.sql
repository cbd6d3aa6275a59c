-- +goose Up
-- The user who acted, if the event is about another user: for example the admin who disabled an account.
-- Empty if the user of the event acted.
ALTER TABLE audit_events ADD COLUMN actor_id TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_events ADD COLUMN actor_name TEXT NOT NULL DEFAULT '';
-- Filters of the audit log. Tokens are most of the events: the index by time finds them.
CREATE INDEX audit_events_name ON audit_events (name, time) WHERE name <> 'token.issued';
CREATE INDEX audit_events_cluster_id ON audit_events (cluster_id, time) WHERE cluster_id <> '';
CREATE INDEX audit_events_actor_id ON audit_events (actor_id, time) WHERE actor_id <> '';

-- How many events there were in each hour, and of each cluster on each day (UTC). A trigger
-- counts in the transaction that stores the event, so that no writer can forget it, an
-- older replica included. A row is one slot of a count: connections to PostgreSQL add to
-- different slots, so that they do not wait for each other. Old slots are merged, and old
-- hours become days.
CREATE TABLE event_counts (
    name         TEXT   NOT NULL,
    hour         BIGINT NOT NULL,
    reason       TEXT   NOT NULL,
    connector_id TEXT   NOT NULL,
    slot         BIGINT NOT NULL,
    events       BIGINT NOT NULL,
    PRIMARY KEY (name, hour, reason, connector_id, slot)
) WITHOUT ROWID;
CREATE INDEX event_counts_hour ON event_counts (hour);
CREATE TABLE cluster_event_counts (
    day        BIGINT NOT NULL,
    cluster_id TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    slot       BIGINT NOT NULL,
    events     BIGINT NOT NULL,
    PRIMARY KEY (day, cluster_id, name, slot)
) WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER audit_events_counted AFTER INSERT ON audit_events BEGIN
    INSERT INTO event_counts (name, hour, reason, connector_id, slot, events)
    VALUES (NEW.name, NEW.time - NEW.time % 3600000,
        CASE WHEN NEW.name IN ('token.issued', 'token.refused', 'sign_in.failed', 'sign_in.refused') THEN NEW.reason ELSE '' END, NEW.connector_id, 0, 1)
    ON CONFLICT (name, hour, reason, connector_id, slot) DO UPDATE SET events = events + 1;
    INSERT INTO cluster_event_counts (day, cluster_id, name, slot, events)
    SELECT NEW.time - NEW.time % 86400000, NEW.cluster_id, NEW.name, 0, 1 WHERE NEW.cluster_id <> ''
    ON CONFLICT (day, cluster_id, name, slot) DO UPDATE SET events = events + 1;
END;
-- +goose StatementEnd
INSERT INTO event_counts (name, hour, reason, connector_id, slot, events)
SELECT name, time - time % 3600000, CASE WHEN name IN ('token.issued', 'token.refused', 'sign_in.failed', 'sign_in.refused') THEN reason ELSE '' END, connector_id, 0, COUNT(*)
FROM audit_events GROUP BY 1, 2, 3, 4;
INSERT INTO cluster_event_counts (day, cluster_id, name, slot, events)
SELECT time - time % 86400000, cluster_id, name, 0, COUNT(*) FROM audit_events WHERE cluster_id <> '' GROUP BY 1, 2, 3;

-- Latencies of the token endpoint and of each connector. Replicas add their measurements every few seconds.
-- took is the upper bound of a bucket in microseconds. It is 0 for the last bucket, which has none.
CREATE TABLE latencies (
    subject TEXT    NOT NULL,
    hour    BIGINT  NOT NULL,
    failed  BOOLEAN NOT NULL,
    took    BIGINT  NOT NULL,
    answers BIGINT  NOT NULL,
    PRIMARY KEY (subject, hour, failed, took)
) WITHOUT ROWID;

-- Saved searches of the audit log.
CREATE TABLE saved_searches (
    id      TEXT   NOT NULL PRIMARY KEY,
    user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name    TEXT   NOT NULL,
    query   TEXT   NOT NULL,
    created BIGINT NOT NULL
);
CREATE UNIQUE INDEX saved_searches_name ON saved_searches (user_id, name);
