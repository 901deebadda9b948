package why

// The causes.
const (
	// Nothing is wrong.
	Done      Cause = "done"
	Running   Cause = "running"
	Hosted    Cause = "hosted"    // the forge's own runners take it
	Next      Cause = "next"      // the next scheduling pass makes its runner
	Wanted    Cause = "wanted"    // its runner was requested
	Starting  Cause = "starting"  // its runner's container starts
	Claimed   Cause = "claimed"   // its runner registers
	Listening Cause = "listening" // its runner waits for the forge to choose it
	Busy      Cause = "busy"      // its runner has a job, most likely this one
	Leaving   Cause = "leaving"   // its runner is being removed; then it gets another
	Warm      Cause = "warm"      // a warm runner is there for it
	Taken     Cause = "taken"     // its runner was given to another job, and an equivalent one is there

	// Room.
	PoolFull  Cause = "pool-full"
	HostFull  Cause = "host-full"
	HostsFull Cause = "hosts-full" // AWS: all hosts that may run, or no host can be had
	BackOff   Cause = "back-off"   // the next runner is made later, for no failure that is known

	// Configuration.
	NoPool          Cause = "no-pool"
	OtherRepository Cause = "other-repository" // the pool with its labels does not serve the repository
	PoolRemoved     Cause = "pool-removed"
	HostSmall       Cause = "host-small"
	NotChosen       Cause = "not-chosen" // runners listen, and the forge does not give them the job
	NoCommand       Cause = "no-command" // the runner's program is not in its image
	LimitsUnknown   Cause = "limits-unknown"

	// The forge refuses.
	Unauthorized   Cause = "credential-refused"   // 401
	Forbidden      Cause = "permission-missing"   // 403
	NoPlace        Cause = "place-unknown"        // 404
	NameTaken      Cause = "name-taken"           // 409
	Unprocessable  Cause = "registration-refused" // 422
	VersionRefused Cause = "version-refused"

	// The forge does not answer.
	RateLimited Cause = "rate-limited"      // 429
	ForgeFails  Cause = "forge-fails"       // 5xx
	ForgeAway   Cause = "forge-unreachable" // no answer at all

	// The machine.
	MayflyDown   Cause = "mayfly-down"
	MayflyWas    Cause = "mayfly-was-down" // when the forge delivered
	EngineDown   Cause = "engine-down"
	DiskFull     Cause = "disk-full"
	ImageMissing Cause = "image-missing" // the engine does not have it, or cannot pull it
	NoImage      Cause = "no-image"      // none was built yet

	// The runner failed.
	StartFailed  Cause = "start-failed"
	Crashed      Cause = "runner-crashed"
	Killed       Cause = "runner-killed" // from outside, or its end was not seen
	OutOfMemory  Cause = "out-of-memory"
	Late         Cause = "runner-late" // it missed a deadline
	ClaimRefused Cause = "claim-refused"
	Gone         Cause = "runner-gone" // it ran the job, and the forge has not said how that ended
	Abandoned    Cause = "abandoned"   // given up, because the forge lets no job wait for longer
	Lost         Cause = "lost"        // the forge does not know it any longer

	// Mayfly was not told.
	NeverSent      Cause = "delivery-never-sent"
	DeliveryLost   Cause = "delivery-lost"
	DeliveryFailed Cause = "delivery-refused"
	SecretWrong    Cause = "secret-wrong"
	HookRemoved    Cause = "webhook-removed"
	HookOff        Cause = "webhook-off"
	HookEvents     Cause = "webhook-events"
	Quarantined    Cause = "quarantined"
	Backlog        Cause = "backlog" // its event is on the bus, and the ledger has not taken it yet

	// The forge holds it back.
	Waits   Cause = "held"    // by an approval, a protection rule or a job that it needs
	Pending Cause = "pending" // by a concurrency group

	// Nobody knows.
	NoJob    Cause = "unknown-job"
	NotAsked Cause = "not-asked" // the forge could not be asked
)

type entry struct {
	kind Kind
	fix  string
}

