// Package rights looks at what the proxy's own credential may do at the API server, and
// names what is more than it needs: whoever breaks into the proxy could do it.
package leastprivilege

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/fairlead-auth/fairlead/proxy/kubereview"
)

// Excess asks what the credential of a client-go configuration may do (SelfSubjectRulesReview
// of authorization.k8s.io/v1) and returns what of it the proxy never does, each in a few
// words. It sees what is granted everywhere and in the namespace default.
func ExcessPermissions(ctx context.Context, cfg *rest.Config) ([]string, error) {
	client, err := kubereview.New(cfg)
	if err != nil {
		return nil, err
	}
	question := authorizationv1.SelfSubjectRulesReview{
		TypeMeta: metav1.TypeMeta{Kind: "SelfSubjectRulesReview", APIVersion: authorizationv1.SchemeGroupVersion.String()},
		Spec:     authorizationv1.SelfSubjectRulesReviewSpec{Namespace: metav1.NamespaceDefault},
	}
	var answer authorizationv1.SelfSubjectRulesReview
	if err := client.Create(ctx, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", question, &answer); err != nil {
		return nil, fmt.Errorf("asking for own rights: %w", err)
	}
	return excessPermissions(answer.Status), nil
}

func excessPermissions(s authorizationv1.SubjectRulesReviewStatus) []string {
	var found []string
	for _, rule := range s.ResourceRules {
		for _, verb := range rule.Verbs {
			if !isNeeded(verb, rule) {
				found = append(found, strings.TrimSpace(fmt.Sprintf("%s %s in %q", verb, strings.Join(rule.Resources, ", "), strings.Join(rule.APIGroups, ", "))))
			}
		}
	}
	for _, rule := range s.NonResourceRules {
		for _, verb := range rule.Verbs {
			// Everybody may read what there is at all (system:discovery, system:public-info-viewer).
			if verb != "get" && verb != "head" && !isConstrainedImpersonation(verb) {
				found = append(found, verb+" "+strings.Join(rule.NonResourceURLs, ", "))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func isConstrainedImpersonation(verb string) bool {
	return strings.HasPrefix(verb, "impersonate-on:user-info:")
}

// isNeeded reports whether the proxy does it, or everybody may. To speak for others of every
// kind in the old form is what kubectl --as needs.
func isNeeded(verb string, rule authorizationv1.ResourceRule) bool {
	all := func(groups []string, resources ...string) bool {
		return !slices.ContainsFunc(rule.APIGroups, func(g string) bool { return !slices.Contains(groups, g) }) &&
			!slices.ContainsFunc(rule.Resources, func(r string) bool { return !slices.Contains(resources, r) && !slices.Contains(resources, "*") })
	}
	switch {
	case isConstrainedImpersonation(verb):
		return true
	case verb == "impersonate", verb == "impersonate:user-info":
		return all([]string{"", "authentication.k8s.io"}, "*") && !slices.Contains(rule.APIGroups, "*")
	case verb == "create":
		// The first two of the proxy, the others of everybody (system:basic-user).
		return all([]string{"authorization.k8s.io"}, "subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews") || all([]string{"authentication.k8s.io"}, "tokenreviews", "selfsubjectreviews")
	}
	return false
}
