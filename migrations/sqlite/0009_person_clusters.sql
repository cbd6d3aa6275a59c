-- +goose Up
-- What a cluster is to a person: whether they have marked it, and when they last got a
-- token for it (0: never).
CREATE TABLE person_clusters (
    user_id    TEXT    NOT NULL,
    cluster_id TEXT    NOT NULL,
    favourite  BOOLEAN NOT NULL,
    used       BIGINT  NOT NULL,
    PRIMARY KEY (user_id, cluster_id)
);
