package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fairlead-auth/fairlead/connectors/all"
	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/logging"
	"github.com/fairlead-auth/fairlead/internal/password"
	"github.com/fairlead-auth/fairlead/internal/secret"
	"github.com/fairlead-auth/fairlead/internal/serve"
	"github.com/fairlead-auth/fairlead/portal/authconfig"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

func serveCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the server", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(*file)
			if err != nil {
				return err
			}
			ln, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", cfg.Listen)
			if err != nil {
				return fmt.Errorf("listening: %w", err)
			}
			serve.TuneMemory()
			a, err := newApp(cmd.Context(), cfg, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := a.welcome(cmd.Context(), cmd.OutOrStdout()); err != nil {
				return err
			}
			return a.run(cmd.Context(), ln)
		},
	}
}

func configCommand(file *string) *cobra.Command {
	parent := &cobra.Command{Use: "config", Short: "Check the configuration file"}
	parent.AddCommand(&cobra.Command{
		Use: "validate", Short: "List every error of the configuration file", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(*file)
			if err != nil {
				return err
			}
			if _, err := cfg.settings(all.Types(password.NewHasher())); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is valid.\n", *file)
			return err
		},
	})
	return parent
}

func clusterCommand(file *string) *cobra.Command {
	parent := &cobra.Command{Use: "cluster", Short: "Print the configuration of a cluster"}
	var flags bool
	show := &cobra.Command{
		Use: "config NAME", Short: "Print the API server configuration that makes a cluster trust this issuer", Args: cobra.ExactArgs(1),
		Long: "Prints an AuthenticationConfiguration (apiserver.config.k8s.io/v1) for --authentication-config,\n" +
			"or with --flags the kube-apiserver flags for older servers.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(*file)
			if err != nil {
				return err
			}
			set, err := cfg.settings(all.Types(password.NewHasher()))
			if err != nil {
				return err
			}
			return printClusterConfig(cmd.OutOrStdout(), cfg, set.Clusters, args[0], flags)
		},
	}
	show.Flags().BoolVar(&flags, "flags", false, "print kube-apiserver flags instead")
	parent.AddCommand(show)
	return parent
}

func printClusterConfig(w io.Writer, cfg *config, clusters []store.Cluster, id string, flags bool) error {
	for _, c := range clusters {
		if c.ID != id {
			continue
		}
		what := authconfig.Config{Issuer: cfg.URL, CA: cfg.IssuerCA.Reveal(), Audience: c.Audience, Algorithm: c.Algorithm}
		if flags {
			_, err := fmt.Fprintln(w, strings.Join(authconfig.Flags(what), "\n"))
			return err
		}
		text, err := authconfig.Structured(what)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	return fmt.Errorf("there is no cluster %q in %s. Check the ID", id, cfg.file)
}

func dataKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "datakey", Short: "Print a new random key for dataKeys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), base64.StdEncoding.EncodeToString(secret.NewKey()))
			return err
		},
	}
}

func localUserCommand(file *string) *cobra.Command {
	parent := &cobra.Command{Use: "local-user", Short: "Manage local users"}
	parent.AddCommand(localUserAddCommand(file), localUserListCommand(file), localUserPasswordCommand(file), localUserHashCommand(),
		localUserSwitchCommand(file, "disable", "Disable a local user; kubectl stops at the next token renewal", true),
		localUserSwitchCommand(file, "enable", "Enable a local user again", false))
	return parent
}

// changed records an operator's change of a local user.
func changed(cmd *cobra.Command, s *store.Store, name audit.Name, login, reason string) {
	auditLog(cmd, s).Record(cmd.Context(), audit.Event{Name: name, UserName: login, ActorName: commandLine, Reason: reason})
}

// commandLine is the actor of acts on the command line.
const commandLine = "command line"

func auditLog(cmd *cobra.Command, s *store.Store) *audit.Log {
	return audit.NewLog(time.Now, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)), s)
}

// withStore opens the configured database and runs fn.
func withStore(cmd *cobra.Command, file string, fn func(*store.Store) error) error {
	cfg, err := loadConfig(file)
	if err != nil {
		return err
	}
	logger, err := logging.New(cmd.ErrOrStderr(), "text", "warn")
	if err != nil {
		return err
	}
	s, _, err := openStore(cmd.Context(), cfg, logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	return fn(s)
}

func localUserAddCommand(file *string) *cobra.Command {
	var u store.LocalUser
	var groups []string
	add := &cobra.Command{
		Use: "add LOGIN", Short: "Create a local user; reads the password from standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u.Login, u.GroupNames = args[0], groups
			u.Origin = store.Origin{Origin: store.OriginPage}
			for _, name := range append([]string{u.Login}, groups...) {
				if err := kubenames.Check(name); err != nil {
					return fmt.Errorf("the name %q %w", name, err)
				}
			}
			hash, err := readHash(cmd)
			if err != nil {
				return err
			}
			u.PasswordHash = hash
			return withStore(cmd, *file, func(s *store.Store) error {
				if _, err := s.CreateLocalUser(cmd.Context(), u, time.Now()); err != nil {
					return err
				}
				changed(cmd, s, audit.UserCreated, u.Login, "added")
				return nil
			})
		},
	}
	add.Flags().StringVar(&u.DisplayName, "name", "", "display name")
	add.Flags().StringVar(&u.Email, "email", "", "e-mail address")
	add.Flags().StringSliceVar(&groups, "group", nil, "group; can be repeated")
	return add
}

func localUserListCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List local users", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, *file, func(s *store.Store) error {
				users, err := s.LocalUsers(cmd.Context())
				if err != nil {
					return err
				}
				for _, u := range users {
					state := "enabled"
					if u.Disabled {
						state = "disabled"
					}
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\t%s\t%s\n", u.Login, state, u.Origin.Origin, strings.Join(u.GroupNames, ",")); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func localUserPasswordCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use: "password LOGIN", Short: "Set the password of a local user; reads it from standard input", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := readHash(cmd)
			if err != nil {
				return err
			}
			return withStore(cmd, *file, func(s *store.Store) error {
				if err := s.SetLocalUserPassword(cmd.Context(), args[0], hash, time.Now()); err != nil {
					return err
				}
				changed(cmd, s, audit.UserChanged, args[0], "password")
				return nil
			})
		},
	}
}

func localUserSwitchCommand(file *string, use, short string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " LOGIN", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, *file, func(s *store.Store) error {
				if err := s.SetLocalUserDisabled(cmd.Context(), args[0], disabled, time.Now()); err != nil {
					return err
				}
				name := audit.UserChanged
				if disabled {
					name = audit.UserDisabled
				}
				changed(cmd, s, name, args[0], use)
				return nil
			})
		},
	}
}

func localUserHashCommand() *cobra.Command {
	return &cobra.Command{
		Use: "hash", Short: "Print the hash of a password for passwordHash; reads the password from standard input", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hash, err := readHash(cmd)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), hash)
			return err
		},
	}
}

// readHash reads a password, without echo on a terminal, and returns its hash.
func readHash(cmd *cobra.Command) (string, error) {
	var text string
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(cmd.ErrOrStderr(), "Password: ")
		body, err := term.ReadPassword(int(f.Fd()))
		if err != nil {
			return "", fmt.Errorf("reading password: %w", err)
		}
		fmt.Fprintln(cmd.ErrOrStderr())
		text = string(body)
	} else {
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), password.MaxLength+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading password: %w", err)
		}
		text = strings.TrimRight(line, "\r\n")
	}
	return password.NewHasher().Hash(cmd.Context(), text)
}
