package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
	"github.com/fairlead-auth/fairlead/internal/suggest"
)

// selectClusters returns the clusters that match a selector.
func selectClusters(clusters []apitypes.Cluster, selector string) ([]apitypes.Cluster, error) {
	matches, err := parseSelector(selector)
	if err != nil {
		return nil, usageError{err}
	}
	selected := slices.DeleteFunc(slices.Clone(clusters), func(c apitypes.Cluster) bool { return !matches(c) })
	if len(selected) > 0 {
		return selected, nil
	}
	names := []string{"all"}
	for _, c := range clusters {
		names = append(names, c.ID, c.Context)
	}
	return nil, usageError{fmt.Errorf("the selector %q matches none of your clusters.%s\n%s", selector, didYouMean(suggest.Closest(selector, names)), yourClusters(clusters))}
}

// parseSelector parses "all", a list of names and patterns, or a label selector.
func parseSelector(selector string) (func(c apitypes.Cluster) bool, error) {
	if selector == "all" {
		return func(apitypes.Cluster) bool { return true }, nil
	}
	if strings.ContainsAny(selector, "=!()") {
		parsed, err := labels.Parse(selector)
		if err != nil {
			return nil, fmt.Errorf("the label selector %q is not valid: %w. Use a selector such as environment=prod", selector, err)
		}
		return func(c apitypes.Cluster) bool {
			set := labels.Set{"environment": c.Environment, "id": c.ID}
			maps.Copy(set, c.Labels)
			return parsed.Matches(set)
		}, nil
	}
	patterns := strings.Split(selector, ",")
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("the pattern %q is not valid: %w. Use a pattern such as prod-*", p, err)
		}
	}
	return func(c apitypes.Cluster) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			matchesID, _ := path.Match(p, c.ID) // the patterns are valid
			matchesContext, _ := path.Match(p, c.Context)
			return matchesID || matchesContext
		})
	}, nil
}
