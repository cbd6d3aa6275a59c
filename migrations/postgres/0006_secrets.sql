-- +goose Up
-- What is said about the secrets of a client: a label, when it was made, when it ends.
ALTER TABLE clients ADD COLUMN secret_notes TEXT NOT NULL DEFAULT '[]';
