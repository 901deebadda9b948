//go:build !race

package simulation

// few is how many days TestSimulation plays.
const few = 30
