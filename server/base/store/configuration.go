package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/fairlead-auth/fairlead/internal/errs"
	"github.com/fairlead-auth/fairlead/internal/kubenames"
	"github.com/fairlead-auth/fairlead/internal/secret"
)

// SettingsTx is the configuration inside a transaction. No other change runs at the same time.
type SettingsTx struct {
	tx    *gorm.DB
	store *Store
	// Version is the number of changes so far. Each revision has one of its own.
	Version int64
	// endings run last, because they take the lock that orders revocations.
	endings []func() error
	revised bool
}

// UpdateSettings runs fn in one transaction that excludes all other changes of the configuration. fn may run more
// than once, see tx.
func (s *Store) UpdateSettings(ctx context.Context, fn func(c *SettingsTx) error) error {
	err := s.tx(ctx, func(tx *gorm.DB) error {
		c := &SettingsTx{tx: tx, store: s}
		// This update locks the row until the transaction ends.
		if err := c.nextVersion(); err != nil {
			return err
		}
		if err := fn(c); err != nil {
			return err
		}
		for _, end := range c.endings {
			if err := end(); err != nil {
				return err
			}
		}
		return nil
	})
	s.cache.forget()
	return err
}

func (c *SettingsTx) nextVersion() error {
	return c.tx.Raw("UPDATE config_state SET version = version + 1 WHERE id = 1 RETURNING version").Scan(&c.Version).Error
}

// AllSettings returns the whole configuration of one moment, with the secrets of connectors decrypted.
func (s *Store) AllSettings(ctx context.Context) (set Settings, err error) {
	err = s.snapshot(ctx, func(tx *gorm.DB) error {
		set, err = s.readConfigured(tx)
		return err
	})
	return set, err
}

// User returns a user, and locks the row until the transaction ends.
func (c *SettingsTx) User(id string) (*User, error) {
	var u User
	err := c.tx.Clauses(clause.Locking{Strength: "SHARE"}).Where("id = ?", id).Take(&u).Error
	return &u, translate(err)
}

// All returns the whole configuration, with the secrets of connectors decrypted.
func (c *SettingsTx) All() (Settings, error) { return c.store.readConfigured(c.tx) }

func (s *Store) readConfigured(db *gorm.DB) (Settings, error) {
	var set Settings
	for _, read := range []func() error{
		func() error { return db.Order("position, id").Find(&set.Connectors).Error },
		func() error { return db.Order("name, id").Find(&set.Clusters).Error },
		func() error { return db.Order("position, id").Find(&set.Rules).Error },
		func() error { return db.Order("id").Find(&set.Clients).Error },
		func() error { return db.Order("id").Find(&set.Issuers).Error },
		func() error { return db.Order("position, id").Find(&set.Workloads).Error },
		func() error { return db.Order("login_key").Find(&set.LocalUsers).Error },
		func() error { return db.Order("id").Find(&set.Documents).Error },
	} {
		if err := read(); err != nil {
			return Settings{}, fmt.Errorf("reading configuration: %w", translate(err))
		}
	}
	for i := range set.Connectors {
		plain, err := s.ConnectorConfig(&set.Connectors[i])
		if err != nil {
			return Settings{}, err
		}
		set.Connectors[i].Config = string(plain)
	}
	return set, nil
}

// Put inserts a row, or replaces the row with its id.
func (c *SettingsTx) Put(row any, now time.Time) error {
	switch r := row.(type) {
	case *Connector:
		sealed := *r
		c.store.seal(&sealed)
		if !r.Enabled {
			c.endings = append(c.endings, func() error { return endConnector(c.tx, r.ID, now) })
		}
		return translate(c.tx.Save(&sealed).Error)
	case *LocalUser:
		return c.putLocalUser(r, now)
	default:
		return translate(c.tx.Save(row).Error)
	}
}

// putLocalUser keeps the id and the password of an existing account.
func (c *SettingsTx) putLocalUser(u *LocalUser, now time.Time) error {
	var old LocalUser
	u.LoginKey = kubenames.Key(u.Login)
	found := c.tx.Where("login_key = ?", u.LoginKey).Limit(1).Find(&old)
	if found.Error != nil {
		return translate(found.Error)
	}
	if found.RowsAffected == 0 {
		u.ID, u.Created, u.PasswordHash = secret.ID("loc"), At(now), u.FileHash
		return translate(c.tx.Create(u).Error)
	}
	u.ID, u.Created, u.Disabled, u.PasswordHash = old.ID, old.Created, old.Disabled, old.PasswordHash
	if u.FileHash != "" && u.FileHash != old.FileHash {
		u.PasswordHash = u.FileHash // imported
		c.endings = append(c.endings, func() error { return endLocalUser(c.tx, u.ID, now) })
	} else {
		u.FileHash = old.FileHash
	}
	return translate(c.tx.Save(u).Error)
}

