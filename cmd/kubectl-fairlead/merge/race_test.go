//go:build race

package merge_test

// files are fewer with the race detector: all of them run without it.
const files = 500
