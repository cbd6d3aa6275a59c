package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// Connector is a configured upstream. Config is JSON with secrets, encrypted at rest.
type Connector struct {
	ID          string
	Type        string
	Name        string
	Position    int
	GroupPrefix string
	UserPrefix  string
	Hidden      bool
	// Enabled connectors are on the sign-in page. The others are drafts.
	Enabled bool
	// SecondFactor requires every user of the connector to pass a second factor of Fairlead.
	SecondFactor bool
	// Tested is the revision that passed a test sign-in.
	Tested string
	// Note is for admins.
	Note   string
	Config string
	// Revision changes with each change of the settings.
	Revision string
	Origin   `gorm:"embedded"`
}

// IsLocal reports whether Fairlead itself keeps the accounts of the connector, and no upstream does.
func (c *Connector) IsLocal() bool { return c.Type == "local" }

// AccessMode is how a cluster verifies tokens.
type AccessMode string

// The access modes.
const (
	ModeProxy  AccessMode = "proxy"
	ModeDirect AccessMode = "direct"
)

// Cluster is a Kubernetes cluster, with the address that kubectl uses.
type Cluster struct {
	ID          string
	Name        string
	Description string
	Environment string
	// Color marks the environment beside its name.
	Color string
	// Notes are shown to the users of the cluster.
	Notes        string
	Server       string
	CA           string `gorm:"column:ca"`
	Audience     string
	Mode         AccessMode
	Algorithm    string
	TokenSeconds int
	Namespace    string
	Labels       Labels
	// StatusURL, when set, reports whether the cluster is ready. The demo uses it while it builds its cluster.
	StatusURL string
	// StaleSeconds is how long the cluster's proxy may be without contact to this server. Zero means DefaultStale.
	// After that time FailClosed makes the proxy refuse every request; otherwise tokens are accepted until they
	// expire.
	StaleSeconds int
	FailClosed   bool
	// StreamSeconds is how long a shell or watch may continue after its token has expired. Zero means without a
	// limit.
	StreamSeconds int
	// TokenFileSeconds is the lifetime of a token that a user downloads as a file. Zero forbids such tokens.
	TokenFileSeconds int
	Origin           `gorm:"embedded"`
}

// DefaultStale is how long a proxy may be without contact before it counts as stale.
const DefaultStale = 2 * time.Minute

// Stale returns how long the cluster's proxy may be without contact.
func (c *Cluster) Stale() time.Duration {
	if c.StaleSeconds == 0 {
		return DefaultStale
	}
	return time.Duration(c.StaleSeconds) * time.Second
}

// TokenLife returns the lifetime of a token for this cluster.
func (c *Cluster) TokenLife() time.Duration { return time.Duration(c.TokenSeconds) * time.Second }

// TokenFileLife returns the lifetime of a token in a file. Zero forbids such tokens.
func (c *Cluster) TokenFileLife() time.Duration {
	return time.Duration(c.TokenFileSeconds) * time.Second
}

// AccessRule allows some users to use some clusters, or to administer Fairlead. Rules only allow.
type AccessRule struct {
	ID           string
	Position     int
	Description  string
	Everyone     bool
	ConnectorIDs Strings
	GroupNames   Strings
	UserNames    Strings
	// Domains are domains of verified e-mail addresses, in lower case.
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
	// PKCEOptional allows a confidential client to omit PKCE. A public client must always use it.
	PKCEOptional bool `gorm:"column:pkce_optional"`
	RedirectURIs Strings
	// PostLogoutURIs are the addresses to which the browser may return after sign-out.
	PostLogoutURIs Strings `gorm:"column:post_logout_uris"`
	Grants         Strings
	SecretHashes   Strings
	SecretNotes    SecretNotes
	Algorithm      string
	// FirstParty clients belong to the operator of this server. They need no consent.
	FirstParty bool
	// KeySet is a JWKS with the public keys for the client's private_key_jwt authentication.
	KeySet string
	// LogoutURI receives a logout token when a session ends (OpenID Connect Back-Channel Logout).
	LogoutURI string `gorm:"column:logout_uri"`
	// GroupNames are the groups of the client itself, for the client credentials grant.
	GroupNames Strings
	Origin     `gorm:"embedded"`
}