// RemoveClient deletes a client and ends what users have granted it.
func (c *SettingsTx) RemoveClient(id string, now time.Time) error {
	c.endings = append(c.endings, func() error { return endClient(c.tx, id, now) })
	return Remove[Client](c, "id", id)
}

// RemoveLocalUser deletes a local account and ends what its user holds.
func (c *SettingsTx) RemoveLocalUser(login string, now time.Time) error {
	var u LocalUser
	if err := c.tx.Where("login = ?", login).Limit(1).Find(&u).Error; err != nil {
		return translate(err)
	}
	c.endings = append(c.endings, func() error { return endLocalUser(c.tx, u.ID, now) })
	return Remove[LocalUser](c, "login", login)
}

// endConnector refuses the users of a connector that is disabled.
func endConnector(tx *gorm.DB, id string, now time.Time) error {
	_, _, err := end(tx, Ending{Scope: EndConnector, ID: id, Reason: "connector_disabled"}, now)
	return err
}

func endClient(tx *gorm.DB, id string, now time.Time) error {
	_, _, err := end(tx, Ending{Scope: EndClient, ID: id, Reason: RevokedByAdmin}, now)
	return err
}

// Remove deletes the row with this id from the table of T.
func Remove[T any](c *SettingsTx, column, id string) error {
	res := c.tx.Where(column+" = ?", id).Delete(new(T))
	if res.Error == nil && res.RowsAffected == 0 {
		return notFound("There is no such entry. Check the ID.")
	}
	return translate(res.Error)
}

// seal computes the revision of a connector and encrypts its settings.
func (s *Store) seal(c *Connector) {
	c.Revision = ConnectorRevision(c)
	c.Config = s.keyring.Seal(connectorContext(c.ID), []byte(c.Config))
}

// ConnectorRevision returns a hash of what affects sign-ins. Two connectors with the same revision accept the same
// users under the same names.
func ConnectorRevision(c *Connector) string {
	return secret.Hash(c.Type + "\x00" + c.Config + "\x00" + c.GroupPrefix + "\x00" + c.UserPrefix)
}

// MarkTested records that a test sign-in passed with this revision of a connector.
func (s *Store) MarkTested(ctx context.Context, id, revision string) error {
	if _, err := s.exec(ctx, "UPDATE connectors SET tested = ? WHERE id = ?", revision, id); err != nil {
		return fmt.Errorf("marking a connector tested: %w", err)
	}
	return nil
}

// Document is a part of the configuration that exists once, as JSON.
type Document struct {
	ID     string
	Body   string
	Origin `gorm:"embedded"`
}

// Documents lists all documents.
func (s *Store) Documents(ctx context.Context) ([]Document, error) {
	return list[Document](ctx, s, "id")
}

// Revision is one change of the configuration.
type Revision struct {
	ID                           string
	Number                       int64
	Time                         Instant
	Kind, ObjectID, Action       string
	AuthorID, AuthorName, Reason string
	// Before and After are the entry before and after the change, encrypted: see Open.
	Before, After string
	// TrialUntil is when a change on trial is undone unless an admin confirms it. Zero means that the change was
	// never on trial.
	TrialUntil Instant
	Outcome    string
}

// The actions and outcomes of a revision.
const (
	ActionCreate = "create"
	ActionUpdate = "update"
	ActionDelete = "delete"
	ActionMove   = "move"

	OutcomeApplied    = "applied"
	OutcomeTrial      = "trial"
	OutcomeConfirmed  = "confirmed"
	OutcomeRolledBack = "rolled back"
	// OutcomeReplaced is that of a trial that ended because the entry changed again.
	OutcomeReplaced = "replaced"
)

func revisionContext(id string) string { return "revisions.document:" + id }

// AddRevision encrypts the documents of a revision and stores it.
func (c *SettingsTx) AddRevision(r *Revision) error {
	if c.revised {
		if err := c.nextVersion(); err != nil {
			return translate(err)
		}
	}
	c.revised = true
	r.ID, r.Number = secret.ID("rev"), c.Version
	sealed := *r
	sealed.Before = c.store.keyring.Seal(revisionContext(r.ID), []byte(r.Before))
	sealed.After = c.store.keyring.Seal(revisionContext(r.ID), []byte(r.After))
	return translate(c.tx.Create(&sealed).Error)
}

// EndTrial ends a trial. It reports false if the trial had ended already.
func (c *SettingsTx) EndTrial(id, outcome string) (bool, error) {
	res := c.tx.Exec("UPDATE revisions SET outcome = ?, trial_until = 0 WHERE id = ? AND outcome = ?", outcome, id, OutcomeTrial)
	return res.RowsAffected == 1, translate(res.Error)
}