// table has every cause.
var table = map[Cause]entry{
	Done:      {OnItsWay, "nothing to do"},
	Running:   {OnItsWay, "nothing to do; mayfly logs {runner} prints what its runner prints"},
	Hosted:    {OnItsWay, "nothing to do; a job that should run here needs a label of a pool in runs-on"},
	Next:      {OnItsWay, "nothing to do; if it stays so, mayfly status shows what does not work"},
	Wanted:    {OnItsWay, "nothing to do; if it stays so, mayfly status shows what does not work, mayfly dlq list starts that were given up"},
	Starting:  {OnItsWay, "nothing to do; if it takes long, the image is being pulled or the host is busy: mayfly logs {runner}"},
	Claimed:   {OnItsWay, "nothing to do; if it takes long, mayfly logs {runner} shows why the runner's program does not listen"},
	Listening: {OnItsWay, "nothing to do: {forge} gives out jobs within seconds"},
	Busy:      {OnItsWay, "nothing to do: {forge} reports it in a moment"},
	Leaving:   {OnItsWay, "nothing to do; if it stays so, mayfly status shows whether the engine and {forge} answer"},
	Warm:      {OnItsWay, "nothing to do: {forge} gives out jobs within seconds"},
	Taken:     {OnItsWay, "nothing to do: {forge} gives out jobs within seconds"},

	PoolFull:  {Room, "wait, or raise max of pool {pool} in the configuration and reload it (kill -HUP); mayfly runners shows who has the places"},
	HostFull:  {Room, "wait, make the pools' cpus and memory smaller, or use a larger host; host: in the configuration may set less than the machine has"},
	HostsFull: {Room, "wait, or raise aws.hosts.max; mayfly doctor tells what AWS says of new hosts"},
	BackOff:   {Room, "wait: mayfly has asked {forge} how the job stands"},

	NoPool:          {Configuration, "give a pool the labels of its runs-on, or change runs-on; mayfly lint shows which pool takes each job of a workflow"},
	OtherRepository: {Configuration, "add {repository} to repositories of the pool, or give another pool its labels; mayfly lint shows which pool takes each job of a workflow"},
	PoolRemoved:     {Configuration, "put pool {pool} back into the configuration, or give its labels to another pool, and reload it (kill -HUP)"},
	HostSmall:       {Configuration, "make cpus and memory of pool {pool} smaller than the host, or use a larger host"},
	NotChosen: {Configuration, "compare runs-on.group of the job with runner_group of pool {pool}, and see in the group's settings at {forge} that it may serve {repository}" +
		" (a public repository needs a group that allows it)"},
	NoCommand:     {Configuration, "see that command of pool {pool} is in its image: mayfly image canary tries one"},
	LimitsUnknown: {Configuration, "start mayfly up of this version: it writes the limits when it starts"},

	Unauthorized:   {Refused, "replace the credential: check that the App is still installed and its key is valid, or that the token is neither revoked nor expired; mayfly doctor tries it"},
	Forbidden:      {Refused, "give the App or the token the permission to register runners (self-hosted runners: write; for a repository, administration: write)"},
	NoPlace:        {Refused, "see that the App is installed on {repository}, or that the token sees it, and that runner_group of pool {pool} exists"},
	NameTaken:      {Refused, "remove the runner of that name at {forge}; mayfly tries again"},
	Unprocessable:  {Refused, "compare labels and runner_group of pool {pool} with what {forge} says"},
	VersionRefused: {Refused, "build an image of a newer runner: mayfly image build; for an image of your own, update the runner in it"},

	RateLimited: {Deferred, "wait: mayfly goes on when {forge} does; see what else uses the credential, and use an App, whose limit is higher"},
	ForgeFails:  {Deferred, "wait: mayfly tries again; the status page of {forge} tells more (https://www.githubstatus.com)"},
	ForgeAway:   {Deferred, "see that this machine reaches {forge}: its DNS, firewall and HTTPS_PROXY; mayfly doctor tries it"},

	MayflyDown:   {Machine, "start it: mayfly up"},
	MayflyWas:    {Machine, "nothing to do: mayfly has {forge} send again what it missed within a minute of its start"},
	EngineDown:   {Machine, "start the container engine: systemctl start podman.socket, or docker; mayfly doctor tries it"},
	DiskFull:     {Machine, "make room where state: in the configuration is; nothing that was acknowledged is lost"},
	ImageMissing: {Machine, "see that image of pool {pool} exists and that the engine may pull it: podman pull IMAGE; mayfly image list has those that mayfly built"},
	NoImage:      {Machine, "build one: mayfly image build; mayfly image list shows what became of earlier builds"},

	StartFailed:  {RunnerFailed, "see what the engine says, and whether image, command and mounts of pool {pool} are right: mayfly runners {runner}"},
	Crashed:      {RunnerFailed, "read the runner's last lines: mayfly runners {runner}; mayfly image canary tries an image"},
	Killed:       {RunnerFailed, "see who stopped the container, and whether the host was restarted or is out of memory: mayfly runners {runner}"},
	OutOfMemory:  {RunnerFailed, "raise memory of pool {pool}, or make the job need less"},
	Late:         {RunnerFailed, "see whether the host is overloaded and whether the runner reaches {forge}: mayfly runners {runner}"},
	ClaimRefused: {RunnerFailed, "nothing to do if it happens once: mayfly makes another; else mayfly runners {runner} tells the reason"},
	Gone:         {RunnerFailed, "wait: {forge} notices in some minutes that the runner is gone, and fails the job; mayfly runners {runner} tells why it ended"},
	Abandoned:    {RunnerFailed, "run the job again at {forge}; the steps below tell what it waited for"},
	Lost:         {RunnerFailed, "nothing to do: the job, its run or its repository was deleted, or the credential does not see it any longer"},

	NeverSent:      {Delivery, "see that {repository} is under the webhook (webhook.at) and that the webhook was there when the job was queued; mayfly asks {forge} for such jobs every few minutes"},
	DeliveryLost:   {Delivery, "see that {forge} reaches webhook.url: mayfly webhook ping; mayfly has such deliveries sent again"},
	DeliveryFailed: {Delivery, "do what the answer says; mayfly webhook ping tries it again"},
	SecretWrong:    {Delivery, "give the webhook the configuration's secret: {hook}"},
	HookRemoved:    {Delivery, "make the webhook: {hook}"},
	HookOff:        {Delivery, "switch the webhook on: {hook}"},
	HookEvents:     {Delivery, "have the webhook send workflow_job events: {hook}; an App's events are ticked on its settings page"},
	Quarantined:    {Delivery, "see what it lacks: mayfly quarantine list; mayfly quarantine release routes it again after an update"},
	Backlog:        {Delivery, "wait; if it stays so, mayfly status shows what keeps rule jobs from working, mayfly dlq list what was given up"},

	Waits:   {Held, "approve it, or look at its run at {forge}: it needs another job, an approval or a protection rule; a runner is made as soon as it is queued"},
	Pending: {Held, "wait for the run that has its concurrency group, or cancel that"},

	NoJob:    {Unknown, "check the key: mayfly jobs lists those that are known; a job's or a run's address at {forge} works as well"},
	NotAsked: {Unknown, "give --config, so that {forge} can be asked; mayfly jobs lists the jobs that are known"},
}
