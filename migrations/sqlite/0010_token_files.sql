-- +goose Up
-- How long a token lives that somebody downloads in a file; 0 where nobody may.
ALTER TABLE clusters ADD COLUMN token_file_seconds BIGINT NOT NULL DEFAULT 0;
