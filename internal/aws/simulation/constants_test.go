package simulation

import "time"

// AWS's and GitHub's figures. Those marked [A] are assumptions: AWS publishes none, and these are what its users
// commonly measure in one region.

// A span is how long something takes: mostly near from, seldom near to.
type span struct{ from, to time.Duration }

const ms = time.Millisecond

// Lambda.
const (
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (new accounts begin with less)
	accountConcurrency = 1000
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html: memory in MB with one whole vCPU
	memoryOfCPU = 1769
	// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html: two more tries, after one and two
	// minutes; what is throttled comes again after one second to five minutes, for six hours
	asyncRetries       = 2
	asyncErrorPause    = time.Minute
	throttleFirstPause = time.Second
	throttleMaxPause   = 5 * time.Minute
	asyncMaxAge        = 6 * time.Hour
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: five batches at once at first, 300 more each
	// minute, 1,000 at most
	firstPollers = 5
	morePollers  = 300
	mostPollers  = 1000
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html and
	// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html: a batch may have 6 MB; with a window the queue is waited for
	batchBytes = 6 << 20
	// [A] how long an environment waits for its next call before it ends
	environmentIdle = 10 * time.Minute
)

var (
	coldStart  = span{120 * ms, 400 * ms} // [A] of a Go program on provided.al2023, without what it calls itself; see cmd/mayfly-bench lambda
	invocation = span{2 * ms, 15 * ms}    // [A] what a call costs beside the function's own time
)

// What the functions' code takes of a whole vCPU: measured here, see docs/aws.md.
const (
	cpuCall    = 250 * time.Microsecond // one call of AWS: signed, sent, read
	cpuKB      = 15 * time.Microsecond  // each KB of it and of its answer
	cpuRowKept = 250 * time.Nanosecond  // each open row, at each try to commit
	cpuRowRead = 4750 * time.Nanosecond // each open row, when others wrote since: the state is made anew
)

// EventBridge.
const (
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html: by default 24 h and 185 times
	defaultRetryAge = 24 * time.Hour
	defaultRetries  = 185
	retryFirstPause = time.Second // [A] "exponential back-off and jitter"
	retryMaxPause   = time.Minute // [A]
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html: a target may be called more than
	// once for one event; how often, nobody says. [A]: one in a hundred
	bridgeDoubled = 0.01
)

var (
	putEvents      = span{8 * ms, 60 * ms}   // [A]
	bridgeDelivery = span{40 * ms, 500 * ms} // https://aws.amazon.com/blogs/compute/introducing-amazon-eventbridge-latency… : p99 129 to 500 ms by region
)

// SQS.
const (
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
	receiveMost = 10
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues-at-least-once-delivery.html:
	// "on rare occasions" a message comes again that was deleted. [A]: one in a thousand
	queueDoubled = 0.001
)

var queueCall = span{5 * ms, 30 * ms} // [A]

// DynamoDB.
const (
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
	partitionWrites = 1000
	partitionReads  = 3000
	// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
	pageBytes = 1 << 20
)

var (
	readItem  = span{2 * ms, 12 * ms}  // [A] "single-digit milliseconds", mostly
	readPage  = span{4 * ms, 25 * ms}  // [A]
	writeItem = span{4 * ms, 20 * ms}  // [A]
	transact  = span{12 * ms, 60 * ms} // [A] two phases
)

// ECS and EC2.
const (
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/request-throttling.html: cluster and task actions
	runTaskRate, runTaskBurst   = 40, 100
	describeRate, describeBurst = 20, 100
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html: tasks in PROVISIONING, of a cluster
	provisioningMost = 500
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-auto-scaling.html: looked at once a minute,
	// and hosts that ran no task go after 15 looks
	scalingEvery = time.Minute
	scaleInAfter = 15
	// [A] https://aws.amazon.com/blogs/containers/deep-dive-on-amazon-ecs-cluster-auto-scaling/: from none the first step is two
	firstHosts = 2
	// [A] what the kernel and the firmware keep of a host's memory, in percent; ECS registers the rest
	hostKeeps = 4
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
	spotNotice = 2 * time.Minute
)

var (
	provisioningWait = span{10 * time.Minute, 30 * time.Minute}  // https://github.com/aws/containers-roadmap/issues/2381
	hostBoot         = span{45 * time.Second, 100 * time.Second} // [A] launch, boot, agent registers
	imagePull        = span{20 * time.Second, 45 * time.Second}  // [A] the first task on a host
	containerStart   = span{1 * time.Second, 4 * time.Second}    // [A]
	taskNews         = span{200 * ms, 2 * time.Second}           // [A] a task's state to the event of it
	ecsCall          = span{20 * ms, 120 * ms}                   // [A]
)

// Types of hosts.
// https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html, https://aws.amazon.com/ec2/pricing/on-demand/ (us-east-1, June 2026)
var instanceTypes = map[string]struct {
	cpus   int
	memory int // MiB
	hourly float64
}{
	"m7i.large": {2, 8192, 0.1008}, "m7a.large": {2, 8192, 0.11592}, "m6i.large": {2, 8192, 0.096},
	"m7g.large": {2, 8192, 0.0816}, "m6g.large": {2, 8192, 0.077},
}

// GitHub.
const (
	// https://docs.github.com/en/actions/reference/limits: registrations of runners at one repository or organization
	registrationsMost  = 1500
	registrationsEvery = 5 * time.Minute
	// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: an installation in GitHub Enterprise Cloud;
	// points a minute, of which a GET is one and all else five; requests at once
	hourlyCalls   = 15_000
	minutePoints  = 900
	pointsOfWrite = 5
	callsAtOnce   = 100
	retryAfter    = time.Minute // [A] GitHub says it in Retry-After
	// https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks: an answer is waited for so long
	deliveryWait = 10 * time.Second
)

var (
	githubCall   = span{80 * ms, 500 * ms}                // [A]
	deliverySent = span{300 * ms, 3 * time.Second}        // [A]
	jobMatched   = span{100 * ms, 2 * time.Second}        // [A] an idle runner's job, to its message
	runnerStart  = span{2 * time.Second, 5 * time.Second} // actions/runner starts, makes its session and listens, seen in canaries
)

// How often a call of AWS fails for nobody's fault before it is carried out, and how often its answer is lost after.
const (
	fairWeather = 0.0001 // [A] AWS's service level agreements allow up to one in ten thousand
	badWeather  = 0.01   // [A] of a bad day
	lostOnIt    = 0.05   // [A] deliveries that do not arrive then
)
