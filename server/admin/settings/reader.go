package settings

import (
	"crypto/x509"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/fairlead-auth/fairlead/connectors"
	"github.com/fairlead-auth/fairlead/internal/strictyaml"
	"github.com/fairlead-auth/fairlead/server/base/store"
)

// Reader checks entries and turns them into rows.
type Reader struct {
	// Doc is what the entries were read from. Faults are added to it.
	Doc *strictyaml.Document
	// Types are the kinds of connector by name.
	Types map[string]connectors.Type
	// URL is this server's address.
	URL string
	// Resolve returns what a reference of a file stands for. Nil means that texts
	// are what they are: a page must not read the server's files.
	Resolve func(text string) (string, error)
	// Origin says where the entry at a path comes from.
	Origin func(path string) store.Origin

	in *Entries
}

// Rows checks everything and returns the rows. The error lists every fault; rows
// with a fault must not be used.
func (r *Reader) Rows(in *Entries) (store.Settings, error) {
	r.in = in
	set := store.Settings{Connectors: r.connectorRows(), LocalUsers: r.localUserRows(), Clusters: r.clusterRows()}
	set.Rules = append(r.ruleRows(set), r.adminRows()...)
	set.Clients = r.clientRows(set)
	set.Issuers = r.issuerRows()
	set.Workloads = r.workloadRows()
	set.Documents = r.generalRows()
	return set, r.Doc.Err()
}

// resolve returns what a text stands for. One fault is enough: what a broken
// reference says is not what it stands for, so it becomes empty.
func (r *Reader) resolve(path, text string) string {
	if r.Resolve == nil {
		return text
	}
	resolved, err := r.Resolve(text)
	if err != nil {
		r.Doc.Add(path, "%v", err)
		return ""
	}
	return resolved
}

// refuseInClear adds a fault for a secret that is in a file.
func (r *Reader) refuseInClear(path, text string) {
	if r.Resolve != nil && text != "" && !IsReference(text) {
		r.Doc.Add(path, "must not stand in this file, because it is a secret. Use env:NAME or file:PATH")
	}
}

// IsReference reports whether text says where a secret is.
func IsReference(text string) bool {
	return strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:")
}

var slug = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Slug reports whether text can be an id: lower-case letters, digits and dashes,
// at most 63.
func Slug(text string) bool { return slug.MatchString(text) }

// ids adds a fault for every id that is no slug or there twice.
type ids struct {
	r    *Reader
	seen map[string]bool
}

func (s *ids) check(path, id string) {
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	switch {
	case !slug.MatchString(id):
		s.r.Doc.Add(path, "must have 1 to 63 lower-case letters, digits and dashes, and start and end with a letter or digit, not %q", id)
	case s.seen[id]:
		s.r.Doc.Add(path, "must be unique: %q is already in use", id)
	}
	s.seen[id] = true
}

func (r *Reader) checkAlgorithm(path, name string) {
	switch name {
	case "", "RS256", "ES256":
	case "EdDSA":
		r.Doc.Add(path, "must be RS256 or ES256: no Kubernetes API server accepts EdDSA")
	default:
		r.Doc.Add(path, "must be RS256 or ES256, not %q", name)
	}
}

func (r *Reader) checkPEM(path string, text string) {
	if text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		r.Doc.Add(path, "must be a certificate in PEM format")
	}
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
