//go:build race

package simulation

// few is how many jobs a test has.
const few = 16
