package workflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// A Matrix is strategy.matrix. Each part is given in the file or yielded by a ${{ }}.
type Matrix struct {
	From    string // the whole as one ${{ }}; "" otherwise
	Rows    []Row
	Include Combinations
	Exclude Combinations
}

// A Row is one of a matrix's variables.
type Row struct {
	Name   string
	Values []expr.Value
	From   string // the list as one ${{ }}; "" otherwise
}

// Combinations are the entries of include or exclude.
type Combinations struct {
	List []Leg
	From string // the list as one ${{ }}; "" otherwise
}

// A Leg is one combination of a matrix: names in order, and their values.
type Leg struct {
	Names  []string
	Values map[string]expr.Value
	From   string   // an entry of include or exclude as one ${{ }}; "" otherwise
	added  []string // by include to a leg of the product: no part of its name
}

// MaxLegs of one matrix.
// https://docs.github.com/en/actions/reference/limits
const MaxLegs = 256

// Legs expands the matrix as GitHub does: the product of the rows, without what
// exclude names, then with what include adds. A nil Matrix has one leg without
// variables. An error says which ${{ }} is wrong, or that there are too many legs.
func (m *Matrix) Legs(scope expr.Scope) ([]Leg, error) {
	if m == nil {
		return []Leg{{}}, nil
	}
	m, err := m.resolve(scope)
	if err != nil {
		return nil, err
	}
	legs, err := product(m.Rows)
	if err != nil {
		return nil, err
	}
	legs = slices.DeleteFunc(legs, func(l Leg) bool {
		return slices.ContainsFunc(m.Exclude.List, func(x Leg) bool { return l.covers(x, x.Names) })
	})
	legs = include(legs, m.Rows, m.Include.List)
	if len(legs) > MaxLegs {
		return nil, tooMany(len(legs))
	}
	return legs, nil
}

func tooMany(n int) error { return fmt.Errorf("matrix of %d jobs: want at most %d", n, MaxLegs) }

// product gives each combination of rows, the last row fastest.
func product(rows []Row) ([]Leg, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	legs := []Leg{{}}
	for _, row := range rows {
		if n := len(legs) * len(row.Values); n > MaxLegs {
			return nil, tooMany(n)
		}
		var next []Leg
		for _, l := range legs {
			for _, v := range row.Values {
				next = append(next, l.with(row.Name, v))
			}
		}
		legs = next
	}
	return legs, nil
}

// include adds each of extra to every leg whose own variables it does not
// change, and makes a leg of its own of what fits none.
// https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/run-job-variations#expanding-or-adding-matrix-configurations
func include(legs []Leg, rows []Row, extra []Leg) []Leg {
	original := len(legs)
	own := make([][]string, original)
	for i, l := range legs {
		own[i] = l.Names
	}
	for _, x := range extra {
		fits := false
		for i := range original {
			shared := intersect(own[i], x.Names)
			if !legs[i].covers(x, shared) {
				continue
			}
			fits = true
			for _, n := range x.Names {
				legs[i] = legs[i].with(n, x.Values[n])
				if !slices.Contains(own[i], n) {
					legs[i].added = append(slices.Clone(legs[i].added), n)
				}
			}
		}
		if !fits {
			legs = append(legs, x.rowsFirst(rows))
		}
	}
	return legs
}

// rowsFirst returns l with the names of rows before all others, as GitHub puts them.
func (l Leg) rowsFirst(rows []Row) Leg {
	isRow := func(n string) bool {
		return slices.ContainsFunc(rows, func(r Row) bool { return strings.EqualFold(r.Name, n) })
	}
	names := slices.Clone(l.Names)
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case isRow(a) == isRow(b):
			return 0
		case isRow(a):
			return -1
		}
		return 1
	})
	l.Names = names
	return l
}

// with returns l with one more variable, or another value of one.
func (l Leg) with(name string, v expr.Value) Leg {
	values := maps.Clone(l.Values)
	if values == nil {
		values = map[string]expr.Value{}
	}
	values[name] = v
	names := l.Names
	if !slices.Contains(names, name) {
		names = append(slices.Clone(names), name)
	}
	return Leg{Names: names, Values: values, added: l.added}
}

// covers reports whether l has x's values of names.
func (l Leg) covers(x Leg, names []string) bool {
	for _, n := range names {
		if v, ok := l.Values[n]; !ok || !same(v, x.Values[n]) {
			return false
		}
	}
	return true
}

// maxName is how long a job's name may be, in UTF-16 units.
// https://github.com/actions/runner/blob/main/src/Sdk/WorkflowParser/Conversion/JobNameBuilder.cs
const maxName = 100

// Name gives a job's name as GitHub shows it: with the values of its leg behind
// it, and cut if it is too long.
func (l Leg) Name(job string) string {
	var texts []string
	for _, n := range l.Names {
		if !slices.Contains(l.added, n) {
			texts = append(texts, leaves(l.Values[n])...)
		}
	}
	texts = slices.DeleteFunc(texts, func(t string) bool { return t == "" })
	if len(texts) > 0 {
		job += " (" + strings.Join(texts, ", ") + ")"
	}
	if units := utf16.Encode([]rune(job)); len(units) > maxName {
		return string(utf16.Decode(units[:maxName-3])) + "..."
	}
	return job
}

// leaves returns the texts in v, also those inside a list or an object.
func leaves(v expr.Value) []string {
	switch v := v.(type) {
	case []any:
		var texts []string
		for _, item := range v {
			texts = append(texts, leaves(item)...)
		}
		return texts
	case map[string]any:
		var texts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			texts = append(texts, leaves(v[k])...)
		}
		return texts
	}
	return []string{expr.Text(v)}
}

func same(a, b expr.Value) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func intersect(a, b []string) []string {
	var both []string
	for _, s := range a {
		if slices.Contains(b, s) {
			both = append(both, s)
		}
	}
	return both
}
