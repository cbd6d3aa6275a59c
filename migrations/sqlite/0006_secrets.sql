-- +goose Up
-- Descriptions of client secrets: label, creation, expiry.
ALTER TABLE clients ADD COLUMN secret_notes TEXT NOT NULL DEFAULT '[]';
