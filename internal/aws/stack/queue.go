package stack

// A queue is what events wait in for a function that takes them in batches, at most two at once. It is
// what queues.yaml sees.
//
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
type queue struct {
	ID, Function string
	Rules        []string // that send to it, by logical id
	Batch        int      // messages that a call gets at most
	Visibility   int      // seconds: six times the function's timeout, as AWS advises
	Receives     int      // after so many a message is a dead letter
}

// Timeouts of functions that are called by a queue, in seconds.
const (
	ledgerTimeout  = 30
	sweepTimeout   = 55 // the next one comes after a minute
	releaseTimeout = 60
)

// ledgerMemory is the memory, in MiB, of each function that works on the ledger, and so its share of a processor: at
// 256 MiB a try with a thousand open jobs takes 69 ms, at a whole processor 10. A whole one is at 1,769.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
const ledgerMemory = 1024

// queues are those of a stack.
func queues(s Settings) []queue {
	images := []string{"BuildsRule", "ImageNewsRule"}
	if s.Source == "codecommit" {
		images = append(images, "PushesRule")
	}
	return []queue{
		{
			ID: "Ledger", Function: "Ledger", Rules: []string{"JobsRule", "TasksRule"},
			Batch: 100, Visibility: 6 * ledgerTimeout, Receives: 5,
		},
		{
			// What is asked here takes a call of GitHub's API each. The ledger asks again for what failed.
			ID: "Effects", Function: "Sweep", Rules: []string{"EffectsRule"},
			Batch: 10, Visibility: 6 * sweepTimeout, Receives: 3,
		},
		{
			// Of a faulty image there is an event for each runner that it fails.
			ID: "Images", Function: "Release", Rules: images,
			Batch: 10, Visibility: 6 * releaseTimeout, Receives: 3,
		},
	}
}
