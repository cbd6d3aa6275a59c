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

// Asker asks the API server for one review.
type AccessReviewer interface {
	ReviewAccess(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (authorizationv1.SubjectAccessReviewStatus, error)
}

const (
	// budget bounds all the questions of one request.
	authorizeTimeout = 5 * time.Second
	// atOnce is how many questions of a request are asked at the same time.
	maxConcurrentReviews = 8
	// keep is how long a yes is good; a no is asked again.
	allowedTTL      = 5 * time.Second
	maxCacheEntries = 4096
)

// Reviewer asks the API server whether somebody may act as somebody else.
type Authorizer struct {
	AccessReviewer AccessReviewer
	Now            func() time.Time

	mu      sync.Mutex
	allowed map[string]time.Time
}

// Allow refuses unless the API server allows each of the questions to this very
// identity.
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
	// The first in order that is a no, as the API server says it; else what failed.
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
		return denied(id, q, answer.Reason)
	}
	v.store(key)
	return nil
}

// question is the one for one resource (k8s.io/api/authorization/v1).
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

// denied says no in the API server's own words
// (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters).
func denied(id *authn.Identity, q ResourceCheck, reason string) *status.Error {
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
		v.allowed = map[string]time.Time{} // all at once: rare, and simple
	}
	v.allowed[key] = v.Now().Add(allowedTTL)
}
