-- +goose Up
-- The lifetime of tokens that users download as a file. 0 forbids such tokens.
ALTER TABLE clusters ADD COLUMN token_file_seconds BIGINT NOT NULL DEFAULT 0;