// Settings are all entries that a configuration file can own.
type Settings struct {
	Connectors []Connector
	Clusters   []Cluster
	Rules      []AccessRule
	Clients    []Client
	Issuers    []TrustedIssuer
	Workloads  []WorkloadRule
	LocalUsers []LocalUser
	// Documents are the parts of the configuration that exist once. The configuration file has its own keys for
	// them.
	Documents []Document
}

// ApplyFile makes the entries of origin "file" equal to set, in one transaction. It deletes entries that the file
// no longer has, and disables local users. The error's kind is Conflict when an entry of another origin has the
// same id.
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
		clients, err := fileIDs[Client](tx)
		if err != nil {
			return err
		}
		connectors, err := fileIDs[Connector](tx)
		if err != nil {
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
			func() error {
				return endMissing(clients, ids(set.Clients, func(c Client) string { return c.ID }), func(id string) error { return endClient(tx, id, now) })
			},
			func() error {
				return endMissing(connectors, ids(set.Connectors, func(c Connector) string { return c.ID }), func(id string) error { return retire(tx, id, now) })
			},
			func() error { return endDisabled(tx, set.Connectors, now) },
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

// refuseShadows refuses ids that both the file and the pages use, and names both places.
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

// fileIDs returns the ids of the rows that the file owns.
func fileIDs[T any](tx *gorm.DB) ([]string, error) {
	var list []string
	err := tx.Model(new(T)).Where("origin = ?", OriginFile).Pluck("id", &list).Error
	return list, err
}

// endDisabled refuses the users of the connectors that the file disables.
func endDisabled(tx *gorm.DB, connectors []Connector, now time.Time) error {
	for i := range connectors {
		if connectors[i].Enabled {
			continue
		}
		if err := endConnector(tx, connectors[i].ID, now); err != nil {
			return err
		}
	}
	return nil
}

// endMissing calls end with each id that the file had before and no longer has.
func endMissing(before, after []string, end func(id string) error) error {
	for _, id := range before {
		if slices.Contains(after, id) {
			continue
		}
		if err := end(id); err != nil {
			return err
		}
	}
	return nil
}

func applyLocalUsers(tx *gorm.DB, users []LocalUser, now time.Time) error {
	var enabled, gone []string
	if err := tx.Model(&LocalUser{}).Where("origin = ? AND NOT disabled", OriginFile).Pluck("id", &enabled).Error; err != nil {
		return err
	}
	if err := tx.Model(&LocalUser{}).Where("origin = ?", OriginFile).Update("disabled", true).Error; err != nil {
		return err
	}
	for _, u := range users {
		if err := applyLocalUser(tx, u, now); err != nil {
			return err
		}
	}
	if err := tx.Model(&LocalUser{}).Where("disabled AND id IN ?", enabled).Pluck("id", &gone).Error; err != nil {
		return err
	}
	for _, id := range gone {
		if err := endLocalUser(tx, id, now); err != nil {
			return err
		}
	}
	// An account that the file no longer has may come back, but its invitation must not.
	return tx.Exec("UPDATE links SET used = ? WHERE purpose = ? AND used = 0 AND subject IN (SELECT id FROM local_users WHERE disabled)", At(now), LinkInvite).Error
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
	renewed := u.FileHash != old.FileHash
	if renewed {
		u.PasswordHash = u.FileHash
	}
	if err := tx.Save(&u).Error; err != nil || !renewed {
		return err
	}
	return endLocalUser(tx, u.ID, now)
}

func connectorContext(id string) string { return "connectors.config:" + id }

// ConnectorConfig decrypts the configuration of a connector.
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
