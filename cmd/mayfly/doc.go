// Command mayfly gives every GitHub Actions job its own runner, which lives for that
// job and no longer. It is the tool, and the whole system on one machine.
//
// This is a tour of the code, in the order in which a job passes through it. Package
// machine joins the stages on one machine; files named without a package are there, up
// to the part about the commands.
//
// # 0. The nouns
//
// An event.Event is what flows, in EventBridge's envelope; event.WorkflowJob is the
// payload that all decisions depend on. A pool.Pool is a named kind of runner, and
// pool.Set.Route finds the one that a job fits. A secret.Secret hides itself wherever
// it is printed. A why.Answer says why a job waits: why.Cause is the closed set of causes,
// each with its fix. None of the four does I/O.
//
// # 1. webhook
//
// webhook.Handler reads a delivery, checks its signature against the raw body, routes
// the job, and publishes an event. It answers 202 when the event is on disk. What
// webhook.Route cannot route without guessing goes to the bus's quarantine; on AWS
// eventbus.Bus.Quarantine sends it as an event, which a rule of the stack keeps in a
// queue.
//
// # 2. bus
//
// bus.Bus keeps events in the machine's one SQLite file (disk.DB, where many writers
// share one fsync) and delivers each to every rule whose event/pattern matches: at
// least once, with growing pauses between attempts, and finally to the dead letters.
// rules.go has the machine's own rules, first as data, then their targets; outside.go
// connects the rules of the configuration to a bus/target. bus/registry follows the log
// and stores what event/schema discovers about the shapes of events.
//
// # 3. ledger
//
// ledger.State is a pure state machine over jobs and runners. Every input makes it
// compute the same plan afresh: queued jobs are the demand, runners coming or idle are
// the supply; it fills a deficit within the limits and removes a surplus.
// ledger/sqlite stores it, and puts the resulting events on the bus in the transaction
// of the change. observed.go wraps the machine's one ledger, so that images see every
// input.
//
// # 4. fleet
//
// fleet.Fleet starts the requested runners, watches each until it ends, reports the end
// and removes the runner, with a fleet.Launcher: fleet/engine for Docker and Podman,
// fleet/sandbox for bubblewrap. launcher.go chooses one; standing.go reports its
// problems, such as limits that it does not enforce.
//
// # 5. claim
//
// claim.SocketServer opens a unix socket for each runner, in a private folder that is
// mounted into its container. Over it a runner gets one JIT configuration, once, after the
// ledger has durably granted it. Package pipeline joins it to the ledger and to GitHub.
//
// # 6. agent
//
// cmd/mayfly-agent is the first process of every container: it claims, starts the
// runner, watches its output, enforces its time limits, reports and leaves. On AWS it
// claims at a function, with calls that agent/signed signs as the task's role. In pools with
// docker: engine it gives the runner a container engine: agent/podman listens in its place.
//
// # 7. image
//
// image.Catalog decides which image runners start from. image/source has the source
// files, image/git computes their ids in git, image/archive has the archive of GitHub's
// runner, and image/engine builds, through the same docker package as fleet/engine.
// image/release reads the feed of releases, image/sqlite stores the catalog, and
// image/watch carries out its decisions. pipeline.ImageNews tells the catalog which
// runners failed to start, and pipeline.Weigh how often.
//
//   - images.go, imagesettings.go and imagework.go join these to the machine.
//   - canary_forge.go runs a job in a new image in a repository of the user; a
//     rehearsal runs one before.
//   - ahead.go fetches images before a job needs them.
//
// # The forge
//
// forge.Forge is what the stages need of where jobs come from, GitHub or Gitea, and
// forges.Open opens the one that the configuration means. gitea.Client is Gitea's API in
// use; giteaserver.Start runs one for a while, and giteasim.Sim has what one job needs of it. Package forgetest is the judge: a real
// Gitea with its own runner, and mayfly between them.
//
// # GitHub
//
// github.Client is the part of GitHub's API in use. github/githubsim is GitHub's side,
// over a real socket, with the runner protocol and with faults on request; its tests
// replay what GitHub's own runner asked. github/minirunner is a stand-in for the
// official runner, and as strict: it listens, minirunner/worker runs a job with its
// actions, and minirunner/wire makes the calls of both. Its tests compare these calls
// with those of GitHub's own runner. github/workflow reads workflow files, for githubsim
// and for package lint. Tests also check both sides against GitHub's
// OpenAPI description (github/openapi).
//
// # On AWS
//
// AWS runs the same stages behind other plugs. cmd/mayfly-webhook is the webhook as a
// Lambda function, small because GitHub waits while it starts: aws/function turns
// requests to a Function URL into net/http, aws/eventbus is the bus, aws/secrets reads
// the secret; aws/delivery joins them. cmd/mayfly-lambda is the other functions; aws/handler has
// their work, and aws/entry joins it to the stages with package pipeline, as one machine does. way_test.go there
// takes a job the whole way through the real programs, the rules of the rendered
// template and a real container.
//
// aws/stack renders the stack's template from the configuration and checks it.
// aws/rollout creates and removes the stack, with aws/deploy and aws/build.
//
// mayfly links nothing of AWS: it starts cmd/mayfly-aws, with the same arguments, for
// deploy, destroy and every command about a stack. Its deploy.go, destroy.go and doctor.go are the
// commands, cloud.go finds the stack; image.go, imagefrom.go and replay.go do on AWS what the
// commands about images and replays ask for.
//
// # The machine
//
// machine.go joins the stages on one machine; package pipeline has what AWS joins in
// the same way. parts.go is how a rehearsal sees it.
//
//   - reload.go changes limits and rules while it runs.
//   - sweep.go corrects what no delivery reported.
//   - health.go answers probes, metrics.go serves Prometheus. Package metrics has a table of
//     what is read, and a flow of what is counted; the folder deploy has alerts and a board.
//   - takedown.go removes all that it made.
//
// Commands that change the database ask the machine: asking.go is their side,
// control.go the machine's, and orders.go what they can ask for.
//
// # Rehearsals
//
// rehearsal.Rehearsal is a whole machine against a simulated GitHub, in one process
// (rehearsal.go); canary.go plays one job in a new image on it, against the forge that
// stage.go describes, and quantiles.go sums up times. cmd/mayfly-bench measures on it and on parts: intake.go, launch.go, idle.go
// (which reads /proc with processes.go) and lambda.go.
//
// # The commands
//
// inspect.Source is what there is to read of a Mayfly: inspect.go has its interfaces,
// jobs.go, status.go, pools.go, gist.go, images.go and schemas.go the views that commands and pages show, and
// health.go the list of what needs a person. story.go joins the answer about one job
// with its steps: scene.go is what has a say in it, and inquiry.go asks the forge about a
// job that nobody told of. Package why has all causes, each with its fix. inspect/local
// reads the machine's database, inspect/stack the stack.
//
// Package web shows the same to a browser: a web.Page is HTML from the server, which
// stays current by server-sent events; its package comment says where what is. Package
// serve runs the HTTP servers of a machine.
//
// internal/tool is the command line that mayfly and mayfly-aws share: tool.go runs a command,
// platform.go says in what the two programs differ, setup.go reads the configuration and its
// secrets, page.go serves the page, aws.go has the flags of deploy and destroy, text.go, files.go and hook.go what
// several commands print and read.
//
//   - why.go explains one job; jobs.go (with runners), status.go, events.go and dlq.go list and change what their
//     names say; schema.go and drift.go the shapes of events.
//   - quarantine.go releases deliveries; replay.go delivers events again, and whatif.go
//     compares two configurations.
//   - image.go and image_build.go build and promote images.
//   - prove.go is mayfly test; package proof does the work.
//
// The rest is in cmd/mayfly:
//
//   - main.go is the command line. platform.go reads and orders on this machine, database.go
//     finds its database and asks whoever writes it; setup.go makes a machine's configuration.
//   - up.go runs the machine, and reads the configuration again at SIGHUP; down.go takes it
//     down.
//   - event.go and rule.go put events on the bus and show which rules match them.
//   - logs.go (here the command, in package machine its other side) prints what a live
//     runner prints.
//   - image.go, image_build.go and image_canary.go build images and try them;
//     canary_gitea.go has the stand-in of Gitea for that.
//   - config_check.go, hook.go (the webhook) and token.go set things up.
//   - lint.go routes the jobs of workflow files; package lint does the work.
//   - demo.go runs the sample in a rehearsal, demo_gitea.go in a real Gitea; sim.go serves githubsim, and simpages.go
//     prints what its pages say.
package main
