package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/spf13/cobra"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/signing/keys"
)

// withKeys opens the signing keys of the configured database and runs fn.
func withKeys(cmd *cobra.Command, file string, fn func(*keys.Manager) error) error {
	cfg, err := loadConfig(file)
	if err != nil {
		return err
	}
	logger, err := logging.New(cmd.ErrOrStderr(), "text", "warn")
	if err != nil {
		return err
	}
	return withStore(cmd, file, func(s *store.Store) error {
		m, err := keys.New(cmd.Context(), keys.Config{
			Store: s, Audit: audit.NewLog(time.Now, logger, s), Logger: logger, Now: time.Now, RotateEvery: time.Duration(cfg.Keys.RotateEvery),
		})
		if err != nil {
			return err
		}
		return fn(m)
	})
}

func keysCommand(file *string) *cobra.Command {
	parent := &cobra.Command{Use: "keys", Short: "Manage the signing keys"}
	parent.AddCommand(keysListCommand(file), keysRotateCommand(file), keysRevokeCommand(file))
	return parent
}

// table writes aligned columns.
func table(w io.Writer, head string, rows [][]string) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns
	lines := []string{head}
	for _, row := range rows {
		lines = append(lines, strings.Join(row, "\t"))
	}
	if _, err := fmt.Fprintln(out, strings.Join(lines, "\n")); err != nil {
		return err
	}
	return out.Flush()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func keysListCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the signing keys and their states", Args: cobra.NoArgs,
		Long: "next     published; signs from the time shown\nactive   signs since the time shown\n" +
			"retired  no longer signs; published until its last token has expired\nrevoked  revoked by an operator; no longer published",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeys(cmd, *file, func(m *keys.Manager) error {
				list, err := m.List(cmd.Context())
				if err != nil {
					return err
				}
				var rows [][]string
				for _, k := range list {
					rows = append(rows, []string{k.ID, k.Algorithm, string(k.State), stamp(k.Created), stamp(k.SignsFrom), stamp(k.PublishedUntil)})
				}
				return table(cmd.OutOrStdout(), "KEY\tALGORITHM\tSTATE\tCREATED (UTC)\tSIGNS\tLEAVES", rows)
			})
		},
	}
}

func keysRotateCommand(file *string) *cobra.Command {
	var alg string
	rotate := &cobra.Command{
		Use: "rotate", Short: "Activate the next signing keys now", Args: cobra.NoArgs,
		Long: "No request fails: the next key is published long before it signs. While a verifier can still have a cached\n" +
			"key set without it, the command refuses and prints the time from which it works. For a leaked key, see: fairlead keys revoke",
		RunE: func(cmd *cobra.Command, _ []string) error {
			algorithms := keys.Algorithms()
			if alg != "" {
				algorithms = []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)}
			}
			if !slices.Contains(keys.Algorithms(), algorithms[0]) {
				return fmt.Errorf("there are no keys for the algorithm %q. Use --algorithm RS256 or ES256", alg)
			}
			return withKeys(cmd, *file, func(m *keys.Manager) error {
				for _, a := range algorithms {
					if err := m.RotateNow(cmd.Context(), a); err != nil {
						return err
					}
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: the next key signs now. All replicas use it within seconds.\n", a); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	rotate.Flags().StringVar(&alg, "algorithm", "", "RS256 or ES256 (default both)")
	return rotate
}

func keysRevokeCommand(file *string) *cobra.Command {
	var yes bool
	var reason string
	revoke := &cobra.Command{
		Use: "revoke KEY", Short: "Revoke a leaked signing key", Args: cobra.ExactArgs(1),
		Long: "Without --yes the command only prints which clients are affected and for how long.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withKeys(cmd, *file, func(m *keys.Manager) error {
				c, err := m.RevocationImpact(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if err := printConsequences(cmd.OutOrStdout(), c); err != nil {
					return err
				}
				if !yes {
					return errors.New("nothing was changed: the command needs a confirmation. Run it again with --yes")
				}
				if err := m.Revoke(cmd.Context(), args[0], reason); err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "Revoked. The servers stop publishing it within seconds.")
				return err
			})
		},
	}
	revoke.Flags().BoolVar(&yes, "yes", false, "revoke the key")
	revoke.Flags().StringVar(&reason, "reason", "operator", "reason for the audit log")
	return revoke
}

