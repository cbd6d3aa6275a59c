package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Connector is a configured upstream. Config is JSON with its secrets, sealed.
type Connector struct {
	ID          string
	Type        string
	Name        string
	Position    int
	GroupPrefix string
	UserPrefix  string
	Hidden      bool
	// Enabled connectors let people sign in. Others are drafts.
	Enabled bool
	// SecondFactor asks everybody who comes through it for a second factor of ours.
	SecondFactor bool
	// Tested is the revision that a test sign-in passed with.
	Tested string
	// Note is for the people who configure it.
	Note   string
	Config string
	// Revision changes whenever the entry does.
	Revision string
	Origin   `gorm:"embedded"`
}

// AccessMode says how a cluster checks tokens.
type AccessMode string

// The access modes.
const (
	ModeProxy  AccessMode = "proxy"
	ModeDirect AccessMode = "direct"
)

// Cluster is a Kubernetes cluster as kubectl should reach it.
type Cluster struct {
	ID          string
	Name        string
	Description string
	Environment string
	// Color marks the environment, beside its word.
	Color string
	// Notes are shown to the people who use the cluster.
	Notes        string
	Server       string
	CA           string `gorm:"column:ca"`
	Audience     string
	Mode         AccessMode
	Algorithm    string
	TokenSeconds int
	Namespace    string
	Labels       Labels
	// StatusURL, when set, is asked for whether the cluster is ready; the demo
	// uses it while its cluster is being built.
	StatusURL string
	// StaleSeconds is how long the cluster's proxy may hear nothing of this server; zero
	// means DefaultStale. FailClosed refuses everything then; else tokens stay good for as
	// long as they live.
	StaleSeconds int
	FailClosed   bool
	// StreamSeconds is how long a shell or a watch may go on after its token has expired;
	// zero means as long as it likes.
	StreamSeconds int
	// TokenFileSeconds is how long a token lives that somebody downloads in a file; zero where
	// nobody may.
	TokenFileSeconds int
	Origin           `gorm:"embedded"`
}

// DefaultStale is how long a proxy may hear nothing before it counts as stale.
const DefaultStale = 2 * time.Minute

// Stale is how long the cluster's proxy may hear nothing.
func (c *Cluster) Stale() time.Duration {
	if c.StaleSeconds == 0 {
		return DefaultStale
	}
	return time.Duration(c.StaleSeconds) * time.Second
}

// TokenLife is how long a token for this cluster lives.
func (c *Cluster) TokenLife() time.Duration { return time.Duration(c.TokenSeconds) * time.Second }

// TokenFileLife is how long a token in a file lives; zero where nobody may have one.
func (c *Cluster) TokenFileLife() time.Duration {
	return time.Duration(c.TokenFileSeconds) * time.Second
}

// AccessRule allows some people to use some clusters, or to administer
// Fairlead. Rules only allow.
type AccessRule struct {
	ID           string
	Position     int
	Description  string
	Everyone     bool
	ConnectorIDs Strings
	GroupNames   Strings
	UserNames    Strings
	// Domains are of verified e-mail addresses, in lower case.
	Domains       Strings
	ClusterIDs    Strings
	ClusterLabels Labels
	Admin         bool
	Origin        `gorm:"embedded"`
}

// Client is an OIDC relying party.
type Client struct {
	ID     string
	Name   string
	Public bool
	// PKCEOptional lets a confidential client come without PKCE. A public one
	// never may.
	PKCEOptional bool `gorm:"column:pkce_optional"`
	RedirectURIs Strings
	// PostLogoutURIs are where a browser may go after signing out.
	PostLogoutURIs Strings `gorm:"column:post_logout_uris"`
	Grants         Strings
	SecretHashes   Strings
	SecretNotes    SecretNotes
	Algorithm      string
	// FirstParty clients belong to the people who run this server: nobody is
	// asked whether they may know who signed in.
	FirstParty bool
	// KeySet is a JWKS with the public keys that the client authenticates with.
	KeySet string
	// LogoutURI is told when a sign-in ends (OpenID Connect Back-Channel Logout).
	LogoutURI string `gorm:"column:logout_uri"`
	// GroupNames are the groups of the client itself, for client credentials.
	GroupNames Strings
	Origin     `gorm:"embedded"`
}

// Settings is everything that a configuration file owns.
type Settings struct {
	Connectors []Connector
	Clusters   []Cluster
	Rules      []AccessRule
	Clients    []Client
	Issuers    []TrustedIssuer
	Workloads  []WorkloadRule
	LocalUsers []LocalUser
	// Documents are what is there once. A file has keys of its own for them.
	Documents []Document
}

