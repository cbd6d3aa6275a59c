-- +goose Up
ALTER TABLE person_clusters RENAME TO user_clusters;
