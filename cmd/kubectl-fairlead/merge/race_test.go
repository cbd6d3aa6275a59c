//go:build race

package merge_test

// files is smaller with the race detector, which is slow.
const files = 500
