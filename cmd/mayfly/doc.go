// Command mayfly gives every GitHub Actions job a runner of its own that lives for
// that job and no longer. It is the tool, and the whole system on one machine.
//
// This is a tour of the code, in the order in which a job passes through it.
//
// # 0. The nouns
//
// What flows is an event.Event, in EventBridge's envelope; the payload that decides
// everything is event.WorkflowJob. A pool.Pool is a named kind of runner, and
// pool.Set.Route says which one a job fits. A secret.Secret hides itself wherever it
// is printed. None of the three does I/O.
//
// # 1. webhook
//
// webhook.Handler reads a delivery, checks its signature against the raw body,
// routes the job, and publishes an event. It answers 202 when the event is on disk. What
// webhook.Route cannot route without a guess is kept in the bus's quarantine instead; on AWS
// eventbus.Bus.Quarantine says so in an event, which a rule of the stack keeps in a queue.
//
// # 2. bus
//
// bus.Bus keeps events in the machine's one SQLite file (disk.DB, where many writers
// share one fsync) and brings each to every rule whose event/pattern matches: at
// least once, with growing pauses, and to the dead letters in the end. The machine's
// own rules are in rules.go here: data first, then the targets they lead to. Those of
// the configuration lead to a bus/target (outside.go). bus/registry follows the log and
// keeps what event/schema finds out about the shapes of events.
//
// # 3. ledger
//
// ledger.State is a pure state machine over jobs and runners. Whatever comes in, it
// makes the same plan afresh: queued jobs are the demand, runners coming or idle are
// the supply; a deficit is made good within the limits, a surplus is removed.
// ledger/sqlite keeps it, and puts the events that follow on the bus in the
// transaction of the change they follow from.
//
// # 4. fleet
//
// fleet.Fleet starts the runners that are wanted, watches each until it ends, tells
// of its end and removes it, on a fleet.Launcher: fleet/engine for Docker and Podman,
// fleet/sandbox for bubblewrap. launcher.go here chooses one.
//
// # 5. claim
//
// claim.Desk opens a unix socket for each runner, in a folder of its own that is
// mounted into its container. Over it a runner gets one JIT configuration, once,
// after the ledger has durably said so. Package pipeline joins the desk to the ledger
// and to GitHub.
//
// # 6. agent
//
// cmd/mayfly-agent is the first process of every container: it claims, starts the
// runner, watches what it prints, keeps its time limits, reports and leaves. On AWS it
// claims at a function, with calls that agent/signed signs as the task's role.
//
// # 7. image
//
// image.Catalog decides which image runners start from. image/source has its files, with
// git's names for them (image/git), image/archive the archive of GitHub's runner, and
// image/engine builds it, through the same docker package by which fleet/engine reaches the engine. image/release reads the
// feed of releases; image/sqlite keeps the catalog, and image/watch brings about what it
// asks for. images.go, imagesettings.go and imagework.go here join them to the machine; canary.go runs a
// job in a new image; pipeline.ImageNews tells the catalog which runners did not start, and
// pipeline.Weigh how often that was. image.go and image_status.go have the commands;
// ahead.go has images fetched before a job needs them.
//
// # GitHub
//
// github.Client is the part of GitHub's API in use. github/githubsim is GitHub's other
// side, over a real socket, with the runner protocol and with faults on request; its
// tests ask it what GitHub's own runner asked. github/minirunner is a stand-in for the
// official runner, as strict as that: it listens, minirunner/worker runs a job with its
// actions, and minirunner/wire is how both call GitHub; its tests hold what it asks
// against what GitHub's own runner asked. Both sides are held against GitHub's own
// OpenAPI description in their tests (github/openapi).
//
// # On AWS
//
// The same stages behind other plugs. cmd/mayfly-webhook is the webhook as a Lambda
// function, small because GitHub waits while it starts: aws/function turns requests to a
// Function URL into net/http, aws/eventbus is the bus, aws/secrets the secret.
// cmd/mayfly-lambda is the other functions; what they do is in aws/handler, and they join the
// stages with the same pipeline as one machine does. way_test.go there takes a job the whole way through
// the real programs, the rules of the rendered template and a real container.
//
// aws/stack is the stack's template, which it renders from the configuration and judges.
// aws/rollout brings the stack up and takes it down, with aws/deploy and aws/build; deploy.go
// (deployimage.go for its image) and destroy.go here are its commands. stacksource.go lets the
// commands that list read it, and replay_stack.go has EventBridge replay its archive.
//
// # The machine
//
// machine.go joins all of this, with one ledger that observed.go has the images hear of; what AWS joins in the same way is in package pipeline,
// such as what is asked of GitHub about jobs and runners. sweep.go makes good what no delivery told. control.go,
// orders.go and ask.go let commands change the database beside a running machine; metrics.go tells
// Prometheus how it stands, health.go whoever probes it, and standing.go people how what runs runners stands. Each command
// has a file of its own: up.go (reload.go for SIGHUP, trim.go for its memory), demo.go, sim.go,
// down.go (with takedown.go), proof.go (mayfly test, which package proof does), config_check.go, jobs.go,
// status.go, events.go and event.go, rule.go, schema.go, drift.go, dlq.go (dead letters), quarantine.go, replay.go, whatif.go, token.go, hook.go,
// bench_*.go (processes.go is how it reads /proc), and main.go for the command line.
package main
