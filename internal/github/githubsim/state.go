package githubsim

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/github/githubsim/git"
)

// state is all that changes. Sim.mu guards it, and what it points to.
type state struct {
	accounts map[string]*account     // by lower-case login
	repos    map[string]*repository  // by lower-case owner/name
	moves    map[string]*repository  // by names that they had before
	creds    map[digest]*credential  // API tokens
	regs     map[digest]registration // registration and remove tokens
	access   map[digest]access       // access tokens of runners
	runners  map[int64]*runner
	names    map[nameKey]*runner // who has a name
	clients  map[string]*runner  // by client id
	waiting  map[*runner]bool    // online, idle and polling
	queue    map[queueKey][]*job // jobs that want a runner, oldest first
	runs     map[int64]*run
	jobs     map[int64]*job
	guids    map[string]*job // by the id that runners know jobs by
	blobs    map[string]*blob
	permits  map[permitKey]*permitGroup // concurrency groups in use
	hosted   map[*job]bool              // waiting for, or at, GitHub's own runners
	watchers map[*Subscription]bool
	groups   map[scope][]*group // runner groups besides the default one
	appHook  int64              // id of the App's webhook; 0: none
	codes    map[string]appCode // conversions of App manifests yet to come

	releases  []RunnerRelease        // of actions/runner, the newest last; never empty
	ends      map[string]runnerEnds  // by version of the runner
	anonymous map[string]*credential // whoever has none, by address
	idling    *rand.Rand             // of how long runners may idle; nil until the first
	updates   bool                   // runners are told to update themselves
}

func newState() state {
	return state{
		accounts: map[string]*account{}, repos: map[string]*repository{},
		creds: map[digest]*credential{}, regs: map[digest]registration{}, access: map[digest]access{},
		runners: map[int64]*runner{}, names: map[nameKey]*runner{}, clients: map[string]*runner{}, waiting: map[*runner]bool{},
		queue: map[queueKey][]*job{}, runs: map[int64]*run{}, jobs: map[int64]*job{}, guids: map[string]*job{},
		permits: map[permitKey]*permitGroup{}, hosted: map[*job]bool{}, moves: map[string]*repository{},
		blobs: map[string]*blob{}, watchers: map[*Subscription]bool{}, groups: map[scope][]*group{}, codes: map[string]appCode{},
		ends: map[string]runnerEnds{}, anonymous: map[string]*credential{},
	}
}

// An account owns repositories: an organisation or a user. It never changes.
type account struct {
	id           int64
	login        string
	user         bool
	installation int64 // of the App
	created      time.Time
}

// A repository is one repository.
type repository struct {
	id           int64
	owner        *account
	name         string
	private      bool
	created      time.Time
	pushed       time.Time
	environments map[string]*environment // by lower-case name
	variables    map[string]string       // the context vars
	secrets      map[string]string       // the context secrets
	due          map[string]time.Time    // when a schedule runs next, by file and line
	readAt       string                  // commit of which onSchedule was read
	onSchedule   []workflowFile          // workflows with a schedule
	numbers      map[string]int          // runs so far, by workflow file
	workflows    map[string]int64
	heads        map[string]git.Commit // newest commit by ref, with its workflow files
	loose        map[string]git.Commit // by tree and by commit: what the REST API made and no ref has yet

	git  *git.Repository
	lock sync.Mutex // held while refs change; taken before Sim.mu
}

// find gives the ref that name stands for, and its commit: a branch, a tag, or
// either in full.
func (r *repository) find(name string) (ref string, head git.Commit, found bool) {
	for _, ref := range []string{name, "refs/heads/" + name, "refs/tags/" + name} {
		if head, found := r.heads[ref]; found {
			return ref, head, true
		}
	}
	return "", git.Commit{}, false
}

func (r *repository) fullName() string { return r.owner.login + "/" + r.name }

// A scope is where a runner is registered: a repository, an organisation or the
// enterprise (both nil). Scopes can be compared.
type scope struct {
	repo  *repository
	owner *account // of an organisation's scope
}

// covers reports whether runners of sc serve repo.
func (sc scope) covers(repo *repository) bool {
	switch {
	case sc.repo != nil:
		return sc.repo == repo
	case sc.owner != nil:
		return sc.owner == repo.owner
	}
	return !repo.owner.user
}

// account returns whose the scope is, nil for the enterprise.
func (sc scope) account() *account {
	if sc.repo != nil {
		return sc.repo.owner
	}
	return sc.owner
}

// path gives the scope as in the REST API, such as repos/acme/web.
func (sc scope) path(enterprise string) string {
	switch {
	case sc.repo != nil:
		return "repos/" + sc.repo.fullName()
	case sc.owner != nil:
		return "orgs/" + sc.owner.login
	}
	return "enterprises/" + enterprise
}

// account returns the account of login, made if it is not there. The caller holds mu.
func (s *Sim) account(login string) *account {
	key := strings.ToLower(login)
	if a := s.accounts[key]; a != nil {
		return a
	}
	a := &account{id: s.nextID(), login: login, installation: s.nextID(), created: s.now()}
	for _, u := range s.cfg.Users {
		a.user = a.user || strings.EqualFold(u, login)
	}
	s.accounts[key] = a
	return a
}

// repository returns the repository with a full name, or nil. The
// caller holds mu.
func (s *Sim) repository(fullName string) *repository { return s.repos[strings.ToLower(fullName)] }
