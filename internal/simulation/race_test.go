//go:build race

package simulation

// few is how many days TestSimulation plays: the race detector makes each ten times as long.
const few = 4
