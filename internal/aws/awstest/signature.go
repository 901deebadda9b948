package awstest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$`)

// CheckSignature says whether r, whose body is body, was signed for service with
// keys in this Cloud's region, as AWS checks it in front of a Function URL: it is signed
// again with AWS's own signer, and must come out the same. moto checks no signatures.
func CheckSignature(r *http.Request, body []byte, keys aws.Credentials, service string) error {
	parts := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return errors.New("not signed: want an Authorization header of Signature Version 4")
	}
	id, region, forService, signed := parts[1], parts[3], parts[4], ";"+parts[5]+";"
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	switch {
	case err != nil:
		return fmt.Errorf("header X-Amz-Date: %w", err)
	case time.Since(at).Abs() > 5*time.Minute:
		return fmt.Errorf("signed at %v: want within 5 minutes of now", at)
	case id != keys.AccessKeyID || r.Header.Get("X-Amz-Security-Token") != keys.SessionToken:
		return fmt.Errorf("signed by %s with another session's key", id)
	case region != Region || forService != service:
		return fmt.Errorf("signed for %s in %s: want %s in %s", forService, region, service, Region)
	case !strings.Contains(signed, ";host;") || !strings.Contains(signed, ";x-amz-date;"):
		return fmt.Errorf("signed are %s: want host and x-amz-date among them", parts[5])
	}
	again := &http.Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: http.Header{}}
	for name, values := range r.Header {
		if strings.Contains(signed, ";"+strings.ToLower(name)+";") {
			again.Header[name] = values
		}
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(context.Background(), keys, again, hex.EncodeToString(sum[:]), service, Region, at); err != nil {
		return err
	}
	if again.Header.Get("Authorization") != r.Header.Get("Authorization") {
		return errors.New("the signature does not match")
	}
	return nil
}
