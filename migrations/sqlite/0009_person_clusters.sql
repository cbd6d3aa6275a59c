-- +goose Up
-- A user's favourite mark on a cluster, and when they last got a token for it (0: never).
CREATE TABLE person_clusters (
    user_id    TEXT    NOT NULL,
    cluster_id TEXT    NOT NULL,
    favourite  BOOLEAN NOT NULL,
    used       BIGINT  NOT NULL,
    PRIMARY KEY (user_id, cluster_id)
);
