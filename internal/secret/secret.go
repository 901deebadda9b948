// Package secret has the type of every value that must not be seen: tokens,
// keys, webhook secrets, JIT configurations.
package secret

import "log/slog"

// hidden is what stands in logs, errors and JSON in a secret's place.
const hidden = "(secret)"

// A Secret hides itself wherever values are printed, logged or encoded; only
// [Secret.Reveal] gives it away, so that every use can be found by that name.
// The zero value is the absent secret. The value stands behind a pointer because
// fmt prints unexported fields of other structs without asking for String.
type Secret struct{ value *string }

// New wraps value.
func New(value string) Secret { return Secret{&value} }

// Reveal returns the value itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// String, GoString, LogValue and MarshalText all hide the value.
func (s Secret) String() string               { return hidden }
func (s Secret) GoString() string             { return hidden }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
