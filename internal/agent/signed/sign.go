package signed

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Forms that AWS's Signature Version 4 is made of.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
const (
	algorithm = "AWS4-HMAC-SHA256"
	longTime  = "20060102T150405Z"
	day       = "20060102"
)

// sign gives r, whose body is body, the headers that say whose it is. All headers
// that r has are signed, and its host.
func sign(r *http.Request, body []byte, k keys, region, service string, now time.Time) {
	now = now.UTC()
	r.Header.Set("X-Amz-Date", now.Format(longTime))
	if k.Token != "" {
		r.Header.Set("X-Amz-Security-Token", k.Token)
	}
	names, headers := canonicalHeaders(r)
	request := strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), headers, names, hexSum(body),
	}, "\n")
	scope := strings.Join([]string{now.Format(day), region, service, "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, now.Format(longTime), scope, hexSum([]byte(request))}, "\n")
	key := []byte("AWS4" + k.Secret)
	for _, part := range strings.Split(scope, "/") {
		key = sum(key, part)
	}
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		algorithm, k.ID, scope, names, sum(key, text)))
}

// canonicalHeaders returns the names of what is signed, and a line for each.
func canonicalHeaders(r *http.Request) (names, lines string) {
	values := map[string]string{"host": r.URL.Host}
	if r.Host != "" {
		values["host"] = r.Host
	}
	for name, list := range r.Header {
		each := make([]string, len(list))
		for i, v := range list {
			each[i] = strings.Join(strings.Fields(v), " ")
		}
		values[strings.ToLower(name)] = strings.Join(each, ",")
	}
	sorted := make([]string, 0, len(values))
	for name := range values {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	var b strings.Builder
	for _, name := range sorted {
		fmt.Fprintf(&b, "%s:%s\n", name, values[name])
	}
	return strings.Join(sorted, ";"), b.String()
}

// canonicalPath is the path as it is sent, with each of its segments encoded once
// more, as every service but S3 has it.
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = encode(p)
	}
	return strings.Join(parts, "/")
}

// canonicalQuery is the query, encoded, and then sorted by name and by value: the two
// orders differ, as "/" sorts after "-" and "%2F" before it.
func canonicalQuery(u *url.URL) string {
	type parameter struct{ name, value string }
	var all []parameter
	for name, values := range u.Query() {
		for _, v := range values {
			all = append(all, parameter{encode(name), encode(v)})
		}
	}
	slices.SortFunc(all, func(a, b parameter) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	pairs := make([]string, len(all))
	for i, p := range all {
		pairs[i] = p.name + "=" + p.value
	}
	return strings.Join(pairs, "&")
}

// encode escapes all but A-Z, a-z, 0-9 and "-_.~".
func encode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
