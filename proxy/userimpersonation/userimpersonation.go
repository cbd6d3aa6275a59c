// Package userimpersonation implements "kubectl --as". It parses the client's Impersonate-* headers, and
// checks with the same access reviews as an API server whether the client may impersonate that user
// (k8s.io/apiserver/pkg/endpoints/filters/impersonation).
package userimpersonation

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// The well-known users and groups (k8s.io/apiserver/pkg/authentication/user).
const (
	authenticated   = "system:authenticated"
	unauthenticated = "system:unauthenticated"
	anonymous       = "system:anonymous"

	serviceAccounts       = "system:serviceaccounts"
	serviceAccountPrefix  = "system:serviceaccount:"
	authenticationGroup   = "authentication.k8s.io"
	extraHeader           = "Impersonate-Extra-"
	maxChecks             = 64
	maxName               = 1024
	resourceUsers         = "users"
	resourceGroups        = "groups"
	resourceUIDs          = "uids"
	resourceExtras        = "userextras"
	resourceServiceAccts  = "serviceaccounts"
	headerUser, headerUID = "Impersonate-User", "Impersonate-Uid"
	headerGroup           = "Impersonate-Group"
)

// ResourceCheck is one resource that the client must be allowed to impersonate.
type ResourceCheck struct {
	Group, Resource, Subresource, Namespace, Name string
}

// Request is an impersonation that a client requests.
type Request struct {
	// Target is the identity to impersonate, with complete groups.
	Target *authn.Identity
	// Checks must all be allowed.
	Checks []ResourceCheck
}

// IsRequested reports whether a request has impersonation headers.
func IsRequested(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "impersonate") {
			return true
		}
	}
	return false
}

// ParseHeaders returns the impersonation that a request asks for. It refuses ambiguous headers.
func ParseHeaders(h http.Header) (*Request, *status.Error) {
	if err := checkHeaderNames(h); err != nil {
		return nil, err
	}
	users := h.Values(headerUser)
	if len(users) != 1 {
		return nil, status.InvalidImpersonation("it does not name exactly one user to act as")
	}
	uids := h.Values(headerUID)
	if len(uids) > 1 {
		return nil, status.InvalidImpersonation("it names more than one UID to act as")
	}
	r := &Request{Target: &authn.Identity{User: users[0]}}
	r.addUser(users[0])
	r.addGroups(h.Values(headerGroup))
	if len(uids) == 1 {
		r.Target.UID = uids[0]
		r.addCheck(ResourceCheck{Group: authenticationGroup, Resource: resourceUIDs, Name: uids[0]})
	}
	r.addExtras(h)
	if len(r.Checks) > maxChecks {
		return nil, status.InvalidImpersonation(fmt.Sprintf("it names more than %d users, groups and extra values to act as", maxChecks))
	}
	for _, q := range r.Checks {
		if q.Name == "" || len(q.Name) > maxName || q.Name != strings.TrimSpace(q.Name) || strings.ContainsFunc(q.Name, unicode.IsControl) {
			return nil, status.InvalidImpersonation("a name to act as is empty or too long, or has white space at an end or control characters")
		}
	}
	return r, nil
}

// checkHeaderNames refuses headers that a server could take for other headers.
func checkHeaderNames(h http.Header) *status.Error {
	for name := range h {
		folded := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if !strings.HasPrefix(folded, "impersonate") {
			continue
		}
		exact := slices.Contains([]string{headerUser, headerUID, headerGroup}, name) || strings.HasPrefix(name, extraHeader) && len(name) > len(extraHeader)
		if !exact || strings.Contains(name, "_") && !strings.HasPrefix(name, extraHeader) {
			return status.InvalidImpersonation(fmt.Sprintf("%q is not an impersonation header", name))
		}
	}
	return nil
}

func (r *Request) addCheck(q ResourceCheck) { r.Checks = append(r.Checks, q) }

// addUser checks a service account by its namespace and name, as an API server does.
func (r *Request) addUser(name string) {
	if namespace, account, found := splitServiceAccount(name); found {
		r.addCheck(ResourceCheck{Resource: resourceServiceAccts, Namespace: namespace, Name: account})
		return
	}
	r.addCheck(ResourceCheck{Resource: resourceUsers, Name: name})
}

// splitServiceAccount is the same as k8s.io/apiserver/pkg/authentication/serviceaccount.SplitUsername.
func splitServiceAccount(name string) (namespace, account string, found bool) {
	rest, isOne := strings.CutPrefix(name, serviceAccountPrefix)
	parts := strings.Split(rest, ":")
	if !isOne || len(parts) != 2 || parts[0] == "" || parts[1] == "" || strings.Contains(rest, " ") {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// addGroups completes the groups as an API server does.
func (r *Request) addGroups(groups []string) {
	for _, g := range groups {
		r.addCheck(ResourceCheck{Resource: resourceGroups, Name: g})
	}
	r.Target.Groups = slices.Clone(groups)
	if namespace, _, found := splitServiceAccount(r.Target.User); found && len(groups) == 0 {
		r.Target.Groups = []string{serviceAccounts, serviceAccounts + ":" + namespace}
	}
	group := authenticated
	if r.Target.User == anonymous {
		group = unauthenticated
	}
	has := func(name string) bool { return slices.Contains(r.Target.Groups, name) }
	if !has(group) && !has(unauthenticated) {
		r.Target.Groups = append(r.Target.Groups, group)
	}
}

// addExtras decodes the keys once, in lower case, as an API server does.
func (r *Request) addExtras(h http.Header) {
	var names []string
	for name := range h {
		if strings.HasPrefix(name, extraHeader) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		key := strings.ToLower(name[len(extraHeader):])
		if plain, err := url.PathUnescape(key); err == nil {
			key = plain
		}
		for _, value := range h[name] {
			r.addCheck(ResourceCheck{Group: authenticationGroup, Resource: resourceExtras, Subresource: key, Name: value})
			r.Target.Extra = append(r.Target.Extra, authn.Extra{Key: key, Value: value})
		}
	}
}
