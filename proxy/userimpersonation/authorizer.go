package userimpersonation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/fairlead-auth/fairlead/proxy/authn"
	"github.com/fairlead-auth/fairlead/proxy/kubereview"
	"github.com/fairlead-auth/fairlead/proxy/status"
)

// AccessReviewer creates SubjectAccessReviews at the API server.
type AccessReviewer interface {
	ReviewAccess(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error)
}

const (
	// authorizeTimeout bounds all access reviews of one request.
	authorizeTimeout = 5 * time.Second
	// maxConcurrentReviews is the number of access reviews of a request that run at the same time.
	maxConcurrentReviews = 8
	// allowedTTL is how long an allowed check is cached. Denied checks are not cached.
	allowedTTL      = 5 * time.Second
	maxCacheEntries = 4096
)

// Authorizer checks with the API server whether a user may impersonate another one.
type Authorizer struct {
	AccessReviewer AccessReviewer
	Now            func() time.Time

	mu      sync.Mutex
	allowed map[string]time.Time
}

// Authorize refuses the request unless the API server allows all its checks to the identity.
func (v *Authorizer) Authorize(ctx context.Context, id *authn.Identity, w *Request) *status.Error {
	ctx, cancel := context.WithTimeout(ctx, authorizeTimeout)
	defer cancel()
	refusals := make([]*status.Error, len(w.Checks))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxConcurrentReviews)
	for i, q := range w.Checks {
		group.Go(func() error {
			if refusals[i] = v.authorizeCheck(ctx, id, q); refusals[i] != nil {
				return refusals[i]
			}
			return nil
		})
	}
	if group.Wait() == nil {
		return nil
	}
	// Prefers the first check that the API server denied to checks that failed.
	var failed *status.Error
	for _, refusal := range refusals {
		if refusal != nil && refusal.Verbatim != nil {
			return refusal
		}
		if refusal != nil && failed == nil {
			failed = refusal
		}
	}
	return failed
}

func (v *Authorizer) authorizeCheck(ctx context.Context, id *authn.Identity, q ResourceCheck) *status.Error {
	key := fmt.Sprintf("%q %q %q %q %q %q", id.Issuer, id.TokenID, id.User, id.UID, id.Groups, q)
	if v.isCached(key) {
		return nil
	}
	answer, err := v.AccessReviewer.ReviewAccess(ctx, reviewSpec(id, q))
	switch {
	case errors.Is(err, kubereview.ErrForbidden):
		return status.ImpersonationNotSetUp()
	case err != nil && errors.Is(err, context.Canceled):
		return status.RequestCancelled(err)
	case err != nil:
		return status.AccessReviewUnavailable(err)
	case !answer.Allowed || answer.Denied:
		return deniedError(id, q, answer.Reason)
	}
	v.store(key)
	return nil
}

// reviewSpec returns the access review for one check (k8s.io/api/authorization/v1).
func reviewSpec(id *authn.Identity, q ResourceCheck) authorizationv1.SubjectAccessReviewSpec {
	extra := map[string]authorizationv1.ExtraValue{}
	for _, e := range id.Extra {
		extra[e.Key] = append(extra[e.Key], e.Value)
	}
	return authorizationv1.SubjectAccessReviewSpec{
		User: id.User, UID: id.UID, Groups: append(append([]string{}, id.Groups...), authenticated), Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "impersonate", Group: q.Group, Resource: q.Resource, Subresource: q.Subresource, Namespace: q.Namespace, Name: q.Name,
		},
	}
}

// deniedError returns a refusal with the API server's own message
// (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters).
func deniedError(id *authn.Identity, q ResourceCheck, reason string) *status.Error {
	where, resource := "at the cluster scope", q.Resource
	if q.Namespace != "" {
		where = fmt.Sprintf("in the namespace %q", q.Namespace)
	}
	if q.Subresource != "" {
		resource += "/" + q.Subresource
	}
	text := fmt.Sprintf("User %q cannot impersonate resource %q in API group %q %s", id.User, resource, q.Group, where)
	if reason != "" {
		text += ": " + reason
	}
	return status.ImpersonationDenied(apierrors.NewForbidden(schema.GroupResource{Group: q.Group, Resource: q.Resource}, q.Name, errors.New(text)).Status())
}

func (v *Authorizer) isCached(key string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	until, there := v.allowed[key]
	return there && v.Now().Before(until)
}

func (v *Authorizer) store(key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.allowed == nil || len(v.allowed) >= maxCacheEntries {
		v.allowed = map[string]time.Time{} // a full cache is rare, so no entry has to be chosen
	}
	v.allowed[key] = v.Now().Add(allowedTTL)
}
