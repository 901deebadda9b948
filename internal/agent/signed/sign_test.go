package signed

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

// TestPublishedVectors signs what AWS's own test suite for Signature Version 4
// signs. https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html (2015)
func TestPublishedVectors(t *testing.T) {
	const session = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/" +
		"qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+" +
		"scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
	for name, test := range map[string]struct {
		method, query string
		header        http.Header
		body, token   string
		want          string // signed headers and signature
	}{
		"get-vanilla":                      {method: "GET", want: "host;x-amz-date 5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"post-vanilla":                     {method: "POST", want: "host;x-amz-date 5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		"get-vanilla-query-order-key-case": {method: "GET", query: "Param2=value2&Param1=value1", want: "host;x-amz-date b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"post-header-value-case":           {method: "POST", header: http.Header{"My-Header1": {"VALUE1"}}, want: "host;my-header1;x-amz-date cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
		"post-x-www-form-urlencoded":       {method: "POST", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body: "Param1=value1", want: "content-type;host;x-amz-date ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
		"post-sts-header-before":           {method: "POST", token: session, want: "host;x-amz-date;x-amz-security-token 85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
	} {
		r := &http.Request{Method: test.method, URL: &url.URL{Scheme: "https", Host: "example.amazonaws.com", Path: "/", RawQuery: test.query}, Header: test.header.Clone()}
		if r.Header == nil {
			r.Header = http.Header{}
		}
		sign(r, []byte(test.body), keys{ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", Token: test.token},
			"us-east-1", "service", time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC))
		names, signature, _ := strings.Cut(test.want, " ")
		want := "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + names + ", Signature=" + signature
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// TestAsTheSDKSigns holds requests of all kinds against AWS's own signer.
func TestAsTheSDKSigns(t *testing.T) {
	text := rapid.StringMatching(`[ -~äß]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		u := &url.URL{Scheme: "https", Host: "abc.lambda-url.eu-west-1.on.aws", Path: "/" + rapid.StringMatching(`[a-zA-Z0-9 %+~_.ä-]{0,9}(/[a-z$=]{1,5})?`).Draw(t, "path")}
		query := url.Values{}
		for range rapid.IntRange(0, 3).Draw(t, "parameters") {
			name := rapid.OneOf(rapid.Just("again"), rapid.StringMatching(`[ -~äß]{1,4}`))
			query.Add(name.Draw(t, "name"), text.Draw(t, "value"))
		}
		u.RawQuery = query.Encode()
		body := []byte(text.Draw(t, "body"))
		at := time.Unix(rapid.Int64Range(1e9, 2e9).Draw(t, "at"), 0)
		k := keys{ID: "AKID", Secret: text.Draw(t, "secret"), Token: rapid.SampledFrom([]string{"", "session"}).Draw(t, "token")}
		request := func() *http.Request {
			return &http.Request{Method: "POST", URL: u, Header: http.Header{"Content-Type": {"application/json"}, "X-Note": {" a   b "}}}
		}
		ours, theirs := request(), request()
		sign(ours, body, k, "eu-west-1", service, at)
		hash := sha256.Sum256(body)
		err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Token},
			theirs, hex.EncodeToString(hash[:]), service, "eu-west-1", at)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := ours.Header.Get("Authorization"), theirs.Header.Get("Authorization"); got != want {
			t.Errorf("%s\n got %s\nwant %s", u, got, want)
		}
	})
}
