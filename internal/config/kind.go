package config

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/mayfly-ci/mayfly/internal/pool"
)

// Bytes is an amount of memory or data, written with a unit: 4GiB, 512MiB, 1.5GB. The units of
// Kubernetes are accepted too: 4Gi is 4GiB and 4G is 4GB.
type Bytes int64

// units are those of [Bytes], in each family the largest first. KiB is 1024 bytes, KB is 1000.
func units() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3},
	}
}

type unit struct {
	name string
	size int64
}

// String returns b in the largest unit that gives a whole number of at most four digits. If no unit
// does, it rounds to a tenth of the largest unit that b reaches.
func (b Bytes) String() string {
	for _, u := range units() {
		if whole := int64(b) / u.size; b != 0 && int64(b)%u.size == 0 && whole < 10_000 {
			return strconv.FormatInt(whole, 10) + u.name
		}
	}
	for _, u := range units() {
		if tenths := float64(b) / float64(u.size); b >= 10_000 && tenths >= 1 {
			return strings.TrimSuffix(strconv.FormatFloat(tenths, 'f', 1, 64), ".0") + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// parseBytes reads a positive amount. The unit is required, because a bare number is ambiguous.
func parseBytes(text string) (Bytes, bool) {
	for _, u := range units() {
		number, found := cutSuffixFold(text, u.name)
		if !found {
			number, found = cutSuffixFold(text, strings.TrimSuffix(u.name, "B"))
		}
		if !found {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		size := n * float64(u.size)
		if err != nil || !(size >= 1 && size < math.MaxInt64) {
			return 0, false
		}
		return Bytes(size), true
	}
	return 0, false
}

// parseDuration is [time.ParseDuration] with days of 24 hours, which come first, such as 1d12h.
func parseDuration(text string) (time.Duration, error) {
	days, rest, some := strings.Cut(text, "d")
	if !some {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseFloat(days, 64)
	d := n * float64(24*time.Hour)
	if err != nil || !(d >= 0 && d < math.MaxInt64) {
		return 0, errors.New("a number of days is missing or too large")
	}
	if rest == "" {
		return time.Duration(d), nil
	}
	more, err := time.ParseDuration(rest)
	return time.Duration(d) + more, err
}

func cutSuffixFold(s, suffix string) (string, bool) {
	if i := len(s) - len(suffix); i >= 0 && strings.EqualFold(s[i:], suffix) {
		return s[:i], true
	}
	return s, false
}

// A SecretRef refers to a secret: env:NAME is a variable of mayfly's environment, file:PATH
// a file, relative to the folder of mayfly.yaml. It is not secret itself. The zero value
// refers to nothing.
type SecretRef string

// parseReference reads a reference.
func parseReference(text string) (SecretRef, bool) {
	kind, what, _ := strings.Cut(text, ":")
	return SecretRef(text), (kind == "env" || kind == "file") && what != "" && strings.TrimSpace(what) == what
}

// A kind describes how values of a Go type are written in the file.
type kind struct {
	name string // for people
	want string // the allowed form, for faults
	json string // type in JSON Schema
	form string // regular expression in JSON Schema; may be empty
}

// kindOf returns the kind of a scalar type.
func kindOf(t reflect.Type) kind {
	switch t {
	case reflect.TypeFor[Bytes]():
		return kind{"size", "a number and a unit, such as 4GiB", "string", `^[0-9.]+ *([KMGTkmgt][Ii]?[Bb]?)$`}
	case reflect.TypeFor[time.Duration]():
		return kind{"duration", "a number of more than 0 and a unit, such as 30s, 5m, 6h or 2d", "string", `^([0-9.]+(ms|s|m|h|d))+$`}
	case reflect.TypeFor[pool.Ulimit]():
		return kind{"limit", "a number or unlimited, or two of them, the soft limit and a hard one that is no lower", "string", `^([0-9]+|unlimited)( +([0-9]+|unlimited))?$`}
	case reflect.TypeFor[SecretRef]():
		return kind{"reference", "env:NAME or file:PATH: secrets are not written in this file", "string", `^(env|file):[^ ].*$`}
	}
	switch t.Kind() {
	case reflect.Bool:
		return kind{"yes or no", "true or false", "boolean", ""}
	case reflect.Int, reflect.Int64:
		return kind{"whole number", "a whole number", "integer", ""}
	case reflect.Float64:
		return kind{"number", "a number", "number", ""}
	}
	return kind{"text", "a text", "string", ""}
}

// set parses text into v, a scalar, and reports whether it is valid.
func set(v reflect.Value, text string) bool {
	var err error
	ok := true
	switch p := v.Addr().Interface().(type) {
	case *Bytes:
		*p, ok = parseBytes(text)
	case *pool.Ulimit:
		*p, ok = parseUlimit(text)
	case *SecretRef:
		*p, ok = parseReference(text)
	case *time.Duration:
		*p, err = parseDuration(text)
		ok = *p > 0
	case *bool:
		*p, ok = text == "true", text == "true" || text == "false"
	case *int:
		*p, err = strconv.Atoi(text)
	case *int64:
		*p, err = strconv.ParseInt(text, 10, 64)
	case *float64:
		*p, err = strconv.ParseFloat(text, 64)
		ok = !math.IsNaN(*p) && !math.IsInf(*p, 0)
	case *string:
		*p = text
	}
	return ok && err == nil
}
