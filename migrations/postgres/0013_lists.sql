-- +goose Up
-- The lists of users and clusters in the admin pages sort by last use.
CREATE INDEX users_recent ON users (last_sign_in, name_key);
CREATE INDEX person_clusters_used ON person_clusters (cluster_id, used);