// ApplyFile makes the entries of origin "file" equal to set, in one
// transaction: what is gone from the file goes, and a local user that is gone
// is switched off. The error's kind is Conflict when an entry of another origin
// has the same id.
func (s *Store) ApplyFile(ctx context.Context, set Settings, now time.Time) error {
	for i := range set.Connectors {
		s.seal(&set.Connectors[i])
	}
	err := s.tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Exec("UPDATE config_state SET version = version + 1 WHERE id = 1").Error; err != nil {
			return err
		}
		if err := refuseShadows(tx, set); err != nil {
			return err
		}
		for _, replace := range []func() error{
			func() error { return replaceFile(tx, set.Connectors) },
			func() error { return replaceFile(tx, set.Clusters) },
			func() error { return replaceFile(tx, set.Rules) },
			func() error { return replaceFile(tx, set.Clients) },
			func() error { return replaceFile(tx, set.Issuers) },
			func() error { return replaceFile(tx, set.Workloads) },
			func() error { return applyLocalUsers(tx, set.LocalUsers, now) },
		} {
			if err := replace(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("applying configuration: %w", err)
	}
	s.cache.forget()
	return nil
}

// refuseShadows refuses ids that the pages have as well, naming both places.
func refuseShadows(tx *gorm.DB, set Settings) error {
	connector, cluster, rule, client := set.Connectors, set.Clusters, set.Rules, set.Clients
	return errors.Join(
		checkOrigins[Connector](tx, "connector", "id", ids(connector, func(r Connector) string { return r.ID }), func(i int) string { return connector[i].OriginRef }),
		checkOrigins[Cluster](tx, "cluster", "id", ids(cluster, func(r Cluster) string { return r.ID }), func(i int) string { return cluster[i].OriginRef }),
		checkOrigins[AccessRule](tx, "rule", "id", ids(rule, func(r AccessRule) string { return r.ID }), func(i int) string { return rule[i].OriginRef }),
		checkOrigins[Client](tx, "client", "id", ids(client, func(r Client) string { return r.ID }), func(i int) string { return client[i].OriginRef }),
		checkOrigins[TrustedIssuer](tx, "trusted issuer", "id", ids(set.Issuers, func(r TrustedIssuer) string { return r.ID }), func(i int) string { return set.Issuers[i].OriginRef }),
		checkOrigins[WorkloadRule](tx, "workload", "id", ids(set.Workloads, func(r WorkloadRule) string { return r.ID }), func(i int) string { return set.Workloads[i].OriginRef }),
	)
}

func ids[T any](rows []T, id func(T) string) []string {
	list := make([]string, len(rows))
	for i, row := range rows {
		list[i] = id(row)
	}
	return list
}

func replaceFile[T any](tx *gorm.DB, rows []T) error {
	if err := tx.Where("origin = ?", OriginFile).Delete(new(T)).Error; err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.Create(&rows).Error
}

func applyLocalUsers(tx *gorm.DB, users []LocalUser, now time.Time) error {
	err := tx.Model(&LocalUser{}).Where("origin = ?", OriginFile).Update("disabled", true).Error
	if err != nil {
		return err
	}
	for _, u := range users {
		if err := applyLocalUser(tx, u, now); err != nil {
			return err
		}
	}
	return nil
}

func applyLocalUser(tx *gorm.DB, u LocalUser, now time.Time) error {
	var old LocalUser
	u.LoginKey = kubenames.Key(u.Login)
	found := tx.Where("login_key = ?", u.LoginKey).Limit(1).Find(&old)
	switch {
	case found.Error != nil:
		return found.Error
	case found.RowsAffected == 0:
		u.ID, u.Created, u.PasswordHash = secret.ID("loc"), At(now), u.FileHash
		return tx.Create(&u).Error
	case old.Origin.Origin != OriginFile:
		return errs.New(errs.Conflict,
			"The file was not applied: the local user %s (%s) already exists and was created outside the file. Remove one of the two.", u.Login, u.OriginRef)
	}
	u.ID, u.Created, u.PasswordHash = old.ID, old.Created, old.PasswordHash
	if u.FileHash != old.FileHash {
		u.PasswordHash = u.FileHash
	}
	return tx.Save(&u).Error
}

func connectorContext(id string) string { return "connectors.config:" + id }

// ConnectorConfig opens the configuration of a connector.
func (s *Store) ConnectorConfig(c *Connector) ([]byte, error) {
	plain, err := s.keyring.Open(connectorContext(c.ID), c.Config)
	if err != nil {
		return nil, fmt.Errorf("opening configuration of connector %s: %w", c.ID, err)
	}
	return plain, nil
}

// Connectors lists the connectors in the order of the sign-in page.
func (s *Store) Connectors(ctx context.Context) ([]Connector, error) {
	return list[Connector](ctx, s, "position, id")
}

// Connector returns a connector by id.
func (s *Store) Connector(ctx context.Context, id string) (*Connector, error) {
	return byID[Connector](ctx, s, id)
}

func list[T any](ctx context.Context, s *Store, order string) ([]T, error) {
	var rows []T
	if err := s.db.WithContext(ctx).Order(order).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing: %w", translate(err))
	}
	return rows, nil
}

func byID[T any](ctx context.Context, s *Store, id string) (*T, error) {
	row := new(T)
	if err := s.db.WithContext(ctx).Where("id = ?", id).Take(row).Error; err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, translate(err))
	}
	return row, nil
}