// ReplaceTrial ends the trial of an entry, and returns its change, or nil if the entry is not on trial.
func (c *SettingsTx) ReplaceTrial(kind, id string) (*Revision, error) {
	var rows []Revision
	err := c.tx.Where("kind = ? AND object_id = ? AND outcome = ?", kind, id, OutcomeTrial).Order("number DESC").Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, translate(err)
	}
	for i := range rows {
		if _, err := c.EndTrial(rows[i].ID, OutcomeReplaced); err != nil {
			return nil, err
		}
	}
	return &rows[0], c.store.openRevision(&rows[0])
}

// TrialStart returns the first of the changes on trial that led to this one. The entry before it is the one that worked.
func (c *SettingsTx) TrialStart(r *Revision) (*Revision, error) {
	var earlier []Revision
	err := c.tx.Select("id", "outcome").Where("kind = ? AND object_id = ? AND number < ? AND action <> ?", r.Kind, r.ObjectID, r.Number, ActionMove).
		Order("number DESC").Find(&earlier).Error
	if err != nil {
		return nil, translate(err)
	}
	id := ""
	for i := 0; i < len(earlier) && earlier[i].Outcome == OutcomeReplaced; i++ {
		id = earlier[i].ID
	}
	if id == "" {
		return r, nil
	}
	var start Revision
	if err := c.tx.Where("id = ?", id).Take(&start).Error; err != nil {
		return nil, translate(err)
	}
	return &start, c.store.openRevision(&start)
}

// RevisionQuery selects revisions. Empty fields select all.
type RevisionQuery struct {
	Kind, ObjectID string
	// Trials selects revisions on trial.
	Trials bool
	// Before selects revisions with a smaller number. Limit is the largest number of results.
	Before int64
	Limit  int
}

// Revisions lists revisions, the newest first, with decrypted documents.
func (s *Store) Revisions(ctx context.Context, query RevisionQuery) ([]Revision, error) {
	q := s.db.WithContext(ctx).Order("number DESC").Limit(query.Limit)
	if query.Kind != "" {
		q = q.Where("kind = ?", query.Kind)
	}
	if query.ObjectID != "" {
		q = q.Where("object_id = ?", query.ObjectID)
	}
	if query.Trials {
		q = q.Where("trial_until > 0")
	}
	if query.Before > 0 {
		q = q.Where("number < ?", query.Before)
	}
	var rows []Revision
	if err := q.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("listing revisions: %w", translate(err))
	}
	for i := range rows {
		if err := s.openRevision(&rows[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Revision returns one revision with decrypted documents.
func (s *Store) Revision(ctx context.Context, id string) (*Revision, error) {
	row, err := byID[Revision](ctx, s, id)
	if err != nil {
		return nil, err
	}
	return row, s.openRevision(row)
}

func (s *Store) openRevision(r *Revision) error {
	for _, text := range []*string{&r.Before, &r.After} {
		plain, err := s.keyring.Open(revisionContext(r.ID), *text)
		if err != nil {
			return fmt.Errorf("opening revision %s: %w", r.ID, err)
		}
		*text = string(plain)
	}
	return nil
}

// checkOrigins refuses an entry of the configuration file whose id an entry of the pages already has.
func checkOrigins[T any](tx *gorm.DB, kind, column string, ids []string, origin func(i int) string) error {
	if len(ids) == 0 {
		return nil
	}
	var taken []string
	if err := tx.Model(new(T)).Where("origin = ? AND "+column+" IN ?", OriginPage, ids).Pluck(column, &taken).Error; err != nil {
		return err
	}
	for i, id := range ids {
		if slices.Contains(taken, id) {
			return errs.New(errs.Conflict, "The file was not applied: the %s %q is in the file (%s) and in the admin pages, and entries are never merged. Remove one of the two.", kind, id, origin(i))
		}
	}
	return nil
}

// SetPosition sets the position of the entry with this id. row is an empty row of its table.
func (c *SettingsTx) SetPosition(row any, id string, position int) error {
	return translate(c.tx.Model(row).Where("id = ?", id).UpdateColumn("position", position).Error)
}

// LastSignIns returns the time of the last sign-in through each connector.
func (s *Store) LastSignIns(ctx context.Context) (map[string]Instant, error) {
	var rows []struct {
		ConnectorID string
		Last        Instant
	}
	err := s.db.WithContext(ctx).Raw("SELECT connector_id, MAX(last_sign_in) AS last FROM users GROUP BY connector_id").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("reading last sign-ins: %w", translate(err))
	}
	last := map[string]Instant{}
	for _, row := range rows {
		last[row.ConnectorID] = row.Last
	}
	return last, nil
}
