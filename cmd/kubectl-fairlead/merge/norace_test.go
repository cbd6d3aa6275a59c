//go:build !race

package merge_test

// files is how many kubeconfigs are changed.
const files = 10_000
