// Package actas is "kubectl --as": who somebody wants to act as, read from their
// headers, and whether the API server would let them. It asks the API server with
// exactly the questions that it would ask itself
// (k8s.io/apiserver/pkg/endpoints/filters/impersonation), and decides nothing.
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

// The groups that stand for everybody
// (k8s.io/apiserver/pkg/authentication/user).
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

// Question is one thing that the API server has to allow: the verb is always
// impersonate.
type ResourceCheck struct {
	Group, Resource, Subresource, Namespace, Name string
}

// Wish is who somebody wants to act as.
type Request struct {
	// Target is the identity to send; its groups are complete.
	Target *authn.Identity
	// Questions are what has to be allowed, each.
	Checks []ResourceCheck
}

// Wanted reports whether a request wants to act as somebody else.
func IsRequested(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "impersonate") {
			return true
		}
	}
	return false
}

// Read returns who a request wants to act as. What could be read in two ways is refused.
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
	w := &Request{Target: &authn.Identity{User: users[0]}}
	w.addUser(users[0])
	w.addGroups(h.Values(headerGroup))
	if len(uids) == 1 {
		w.Target.UID = uids[0]
		w.addCheck(ResourceCheck{Group: authenticationGroup, Resource: resourceUIDs, Name: uids[0]})
	}
	w.addExtras(h)
	if len(w.Checks) > maxChecks {
		return nil, status.InvalidImpersonation(fmt.Sprintf("it names more than %d users, groups and extra values to act as", maxChecks))
	}
	for _, q := range w.Checks {
		if q.Name == "" || len(q.Name) > maxName || q.Name != strings.TrimSpace(q.Name) || strings.ContainsFunc(q.Name, unicode.IsControl) {
			return nil, status.InvalidImpersonation("a name to act as is empty or too long, or has white space at an end or control characters")
		}
	}
	return w, nil
}

// known refuses headers that some server could take for others.
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

func (w *Request) addCheck(q ResourceCheck) { w.Checks = append(w.Checks, q) }

// user asks about a service account by its namespace, as the API server does.
func (w *Request) addUser(name string) {
	if namespace, account, found := splitServiceAccount(name); found {
		w.addCheck(ResourceCheck{Resource: resourceServiceAccts, Namespace: namespace, Name: account})
		return
	}
	w.addCheck(ResourceCheck{Resource: resourceUsers, Name: name})
}

// splitServiceAccount is k8s.io/apiserver/pkg/authentication/serviceaccount.SplitUsername.
func splitServiceAccount(name string) (namespace, account string, found bool) {
	rest, isOne := strings.CutPrefix(name, serviceAccountPrefix)
	parts := strings.Split(rest, ":")
	if !isOne || len(parts) != 2 || parts[0] == "" || parts[1] == "" || strings.Contains(rest, " ") {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// groups completes the groups as the API server does.
func (w *Request) addGroups(named []string) {
	for _, g := range named {
		w.addCheck(ResourceCheck{Resource: resourceGroups, Name: g})
	}
	w.Target.Groups = slices.Clone(named)
	if namespace, _, found := splitServiceAccount(w.Target.User); found && len(named) == 0 {
		w.Target.Groups = []string{serviceAccounts, serviceAccounts + ":" + namespace}
	}
	everybody := authenticated
	if w.Target.User == anonymous {
		everybody = unauthenticated
	}
	said := func(group string) bool { return slices.Contains(w.Target.Groups, group) }
	if !said(everybody) && !said(unauthenticated) {
		w.Target.Groups = append(w.Target.Groups, everybody)
	}
}

// extras are percent-decoded once, and their keys are lower case.
func (w *Request) addExtras(h http.Header) {
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
			w.addCheck(ResourceCheck{Group: authenticationGroup, Resource: resourceExtras, Subresource: key, Name: value})
			w.Target.Extra = append(w.Target.Extra, authn.Extra{Key: key, Value: value})
		}
	}
}
