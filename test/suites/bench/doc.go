// Package bench measures what the provider costs, as ratios in one run: to the
// bare signature, and to Dex's server, embedded as a library, on the same
// machine at the same time. "make bench" runs it and writes docs/performance.md.
//
// Each server is a process of its own, so that its CPU time is its own and not
// that of the load.
package bench
