//go:build !race

package merge_test

// files is the number of random kubeconfigs.
const files = 10_000
