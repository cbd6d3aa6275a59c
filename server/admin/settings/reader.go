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

// Reader validates entries and converts them to rows.
type Reader struct {
	// Doc is the document of the entries. Faults are added to it.
	Doc *strictyaml.Document
	// Types are the connector types by name.
	Types map[string]connectors.Type
	// URL is the external address of this server.
	URL string
	// Resolve returns the value of a reference in a configuration file. Nil takes texts literally: a page must not
	// read files of the server.
	Resolve func(text string) (string, error)
	// Origin returns the owner of the entry at a path.
	Origin func(path string) store.Origin

	in *Entries
}

// Rows validates all entries and returns the rows. The error lists every fault. The caller must not use the rows if
// there is an error.
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

// resolve returns the value of a text. A broken reference becomes empty, so that it causes one fault only.
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

// refuseInClear adds a fault for a secret that the configuration file contains literally.
func (r *Reader) refuseInClear(path, text string) {
	if r.Resolve != nil && text != "" && !IsReference(text) {
		r.Doc.Add(path, "must not stand in this file, because it is a secret. Use env:NAME or file:PATH")
	}
}

// IsReference reports whether text is a reference to a secret.
func IsReference(text string) bool {
	return strings.HasPrefix(text, "env:") || strings.HasPrefix(text, "file:")
}

var slug = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Slug reports whether text is a valid id: lower-case letters, digits and dashes, at most 63.
func Slug(text string) bool { return slug.MatchString(text) }

// ids adds a fault for every id that is invalid or not unique.
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
