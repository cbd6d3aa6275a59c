package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fairlead-auth/fairlead/internal/secret"
)

// keyring returns the configured data keys. For SQLite the default is a key file beside the database, which is
// created at the first start.
func (c *config) keyring() (*secret.Keyring, error) {
	var keys [][]byte
	for i, ref := range c.DataKeys {
		key, err := decodeKey(ref.Reveal())
		if err != nil {
			return nil, fmt.Errorf("dataKeys[%d]: %w", i, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		key, err := keyBeside(c.Database.Path)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return secret.NewKeyring(keys...)
}

func decodeKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != 32 {
		return nil, errors.New("must be 32 bytes in base64. Create a key with: fairlead datakey")
	}
	return key, nil
}

func keyBeside(database string) ([]byte, error) {
	file := strings.TrimSuffix(database, filepath.Ext(database)) + ".key"
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the folder
	if err == nil {
		return decodeKey(string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading data key: %w", err)
	}
	if _, err := os.Stat(database); err == nil {
		return nil, fmt.Errorf("the data key %s is missing, but the database exists and needs it. Restore the key from a backup", file)
	}
	key := secret.NewKey()
	// Another process may have created the file, so it is never overwritten.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // as above
	if err != nil {
		return nil, fmt.Errorf("writing data key: %w", err)
	}
	_, errWrite := f.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err := errors.Join(errWrite, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("writing data key: %w", err)
	}
	return key, nil
}
