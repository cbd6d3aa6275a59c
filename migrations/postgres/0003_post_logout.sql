-- +goose Up
ALTER TABLE clients ADD COLUMN post_logout_uris TEXT NOT NULL DEFAULT '[]';
