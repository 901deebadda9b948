package contract

// The handlers: what MAYFLY_HANDLER may say.
const (
	HandlerWebhook = "webhook" // deliveries → bus
	HandlerClaim   = "claim"   // a task's identity → JIT configuration
	HandlerLedger  = "ledger"  // jobs' events and tasks' states → ledger
	HandlerSweep   = "sweep"   // every minute: what was missed
	HandlerRelease = "release" // every hour: new versions of the runner
)

// Queues are the stack's queues, by what follows the stack's name in theirs.
var Queues = []string{"dead-letters", "quarantine", "ledger", "effects", "images"}

// The environment of a function. Each has only what it uses.
const (
	EnvHandler       = "MAYFLY_HANDLER"
	EnvStack         = "MAYFLY_STACK"          // name of the stack
	EnvBus           = "MAYFLY_BUS"            // name of the event bus
	EnvTable         = "MAYFLY_TABLE"          // name of the ledger's table
	EnvCluster       = "MAYFLY_CLUSTER"        // name of the ECS cluster
	EnvWebhookSecret = "MAYFLY_WEBHOOK_SECRET" // ARN; its value is the secret, as text
	EnvAppSecret     = "MAYFLY_APP_SECRET"     // ARN; its value is the App's key (PEM), or a token
	EnvDeadLetters   = "MAYFLY_DEAD_LETTERS"   // URL of the queue
	EnvProjects      = "MAYFLY_PROJECTS"       // names of the CodeBuild projects: amd64=NAME,arm64=NAME, of the architectures there are
	EnvSource        = "MAYFLY_SOURCE"         // name of the CodeCommit repository of the image's source; absent where that is a zip
	EnvRepository    = "MAYFLY_REPOSITORY"     // URI of the ECR repository
	EnvHookURL       = "MAYFLY_HOOK_URL"       // the webhook's Function URL
	EnvTaskRoles     = "MAYFLY_TASK_ROLES"     // unique ids (AROA…) of the roles that may claim, joined by commas
)

// EnvRunner is the environment of a task: the name of the runner that it was started for. The rule
// gives it as an override, so that ecs:DescribeTasks and the events of the task's state tell it,
// too. It is no proof of anything.
const EnvRunner = "MAYFLY_RUNNER"

// A task's container and its first process.
const (
	ContainerName = "runner"
	AgentPath     = "/opt/mayfly/mayfly-agent"
)

// Detail types of events between the functions, whose source is "mayfly".
const (
	TypeVersionRefused  = "Runner Version Refused" // ledger → release: GitHub no longer takes a runner's version
	TypeStartFailed     = "Runner Start Failed"    // ledger → release: a runner did not come to listen, and its image may be to blame
	TypeRunnerReported  = "Runner Reported"        // claim → ledger: a runner listens, has a job, or starts anew
	TypeRunwayUncertain = "Runway Uncertain"       // release → sweep: ask GitHub from when it refuses a version
	TypeRunwayKnown     = "Runway Known"           // sweep → release: its answer
)

// LaunchPrefix begins the name of a replay whose events are matched as if they were new:
// the stack's rules that start and remove runners take no others. mayfly replay --launch gives it.
const LaunchPrefix = "launch-"

// The metrics of a stack: what CloudWatch has of it beyond what AWS measures itself.
const (
	MetricsNamespace  = "Mayfly"
	MetricsDimension  = "Stack"               // the one that they have, with the stack's name
	MetricOldest      = "OldestQueuedSeconds" // how long the job waits that has waited longest
	MetricJobsQueued  = "JobsQueued"
	MetricJobsRunning = "JobsRunning"
	MetricRunners     = "Runners"    // live ones, from wanted to busy
	MetricRunway      = "RunwayDays" // until GitHub refuses the runner's version
)

// TypeScheduled is the detail type of the events that schedules send. A function has one schedule at most.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events.html
const TypeScheduled = "Scheduled Event"
