package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-auth/fairlead/internal/audit"
	"github.com/fairlead-auth/fairlead/server/base/store/storetest"
)

// writeFile writes the configuration file of the start, with more lines.
func (s *station) writeFile(start []byte, lines string) {
	s.t.Helper()
	if err := os.WriteFile(s.cfg.file, append(append([]byte{}, start...), lines...), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// TestAChangedFileIsAppliedAfterAnOutage: the file changes while the database is away.
func TestAChangedFileIsAppliedAfterAnOutage(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	start, err := os.ReadFile(s.cfg.file)
	if err != nil {
		t.Fatal(err)
	}
	s.writeFile(start, "rules: [{id: everyone, who: {everyone: true}, clusters: {ids: ['*']}}]\n")
	s.reloader.look(t.Context())
	if rules, err := s.store.Rules(t.Context()); err != nil || len(rules) != 1 {
		t.Fatalf("%d rules, error %v", len(rules), err)
	}

	database := s.store
	s.store = storetest.SQLite(t)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.writeFile(start, "")
	for range 3 {
		s.reloader.look(t.Context())
	}
	if s.provider.Admin.FileFault() == "" {
		t.Error("the pages don't show the fault")
	}
	if events, err := database.AuditEvents(t.Context(), audit.SettingsNotLoaded, 10); err != nil || len(events) != 1 {
		t.Errorf("%d events, want one for one fault; error %v", len(events), err)
	}

	s.store = database
	s.reloader.look(t.Context())
	if rules, err := s.store.Rules(t.Context()); err != nil || len(rules) != 0 {
		t.Errorf("%d rules after the outage, want none; error %v", len(rules), err)
	}
	if fault := s.provider.Admin.FileFault(); fault != "" {
		t.Errorf("the pages still show %q", fault)
	}
}

// TestAChangedSecretFileIsApplied: the configuration file stays, and a file that it names changes.
func TestAChangedSecretFileIsApplied(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	start, err := os.ReadFile(s.cfg.file)
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(password, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		s.writeFile(start, "connectors: [{id: corp, type: ldap, name: Corp, config: {hosts: [ldap.test], bindDN: 'cn=x', bindPassword: 'file:"+password+"', userSearch: {baseDN: dc=test}}}]\n")
		s.reloader.look(t.Context())
		set, err := s.store.AllSettings(t.Context())
		if err != nil || len(set.Connectors) != 1 || !strings.Contains(set.Connectors[0].Config, want) {
			t.Errorf("the password is not %q, error %v, fault %q", want, err, s.provider.Admin.FileFault())
		}
	}
	before := time.Now()
	s.reloader.look(t.Context())
	if events, err := s.store.AuditEvents(t.Context(), audit.SettingsLoaded, 10); err != nil || events[0].Time.Time().After(before) {
		t.Errorf("a file that has not changed was loaded again; error %v", err)
	}
}
