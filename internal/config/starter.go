package config

import _ "embed"

//go:embed starter.yaml
var starter string

// Starter returns a commented mayfly.yaml to begin with.
func Starter() string { return starter }
