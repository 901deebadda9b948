package stack

// A queue holds events for a function that processes them in batches, at most two batches at once. It is
// the data of queues.yaml.
//
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
type queue struct {
	ID, Function string
	Rules        []string // logical ids of the rules that send to it
	Batch        int      // most messages in a call
	Visibility   int      // in seconds: six times the function's timeout, as AWS advises
	Receives     int      // how often a message is received before it becomes a dead letter
}

// Timeouts of functions with a queue, in seconds.
const (
	ledgerTimeout  = 30
	sweepTimeout   = 55 // the next one comes after a minute
	releaseTimeout = 60
)

// ledgerMemory is the memory, in MiB, of each function that works on the ledger. Lambda assigns processors in
// proportion to it, a whole one at 1,769 MiB. With a thousand open jobs a transaction takes 69 ms at 256 MiB, and
// 10 ms with a whole processor.
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
			// Small batches, because each message costs a call of GitHub's API. The ledger repeats a failed request.
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
