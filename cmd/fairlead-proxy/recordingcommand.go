package main

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/internal/recording"
	"github.com/fairlead-auth/fairlead/proxy/feed"
)

// errUnverified says that a recording is not what the proxy wrote.
var errUnverified = errors.New("not every recording is whole and unchanged")

// newRecordingCommand is about recordings of shells. From is filled when flags have been read.
func newRecordingCommand(from *configSource) *cobra.Command {
	group := &cobra.Command{Use: "recording", Short: "Check recordings of shells"}
	var keyFile string
	verify := &cobra.Command{
		Use: "verify FILE...", Short: "Say what was done to recordings since they were made", Args: cobra.MinimumNArgs(1),
		Long: "Say what was done to recordings since they were made: lines that were changed, dropped, added or moved, and an end that was cut off.\n" +
			"The key is that of this proxy (state in its configuration), or one from a file. The exit code is 1 when a recording is not whole and unchanged.",
		Example: "  fairlead-proxy recording verify /var/lib/fairlead-proxy/recordings/*.cast\n  fairlead-proxy recording verify --key prod.jwk session.cast",
		RunE: func(cmd *cobra.Command, files []string) error {
			keys, err := recordingKeys(from, keyFile)
			if err != nil {
				return err
			}
			return verifyAll(cmd.OutOrStdout(), files, keys)
		},
	}
	verify.Flags().StringVar(&keyFile, "key", "", "file with the proxy's public key, from \"fairlead-proxy recording key\"")
	group.AddCommand(verify, &cobra.Command{
		Use: "key", Short: "Print the public key that recordings are checked with", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := recordingKeys(from, "")
			if err != nil {
				return err
			}
			text, err := json.Marshal(keys)
			if err != nil {
				return fmt.Errorf("printing key: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(text))
			return err
		},
	})
	return group
}

// recordingKeys returns the public key of a file or, without one, of this proxy.
func recordingKeys(from *configSource, keyFile string) (jose.JSONWebKey, error) {
	if keyFile == "" {
		cfg, err := from.load()
		if err != nil {
			return jose.JSONWebKey{}, err
		}
		id, err := feed.Dir(cfg.State).LoadIdentity()
		if err != nil {
			return jose.JSONWebKey{}, err
		}
		return jose.JSONWebKey{Key: id.Key.Public(), KeyID: id.ID, Use: "sig", Algorithm: "EdDSA"}, nil
	}
	text, err := os.ReadFile(keyFile) //nolint:gosec // the operator names the file
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("reading key: %w", err)
	}
	var key jose.JSONWebKey
	if err := json.Unmarshal(text, &key); err != nil {
		return key, fmt.Errorf("reading key: %w", err)
	}
	return key, nil
}

func verifyAll(out io.Writer, files []string, key jose.JSONWebKey) error {
	bad := false
	for _, file := range files {
		report, err := verifyFile(file, key)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		h := report.Header
		if len(report.Faults) == 0 {
			_, _ = fmt.Fprintf(out, "%s: whole and unchanged, %d lines. %s, %s.\n", file, report.Lines, h.Fairlead.User, h.Title)
			continue
		}
		bad = true
		_, _ = fmt.Fprintf(out, "%s: NOT as it was written, %d of %d lines are signed.\n", file, report.Signed, report.Lines)
		for _, fault := range report.Faults {
			_, _ = fmt.Fprintf(out, "  %s\n", fault)
		}
	}
	if bad {
		return errUnverified
	}
	return nil
}

func verifyFile(file string, key jose.JSONWebKey) (report recording.Report, err error) {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return recording.Verify(f, func(id string) (ed25519.PublicKey, error) {
		public, ok := key.Key.(ed25519.PublicKey)
		if !ok || id != key.KeyID {
			return nil, fmt.Errorf("it was made by the proxy %s, and the key is that of %s: name another with --key", id, key.KeyID)
		}
		return public, nil
	})
}