func printConsequences(w io.Writer, c *keys.RevocationImpact) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s key %s is %s.\n", c.Key.Algorithm, c.Key.ID, c.Key.State)
	switch c.Key.State {
	case store.KeyNext:
		text.WriteString("It has signed nothing yet, so no client is affected.\n")
	case store.KeyRetired:
		text.WriteString("Verifiers refuse its tokens as soon as their cached key sets expire. kubectl gets a new token automatically.\n")
	default:
		fmt.Fprintf(&text, "Every %s token that is in use was signed with it. Clusters: %s. Clients: %s.\n", c.Key.Algorithm, orNone(c.Clusters), orNone(c.Clients))
		text.WriteString("API servers and clients refuse those tokens as soon as their cached key sets expire. kubectl gets a new token after the old one expires, or at once with: kubectl fairlead logout && kubectl fairlead login\n")
	}
	if c.SuccessorTooNew {
		text.WriteString("The next key must sign before every verifier knows it: verifiers with an old key set also refuse new tokens until they fetch it again.\n")
	}
	fmt.Fprintf(&text, "All cached key sets expire by %s UTC. Until then an attacker can use a copy of the key against verifiers that have not fetched the new set.\n", stamp(c.RefusedUntil))
	_, err := io.WriteString(w, text.String())
	return err
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func userCommand(file *string) *cobra.Command {
	parent := &cobra.Command{Use: "user", Short: "Manage the users who have signed in"}
	parent.AddCommand(userListCommand(file), userShowCommand(file), userRevokeCommand(file),
		userSwitchCommand(file, "disable", "Disable a user and end their sessions and devices at once", true),
		userSwitchCommand(file, "enable", "Enable a user again", false))
	return parent
}

// maxUsers is the number of users that a list prints.
const maxUsers = 500

func userListCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "list [TEXT]", Short: "List users whose name or email address contains TEXT", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, *file, func(s *store.Store) error {
				users, err := s.SearchUsers(cmd.Context(), strings.Join(args, ""), maxUsers)
				if err != nil {
					return err
				}
				var rows [][]string
				for i := range users {
					u := &users[i]
					rows = append(rows, []string{u.KubeName, state(u.Disabled), u.Email, stamp(u.LastSignIn.Time()), strings.Join(u.GroupNames, ",")})
				}
				return table(cmd.OutOrStdout(), "NAME\tSTATE\tE-MAIL\tLAST SIGN-IN (UTC)\tGROUPS", rows)
			})
		},
	}
}

func state(disabled bool) string {
	if disabled {
		return "disabled"
	}
	return "enabled"
}

// withUser finds a user by name and runs fn.
func withUser(cmd *cobra.Command, file, name string, fn func(*store.Store, *store.User) error) error {
	return withStore(cmd, file, func(s *store.Store) error {
		user, err := s.UserByName(cmd.Context(), name)
		if err != nil {
			return fmt.Errorf("no user %q has signed in. Run `fairlead user list` for the names", name)
		}
		return fn(s, user)
	})
}

func userShowCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "List the sessions and devices of a user", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUser(cmd, *file, args[0], func(s *store.Store, u *store.User) error {
				rows, err := belongings(cmd.Context(), s, u)
				if err != nil {
					return err
				}
				return table(cmd.OutOrStdout(), "KIND\tID\tCLIENT\tADDRESS\tLAST USED (UTC)\tEXPIRES", rows)
			})
		},
	}
}

func belongings(ctx context.Context, s *store.Store, u *store.User) ([][]string, error) {
	signIns, err := s.SignIns(ctx, u.ID, time.Now())
	if err != nil {
		return nil, err
	}
	devices, err := s.Devices(ctx, u.ID, time.Now())
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, r := range signIns {
		rows = append(rows, []string{"sign-in", r.ID, r.UserAgent, r.Address, stamp(r.LastSeen.Time()), stamp(r.Expires.Time())})
	}
	for _, d := range devices {
		rows = append(rows, []string{"device", d.ID, strings.TrimSpace(d.ClientID + " " + d.Host), d.Address, stamp(d.LastUsed.Time()), stamp(d.Expires.Time())})
	}
	return rows, nil
}

