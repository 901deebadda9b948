package main

import (
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/forge"
	"github.com/mayfly-ci/mayfly/internal/forges"
	"github.com/mayfly-ci/mayfly/internal/gitea/giteasim"
	"github.com/mayfly-ci/mayfly/internal/rehearsal"
)

// stages open, by the forge, the stage for canaries of its runner; the others play at a simulated GitHub.
var stages = map[string]func() (rehearsal.Stage, error){config.ForgeGitea: openGiteaStage}

// A giteaStage is a stand-in of Gitea, called as mayfly calls one.
type giteaStage struct{ *giteasim.Sim }

func openGiteaStage() (rehearsal.Stage, error) {
	sim, err := giteasim.Open(giteasim.Config{
		Repository: rehearsal.CanaryRepository, Labels: []string{"self-hosted", rehearsal.CanaryLabel}, Workflow: rehearsal.CanaryWorkflow,
	})
	return giteaStage{sim}, err
}

// Forge implements rehearsal.Stage.
func (s giteaStage) Forge() (forge.Forge, error) {
	return forges.Open(&config.Config{Forge: config.ForgeGitea, Gitea: config.Gitea{URL: s.URL()}}, config.Secrets{Token: s.Token()}, nil)
}
