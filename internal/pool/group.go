package pool

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A Group is a runner group of GitHub, by its name or its id.
type Group string

// DefaultGroup is the id of the group that every organization has, named Default, and the only one of a repository.
const DefaultGroup Group = "1"

// Default reports whether g is the default group.
func (g Group) Default() bool {
	return g == "" || g == DefaultGroup || strings.EqualFold(string(g), "Default")
}

// Is reports whether g is the group that a workflow calls name, which may have org/ or enterprise/ in front. Of an id nobody knows.
// https://docs.github.com/en/actions/how-tos/manage-runners/self-hosted-runners/use-in-a-workflow#using-groups-to-control-where-jobs-are-run
func (g Group) Is(name string) bool {
	for _, level := range []string{"org/", "organization/", "ent/", "enterprise/"} {
		name = strings.TrimPrefix(name, level)
	}
	return strings.EqualFold(string(g), name)
}

// UnmarshalJSON parses a text, or the number that earlier versions stored.
func (g *Group) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' {
		var id int64
		err := json.Unmarshal(data, &id)
		*g = Group(strconv.FormatInt(id, 10))
		return err
	}
	return json.Unmarshal(data, (*string)(g))
}