func userSwitchCommand(file *string, use, short string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUser(cmd, *file, args[0], func(s *store.Store, u *store.User) error {
				if disabled {
					_, err := endOfUser(cmd, s, u, store.Ending{Scope: store.EndAccount}, audit.Event{Name: audit.UserDisabled, Reason: use})
					return err
				}
				enabled, err := s.EnableUser(cmd.Context(), u.ID)
				if enabled {
					changed(cmd, s, audit.UserEnabled, u.KubeName, use)
				}
				return err
			})
		},
	}
}

func userRevokeCommand(file *string) *cobra.Command {
	var id string
	revoke := &cobra.Command{
		Use: "revoke NAME", Short: "End the sessions and devices of a user; the user can sign in again", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withUser(cmd, *file, args[0], func(s *store.Store, u *store.User) error {
				return revokeOne(cmd, s, u, id)
			})
		},
	}
	revoke.Flags().StringVar(&id, "id", "", "ID of one session or device (see: fairlead user show)")
	return revoke
}

func revokeOne(cmd *cobra.Command, s *store.Store, u *store.User, id string) error {
	event := audit.Event{Name: audit.UserRevoked, Reason: cmp.Or(id, "everything")}
	if id == "" {
		_, err := endOfUser(cmd, s, u, store.Ending{Scope: store.EndPerson}, event)
		return err
	}
	for _, scope := range []store.Scope{store.EndSignIn, store.EndDevice} {
		ended, err := endOfUser(cmd, s, u, store.Ending{Scope: scope, ID: id}, event)
		if err != nil || ended.Anything() {
			return err
		}
	}
	return fmt.Errorf("%s has no active session or device %q. Run `fairlead user show` for the IDs", u.KubeName, id)
}

// endOfUser ends something of a user and records the event.
func endOfUser(cmd *cobra.Command, s *store.Store, u *store.User, e store.Ending, event audit.Event) (store.Ended, error) {
	e.UserID, e.Reason, e.Log = u.ID, store.RevokedByAdmin, auditLog(cmd, s)
	e.Event = event
	e.Event.UserID, e.Event.UserName, e.Event.ActorName = u.ID, u.KubeName, commandLine
	return s.End(cmd.Context(), e, time.Now())
}

func clientCommand(file *string) *cobra.Command {
	parent := &cobra.Command{Use: "client", Short: "Manage clients"}
	parent.AddCommand(&cobra.Command{
		Use: "list", Short: "List clients, and when each secret and workload rule was last used", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, *file, func(s *store.Store) error {
				rows, err := uses(cmd.Context(), s)
				if err != nil {
					return err
				}
				return table(cmd.OutOrStdout(), "KIND\tID\tSECRET OR KEY\tLAST USED (UTC)", rows)
			})
		},
	})
	return parent
}

func uses(ctx context.Context, s *store.Store) ([][]string, error) {
	list, err := s.Clients(ctx)
	if err != nil {
		return nil, err
	}
	workloads, err := s.WorkloadRules(ctx)
	if err != nil {
		return nil, err
	}
	last, err := s.LastUses(ctx)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for i := range list {
		rows = append(rows, clientUses(&list[i], last)...)
	}
	for i := range workloads {
		rows = append(rows, []string{"workload", workloads[i].ID, "-", stamp(last[store.WorkloadRuleUseID(workloads[i].ID)])})
	}
	return rows, nil
}

// clientUses lists secrets by the start of their hashes, which does not reveal them, and keys by id.
func clientUses(c *store.Client, last map[string]time.Time) [][]string {
	const shown = 8
	var rows [][]string
	for _, hash := range c.SecretHashes {
		rows = append(rows, []string{"client", c.ID, "secret " + hash[:shown], stamp(last[store.SecretUseID(c.ID, hash)])})
	}
	prefix := store.SecretUseID(c.ID, "")
	for name, at := range last {
		kid := strings.TrimPrefix(name, prefix)
		if strings.HasPrefix(name, prefix) && c.KeySet != "" && !slices.Contains(c.SecretHashes, kid) {
			rows = append(rows, []string{"client", c.ID, "key " + kid, stamp(at)})
		}
	}
	if len(rows) == 0 {
		rows = append(rows, []string{"client", c.ID, "-", "-"})
	}
	return rows
}
