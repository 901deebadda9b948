package config

import _ "embed"

//go:embed starter.yaml
var starter string

//go:embed starter_gitea.yaml
var starterGitea string

// Starter returns a commented mayfly.yaml to begin with, for jobs of a forge that
// [Config.Forge] can name.
func Starter(forge string) string {
	if forge == ForgeGitea {
		return starterGitea
	}
	return starter
}
