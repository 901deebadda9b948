package worker

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// masks hides secrets in what a job prints. It may be used by several goroutines.
type masks struct {
	mu       sync.RWMutex
	secrets  []string // longest first, so that no part of one stays behind
	replacer *strings.Replacer
}

// minMask is the shortest secret that is hidden: shorter ones would only garble
// the log.
const minMask = 2

// add hides value, each line of it, and the forms in which it may be printed by
// chance, from now on.
func (m *masks) add(value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range append(strings.Split(value, "\n"), value) {
		if v = strings.TrimSpace(v); len(v) >= minMask && !slices.Contains(m.secrets, v) {
			m.secrets = append(m.secrets, v)
			m.secrets = append(m.secrets, disguises(v)...)
		}
	}
	slices.SortFunc(m.secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range m.secrets {
		pairs = append(pairs, s, "***")
	}
	m.replacer = strings.NewReplacer(pairs...)
}

// disguises are other forms of a secret (ValueEncoders.cs): base64 of it wherever
// it stands in what is encoded, and as JSON and URLs have it.
func disguises(secret string) []string {
	var all []string
	for shift := range 3 {
		if len(secret) <= shift+3 {
			break
		}
		encoded := base64.StdEncoding.EncodeToString([]byte(secret[shift:]))
		all = append(all, encoded, strings.TrimRight(encoded, "="))
	}
	quoted, _ := json.Marshal(secret)
	for _, other := range []string{strings.Trim(string(quoted), `"`), url.PathEscape(secret), url.QueryEscape(secret)} {
		if other != secret {
			all = append(all, other)
		}
	}
	return all
}

// hide returns text with every secret replaced.
func (m *masks) hide(text string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.replacer == nil {
		return text
	}
	return m.replacer.Replace(text)
}
