package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Fault is a mistake in the file, or something questionable.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0 if it is about the file as a whole
	Column  int    `json:"column"` // from 1
	Message string `json:"message"`
}

// Error returns file:line:column: message, the form that editors can jump to.
func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Faults are all faults of a file, in its order.
type Faults []Fault

// Error returns a line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sorted() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return f
}

// A position is a place in the file, from 1.
type position struct{ line, column int }

// meant returns advice about word, which is not in known: the most similar known word if it is
// close, else all of them.
func meant(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d < least {
			best, least = k, d
		}
	}
	if best != "" && least < len(best) {
		return "did you mean " + best + "?"
	}
	return "want " + oneOf(known)
}

func oneOf(words []string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " or " + words[n]
	}
	return strings.Join(words, "")
}

// distance is the Levenshtein distance of a and b: how many letters to insert, delete or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
