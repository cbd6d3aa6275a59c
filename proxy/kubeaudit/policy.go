package kubeaudit

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
)

// Policy says what is kept of which request.
type Policy = audit.PolicyRuleEvaluator

// ReadPolicy reads a policy file of audit.k8s.io/v1.
func ReadPolicy(file string) (Policy, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading audit policy: %w", err)
	}
	return ParsePolicy(text)
}

// ParsePolicy reads a policy. What an API server would skip with a warning, or do and the
// proxy does not, is an error: an account with gaps that nobody knows of is worse than none.
func ParsePolicy(text []byte) (Policy, error) {
	strict := serializer.NewCodecFactory(audit.Scheme, serializer.EnableStrict).UniversalDecoder()
	if _, _, err := strict.Decode(text, nil, &auditinternal.Policy{}); err != nil {
		return nil, fmt.Errorf("reading audit policy: %w", err)
	}
	p, err := policy.LoadPolicyFromBytes(text)
	if err != nil {
		return nil, fmt.Errorf("reading audit policy: %w", err)
	}
	for i, rule := range p.Rules {
		if err := checkRule(rule); err != nil {
			return nil, fmt.Errorf("reading audit policy: rule %d: %w", i+1, err)
		}
	}
	return policy.NewPolicyRuleEvaluator(p), nil
}

func checkRule(rule auditinternal.PolicyRule) error {
	switch rule.Level {
	case auditinternal.LevelNone, auditinternal.LevelMetadata:
	case auditinternal.LevelRequestResponse:
		return errors.New("level RequestResponse is not possible here: the proxy keeps no answers. Use Request, and the API server's own log for answers")
	case auditinternal.LevelRequest:
		return checkRequestRule(rule)
	}
	return nil
}

// checkNamed wants the resources of a rule of level Request by name: all bodies of
// everything would hold every Secret.
func checkRequestRule(rule auditinternal.PolicyRule) error {
	if len(rule.Resources) == 0 {
		return errors.New("level Request needs resources, each by its name")
	}
	for _, group := range rule.Resources {
		if len(group.Resources) == 0 || group.Group == "*" {
			return errors.New("level Request needs a group and resources by name")
		}
		if slices.Contains(group.Resources, "*") {
			return errors.New(`level Request needs resources by name, not "*"`)
		}
	}
	return nil
}

// Everything is the policy where there is no file: who did what, and no bodies.
func MetadataPolicy() Policy {
	return policy.NewPolicyRuleEvaluator(&auditinternal.Policy{Rules: []auditinternal.PolicyRule{{Level: auditinternal.LevelMetadata}}})
}
