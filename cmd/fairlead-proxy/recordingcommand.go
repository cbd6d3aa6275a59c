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

// errUnverified makes the command exit with code 1.
var errUnverified = errors.New("a recording is incomplete or was changed. Look at the lines above, and compare the key with the one that you keep elsewhere")

// newRecordingCommand returns the command "recording". Source is complete once cobra has parsed the
// flags.
func newRecordingCommand(source *configSource) *cobra.Command {
	group := &cobra.Command{Use: "recording", Short: "Verify session recordings"}
	var keyFile string
	verify := &cobra.Command{
		Use: "verify FILE...", Short: "Verify that recordings are complete and unchanged", Args: cobra.MinimumNArgs(1),
		Long: "Verify that recordings are complete and unchanged. The command lists lines that were changed, removed, added or moved, and a missing end.\n" +
			"It uses the key of this proxy (state in its configuration), or the key in the file --key. It exits with code 1 if a recording is incomplete or was changed.",
		Example: "  fairlead-proxy recording verify /var/lib/fairlead-proxy/recordings/*.cast\n  fairlead-proxy recording verify --key prod.jwk session.cast",
		RunE: func(cmd *cobra.Command, files []string) error {
			key, err := recordingKey(source, keyFile)
			if err != nil {
				return err
			}
			return verifyAll(cmd.OutOrStdout(), files, key)
		},
	}
	verify.Flags().StringVar(&keyFile, "key", "", "file with the proxy's public key, from \"fairlead-proxy recording key\"")
	group.AddCommand(verify, &cobra.Command{
		Use: "key", Short: "Print the public key that verifies this proxy's recordings", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := recordingKey(source, "")
			if err != nil {
				return err
			}
			text, err := json.Marshal(key)
			if err != nil {
				return fmt.Errorf("encoding the key: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(text))
			return err
		},
	})
	return group
}

// recordingKey returns the public key in a file or, without one, of this proxy.
func recordingKey(source *configSource, keyFile string) (jose.JSONWebKey, error) {
	if keyFile == "" {
		cfg, err := source.load()
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
		return jose.JSONWebKey{}, fmt.Errorf("reading the key: %w", err)
	}
	var key jose.JSONWebKey
	if err := json.Unmarshal(text, &key); err != nil {
		return key, fmt.Errorf("reading the key: %w", err)
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
			_, _ = fmt.Fprintf(out, "%s: complete and unchanged, %d lines. %s, %s.\n", file, report.Lines, h.Fairlead.User, h.Title)
			continue
		}
		bad = true
		_, _ = fmt.Fprintf(out, "%s: INCOMPLETE OR CHANGED, %d of %d lines match their signatures.\n", file, report.Signed, report.Lines)
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
			return nil, fmt.Errorf("proxy %s made the recording, but the key belongs to proxy %s. Use --key with the key of proxy %s", id, key.KeyID, id)
		}
		return public, nil
	})
}
