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

// Policy says which requests are audited, and at which level.
type Policy = audit.PolicyRuleEvaluator

// ReadPolicy reads a policy file of audit.k8s.io/v1.
func ReadPolicy(file string) (Policy, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading audit policy: %w", err)
	}
	return ParsePolicy(text)
}

// ParsePolicy parses a policy. It rejects everything that an API server would ignore with a warning,
// and the levels that the proxy does not support, because an unnoticed gap in the log is worse.
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
		return errors.New("the proxy does not support the level RequestResponse, because it does not keep responses. Use Request, and the API server's own audit log for responses")
	case auditinternal.LevelRequest:
		return checkRequestRule(rule)
	}
	return nil
}

// checkRequestRule requires that a rule of level Request names its resources. Otherwise the log would
// contain every Secret.
func checkRequestRule(rule auditinternal.PolicyRule) error {
	if len(rule.Resources) == 0 {
		return errors.New("a rule of level Request must name its resources. Add resources")
	}
	for _, group := range rule.Resources {
		if len(group.Resources) == 0 || group.Group == "*" {
			return errors.New("a rule of level Request must name a group and its resources. Add both")
		}
		if slices.Contains(group.Resources, "*") {
			return errors.New(`a rule of level Request must name its resources. Replace "*" by names`)
		}
	}
	return nil
}

// MetadataPolicy returns the default policy: the metadata of all requests, without bodies.
func MetadataPolicy() Policy {
	return policy.NewPolicyRuleEvaluator(&auditinternal.Policy{Rules: []auditinternal.PolicyRule{{Level: auditinternal.LevelMetadata}}})
}
