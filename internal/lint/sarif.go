package lint

import (
	"encoding/json"
	"io"
	"maps"
	"path/filepath"
	"slices"
)

// WriteSARIF writes findings as a SARIF 2.1.0 log, which GitHub's code scanning takes.
// https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support-for-code-scanning
func WriteSARIF(w io.Writer, version string, found []Finding) error {
	rules, results := []sarifRule{}, []sarifResult{}
	for _, id := range slices.Sorted(maps.Keys(Rules)) {
		rules = append(rules, sarifRule{id, sarifText{Rules[id]}})
	}
	for _, f := range found {
		text := f.Message
		if f.Fix != "" {
			text += ". Fix: " + f.Fix
		}
		var at sarifLocation
		at.Physical.Artifact.URI = filepath.ToSlash(f.File)
		at.Physical.Region.Line, at.Physical.Region.Column = f.Line, f.Column
		results = append(results, sarifResult{f.Rule, f.Level, sarifText{text}, []sarifLocation{at}})
	}
	var run sarifRun
	run.Tool.Driver.Name, run.Tool.Driver.Version, run.Tool.Driver.Rules = "mayfly lint", version, rules
	run.Results = results
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver struct {
				Name    string      `json:"name"`
				Version string      `json:"version"`
				Rules   []sarifRule `json:"rules"`
			} `json:"driver"`
		} `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifRule struct {
		ID   string    `json:"id"`
		Text sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		Rule      string          `json:"ruleId"`
		Level     Level           `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				Line   int `json:"startLine"`
				Column int `json:"startColumn"`
			} `json:"region"`
		} `json:"physicalLocation"`
	}
)
