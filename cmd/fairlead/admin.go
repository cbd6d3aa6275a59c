package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/form"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/server/admin"
	"github.com/fairlead-auth/fairlead/server/admin/settings"
	"github.com/fairlead-auth/fairlead/server/base/store"
	"github.com/fairlead-auth/fairlead/server/policy/access"
)

// adminCommand returns the commands for admins. The user who runs them can read the database and the data key
// anyway.
func adminCommand(file *string) *cobra.Command {
	parent := &cobra.Command{
		Use: "admin", Short: "Administer Fairlead from the shell",
		Long: "The commands work on the database of the configuration file, also while the server runs.\nThe audit log records the operating-system account that ran the command.",
	}
	parent.AddCommand(
		linkCommand(file, "setup-link", "Print a one-time link that sets up this server; valid for one hour", "/admin/setup", (*admin.Admin).SetupLink),
		linkCommand(file, "recovery-link", "Print a one-time link that creates a recovery account; valid for ten minutes", "/admin/setup", (*admin.Admin).RecoveryLink),
		proxyCodeCommand(file),
		getCommand(file), applyCommand(file), moveCommand(file), deleteCommand(file), exportCommand(file), importCommand(file), simulateCommand(file), historyCommand(file),
		peopleCommand(file),
	)
	return parent
}

// shell returns the operating system's user as the caller.
func shell() admin.Caller {
	name := "shell"
	if u, err := user.Current(); err == nil {
		name += ":" + u.Username
	}
	return admin.Caller{Shell: name}
}

// withAdmin opens the configured database and runs fn.
func withAdmin(cmd *cobra.Command, file string, fn func(ctx context.Context, a *admin.Admin) error) error {
	cfg, err := loadConfig(file)
	if err != nil {
		return err
	}
	logger, err := logging.New(cmd.ErrOrStderr(), "text", "error")
	if err != nil {
		return err
	}
	return withStore(cmd, file, func(s *store.Store) error {
		hasher := password.NewHasher()
		err := fn(cmd.Context(), admin.New(admin.Config{
			Store: s, Audit: audit.NewLog(time.Now, logger, s), Logger: logger, Now: time.Now, Types: all.Types(hasher), Hasher: hasher,
			URL: cfg.URL, RuntimeSettings: cfg.live(), ReadOnly: cfg.UI.ReadOnly,
		}))
		return speak(err)
	})
}

// speak returns the error with its message for users.
func speak(err error) error {
	if refused, ok := errors.AsType[*admin.RefusedError](err); ok {
		return errors.New(strings.ReplaceAll(refused.Error(), "; ", "\n"))
	}
	if text := errs.Message(err); text != "" {
		return errors.New(text)
	}
	return err
}

func linkCommand(file *string, name, short, path string, link func(*admin.Admin, context.Context) (string, error)) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				token, err := link(a, ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s%s?token=%s\n", a.URL, path, token)
				return err
			})
		},
	}
}

func kindNames() string {
	var list []string
	for _, k := range settings.Kinds() {
		list = append(list, k.Path)
	}
	return strings.Join(list, ", ")
}

func getCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "get KIND [ID]", Short: "Print settings entries without secrets", Args: cobra.RangeArgs(1, 2),
		Long: "KIND is one of " + kindNames() + ".",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				if len(args) == 2 {
					item, err := a.Entry(ctx, shell(), args[0], args[1])
					if err != nil {
						return err
					}
					return printYAML(cmd.OutOrStdout(), map[string]any(item.Doc))
				}
				return listEntries(ctx, cmd.OutOrStdout(), a, args[0])
			})
		},
	}
}

func listEntries(ctx context.Context, w io.Writer, a *admin.Admin, kind string) error {
	var rows [][]string
	for page := 1; ; page++ {
		list, err := a.Entries(ctx, shell(), kind, "", page)
		if err != nil {
			return err
		}
		for _, item := range list.Items {
			owner := "pages"
			if item.Origin.Origin == store.OriginFile {
				owner = item.Origin.OriginRef
			}
			rows = append(rows, []string{item.ID, item.Name, owner, item.Version})
		}
		if page >= list.Pages() {
			return table(w, "ID\tNAME\tMANAGED BY\tVERSION", rows)
		}
	}
}

func printYAML(w io.Writer, v any) error {
	text, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	_, err = w.Write(text)
	return err
}

