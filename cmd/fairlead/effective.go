package main

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// effective renders the settings of the process, without secrets and without those that are not set.
func (c *config) effective() (string, error) {
	var root yaml.Node
	if err := root.Encode(c.process()); err != nil {
		return "", err
	}
	removeUnset(&root)
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := errors.Join(encoder.Encode(&root), encoder.Close())
	return text.String(), err
}

// removeUnset removes the keys of a mapping that hold the zero value, at every depth.
func removeUnset(mapping *yaml.Node) {
	pairs := slices.Collect(slices.Chunk(mapping.Content, 2))
	pairs = slices.DeleteFunc(pairs, func(pair []*yaml.Node) bool {
		value := pair[1]
		if value.Kind == yaml.MappingNode {
			removeUnset(value)
		}
		return isUnset(value)
	})
	mapping.Content = slices.Concat(pairs...)
}

func isUnset(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return slices.Contains([]string{"", "0", "0s", "false", "null"}, n.Value)
	}
	return len(n.Content) == 0
}
