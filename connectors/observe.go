package connectors

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/fairlead-auth/fairlead/internal/kubenames"
)

// observation holds what an upstream said about a user during one call.
type observation struct {
	mu         sync.Mutex
	attributes map[string][]string
}

type observationKey struct{}

// Observe returns a context that keeps what connectors report about the user. A test sign-in shows it, also if the
// sign-in fails.
func Observe(ctx context.Context) context.Context {
	return context.WithValue(ctx, observationKey{}, &observation{attributes: map[string][]string{}})
}

// Report keeps the user's attributes at the upstream, if the context observes. Text is cut, and values that may be
// secrets are masked.
func Report(ctx context.Context, attributes map[string][]string) {
	o, observed := ctx.Value(observationKey{}).(*observation)
	if !observed {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if len(o.attributes) < maxAttributes {
			o.attributes[kubenames.SanitizeLine(name, kubenames.MaxLength)] = shown(name, attributes[name])
		}
	}
}

// Observed returns what was reported, or nil.
func Observed(ctx context.Context) map[string][]string {
	o, observed := ctx.Value(observationKey{}).(*observation)
	if !observed {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.attributes)
}

// maxAttributes and maxValues bound what is kept.
const maxAttributes, maxValues = 100, 50

// shown returns the values that a page may show.
func shown(name string, values []string) []string {
	if secret(name) {
		return []string{"(masked)"}
	}
	list := make([]string, 0, min(len(values), maxValues))
	for _, v := range values[:min(len(values), maxValues)] {
		list = append(list, kubenames.SanitizeLine(v, maxDescription))
	}
	return list
}

// secret reports whether an attribute of this name may hold a secret.
func secret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"token", "secret", "password", "nonce", "hash", "private"}, func(part string) bool { return strings.Contains(name, part) })
}
