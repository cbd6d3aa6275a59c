// Package leastprivilege finds permissions of the proxy's own credential that the proxy does not need.
// An attacker who breaks into the proxy could use them.
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

// ExcessPermissions returns the permissions of a client-go configuration's credential that the proxy
// never uses, such as `get secrets in ""`. It uses a SelfSubjectRulesReview of authorization.k8s.io/v1,
// which sees cluster-wide permissions and those in the namespace default.
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
		return nil, fmt.Errorf("reviewing the proxy's own permissions: %w", err)
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
			// Every user may read the discovery paths (system:discovery, system:public-info-viewer).
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

// isNeeded reports whether the proxy uses the permission, or every user has it. "kubectl --as" needs
// the old form of impersonation for all kinds of identities.
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
		// The proxy needs subjectaccessreviews and tokenreviews. The others are in system:basic-user.
		return all([]string{"authorization.k8s.io"}, "subjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews") || all([]string{"authentication.k8s.io"}, "tokenreviews", "selfsubjectreviews")
	}
	return false
}