func applyCommand(file *string) *cobra.Command {
	var from, reason string
	var dry bool
	cmd := &cobra.Command{
		Use: "apply KIND -f FILE", Short: "Create or change an entry from a YAML or JSON document", Args: cobra.ExactArgs(1),
		Long: "FILE is - for standard input. A secret that the document leaves out keeps its value.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var doc form.Doc
			text, err := readInput(cmd.InOrStdin(), from)
			if err != nil {
				return err
			}
			if err := yaml.Unmarshal(text, &doc); err != nil {
				return fmt.Errorf("reading document: %w", err)
			}
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				return applyDoc(ctx, cmd.OutOrStdout(), a, admin.Draft{Kind: args[0], Doc: doc, Reason: reason}, dry)
			})
		},
	}
	cmd.Flags().StringVarP(&from, "file", "f", "-", "document")
	cmd.Flags().StringVar(&reason, "reason", "", "reason for the change, for the history")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the effect and change nothing")
	return cmd
}

func applyDoc(ctx context.Context, w io.Writer, a *admin.Admin, d admin.Draft, dry bool) error {
	k, known := settings.KindOf(d.Kind)
	if !known {
		return fmt.Errorf("there is no kind of entry %q. Use one of %s", d.Kind, kindNames())
	}
	item, err := a.Entry(ctx, shell(), d.Kind, d.Doc.Text(k.IDKey))
	if err == nil {
		d.ID, d.Version = item.ID, item.Version
	} else if !errs.Is(err, errs.NotFound) {
		return err
	}
	return commit(ctx, w, a, d, dry)
}

// commit makes a change, or prints its effect.
func commit(ctx context.Context, w io.Writer, a *admin.Admin, d admin.Draft, dry bool) error {
	if dry {
		preview, err := a.Preview(ctx, shell(), d)
		if err != nil {
			return err
		}
		return printPreview(w, preview)
	}
	revision, err := a.Apply(ctx, shell(), d)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s %s %s, revision %d\n", revision.Action, revision.Kind, revision.ObjectID, revision.Number)
	return err
}

func printPreview(w io.Writer, p *admin.Preview) error {
	out := &strings.Builder{}
	for _, change := range p.Diff {
		fmt.Fprintf(out, "%s: %q -> %q\n", change.Label, change.Before, change.After)
	}
	for _, text := range append(p.Sentences, p.Uses...) {
		fmt.Fprintln(out, text)
	}
	if p.Refused != "" {
		fmt.Fprintln(out, "The change would be refused:", p.Refused)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func readInput(stdin io.Reader, from string) ([]byte, error) {
	if from == "-" {
		return io.ReadAll(io.LimitReader(stdin, maxFile))
	}
	text, err := os.ReadFile(from) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading document: %w", err)
	}
	return text, nil
}

func deleteCommand(file *string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "delete KIND ID", Short: "Delete an entry; the history keeps a copy", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				item, err := a.Entry(ctx, shell(), args[0], args[1])
				if err != nil {
					return err
				}
				revision, err := a.Apply(ctx, shell(), admin.Draft{Kind: args[0], ID: args[1], Version: item.Version, Reason: reason})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "deleted, revision %d\n", revision.Number)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "reason for the change, for the history")
	return cmd
}

func simulateCommand(file *string) *cobra.Command {
	var who access.HypotheticalUser
	var cluster string
	cmd := &cobra.Command{
		Use: "simulate [USER]", Short: "Show which clusters a user may use, and why", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := admin.Question{Who: who, Cluster: cluster}
			if len(args) == 1 {
				q.User = args[0]
			}
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				answers, err := a.Simulate(ctx, shell(), q)
				if err != nil {
					return err
				}
				var rows [][]string
				for _, answer := range answers {
					word, why := "no", answer.Why.String()
					if answer.Allowed {
						word, why = "yes", "rule "+answer.Rule
					}
					for _, near := range answer.NearMisses {
						why += " Rule " + near.Rule + " " + near.Missing + "."
					}
					rows = append(rows, []string{answer.Cluster.ID, word, why})
				}
				return table(cmd.OutOrStdout(), "CLUSTER\tANSWER\tWHY", rows)
			})
		},
	}
	cmd.Flags().StringSliceVar(&who.Groups, "group", nil, "group with its prefix; can be repeated")
	cmd.Flags().StringVar(&who.ConnectorID, "connector", "", "ID of the connector")
	cmd.Flags().StringVar(&cluster, "cluster", "", "ID of a cluster; default all clusters")
	return cmd
}

func historyCommand(file *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "history", Short: "List the latest changes of settings", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAdmin(cmd, *file, func(ctx context.Context, a *admin.Admin) error {
				changes, err := a.History(ctx, shell(), store.RevisionQuery{})
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(changes)
				}
				var rows [][]string
				for _, c := range changes {
					rows = append(rows, []string{fmt.Sprint(c.Number), stamp(c.Time.Time()), c.AuthorName, c.Action, c.Kind + " " + c.ObjectID, c.Outcome, c.Reason})
				}
				return table(cmd.OutOrStdout(), "REVISION\tTIME (UTC)\tAUTHOR\tACTION\tENTRY\tOUTCOME\tREASON", rows)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
