package workflow

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mayfly-ci/mayfly/internal/github/expr"
)

// resolve returns m with every ${{ }} replaced by what it yields.
func (m *Matrix) resolve(scope expr.Scope) (*Matrix, error) {
	if m.From != "" {
		v, err := scope.Resolve(m.From)
		if err != nil {
			return nil, err
		}
		object, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("matrix %s: want an object", m.From)
		}
		return matrixOf(object)
	}
	out := &Matrix{}
	for _, row := range m.Rows {
		values, err := resolveList(row.From, row.Values, scope)
		if err != nil {
			return nil, fmt.Errorf("matrix %s: %w", row.Name, err)
		}
		out.Rows = append(out.Rows, Row{Name: row.Name, Values: values})
	}
	var err error
	if out.Include, err = m.Include.resolve(scope); err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	if out.Exclude, err = m.Exclude.resolve(scope); err != nil {
		return nil, fmt.Errorf("exclude: %w", err)
	}
	return out, nil
}

func (c Combinations) resolve(scope expr.Scope) (Combinations, error) {
	if c.From != "" {
		list, err := resolveList(c.From, nil, scope)
		if err != nil {
			return Combinations{}, err
		}
		return combinationsOf(list)
	}
	var out Combinations
	for _, leg := range c.List {
		if leg.From != "" {
			v, err := scope.Resolve(leg.From)
			if err != nil {
				return Combinations{}, err
			}
			one, err := combinationsOf([]expr.Value{v})
			if err != nil {
				return Combinations{}, fmt.Errorf("%s: %w", leg.From, err)
			}
			out.List = append(out.List, one.List...)
			continue
		}
		resolved := Leg{}
		for _, n := range leg.Names {
			v, err := resolveValue(leg.Values[n], scope)
			if err != nil {
				return Combinations{}, err
			}
			resolved = resolved.with(n, v)
		}
		out.List = append(out.List, resolved)
	}
	return out, nil
}

// resolveList gives the list that from yields, or values where from is "".
func resolveList(from string, values []expr.Value, scope expr.Scope) ([]expr.Value, error) {
	if from != "" {
		v, err := scope.Resolve(from)
		if err != nil {
			return nil, err
		}
		list, ok := v.([]any)
		if !ok {
			return nil, fmt.Errorf("%s: want a list", from)
		}
		return list, nil
	}
	out := make([]expr.Value, len(values))
	for i, v := range values {
		var err error
		if out[i], err = resolveValue(v, scope); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// resolveValue replaces each ${{ }} in v, also of lists and objects inside it.
func resolveValue(v expr.Value, scope expr.Scope) (expr.Value, error) {
	switch v := v.(type) {
	case string:
		if expr.Has(v) {
			return scope.Resolve(v)
		}
	case []any:
		return resolveList("", v, scope)
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			var err error
			if out[k], err = resolveValue(item, scope); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// matrixOf reads a matrix that came out of fromJSON; rows are in order of their
// names, as an object has none.
func matrixOf(object map[string]any) (*Matrix, error) {
	m := &Matrix{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		list, ok := object[name].([]any)
		if !ok {
			return nil, fmt.Errorf("matrix %s: want a list", name)
		}
		var err error
		switch name {
		case "include":
			m.Include, err = combinationsOf(list)
		case "exclude":
			m.Exclude, err = combinationsOf(list)
		default:
			m.Rows = append(m.Rows, Row{Name: name, Values: list})
		}
		if err != nil {
			return nil, fmt.Errorf("matrix %s: %w", name, err)
		}
	}
	return m, nil
}

func combinationsOf(list []expr.Value) (Combinations, error) {
	var c Combinations
	for _, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			return c, fmt.Errorf("entry %v: want an object", item)
		}
		c.List = append(c.List, Leg{Names: slices.Sorted(maps.Keys(object)), Values: object})
	}
	return c, nil
}
