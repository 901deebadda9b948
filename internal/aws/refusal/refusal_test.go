package refusal_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// refused is an error as the SDK gives it.
func refused(code, message string) error {
	return &smithy.OperationError{ServiceID: "S3", OperationName: "CreateBucket",
		Err: fmt.Errorf("https response error StatusCode: 403, RequestID: 1, %w", &smithy.GenericAPIError{Code: code, Message: message})}
}

func unanswered(err error) error {
	return &smithy.OperationError{ServiceID: "CodeCommit", OperationName: "GetRepository", Err: err}
}

func TestHints(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"expired":        {refused("ExpiredTokenException", "x"), "have expired"},
		"denied":         {refused("AccessDenied", "User: arn:x is not authorized to perform: s3:CreateBucket on resource: y"), "allow s3:CreateBucket for"},
		"denied, silent": {refused("AccessDeniedException", ""), "allow it for"},
		"wrong":          {refused("UnrecognizedClientException", "x"), "does not know these credentials"},
		"throttled":      {refused("ThrottlingException", "x"), "patience"},
		"quota":          {refused("LimitExceededException", "x"), "quota"},
		"no region":      {fmt.Errorf("x: %w", &aws.MissingRegionError{}), "aws.region"},
		"no endpoint":    {unanswered(errors.New("resolve endpoint: endpoint rule error, Invalid Configuration: Missing Region")), "aws.region"},
		"no service":     {unanswered(&net.DNSError{Name: "codecommit.xx-1.amazonaws.com", IsNotFound: true}), "this region has no CodeCommit"},
		"no credentials": {unanswered(errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found")), "no credentials"},
		"no network":     {unanswered(errors.New("connection refused")), "out of reach"},
		"ours":           {fmt.Errorf("x: %w", refusal.New(errors.New("y"), "do %d things", 2)), "do 2 things"},
		"unknown code":   {refused("NoSuchThing", "x"), ""},
	} {
		hint, ok := refusal.Of(fmt.Errorf("deploying: %w", c.err))
		if !ok || !strings.Contains(hint, c.want) || (c.want == "") != (hint == "") {
			t.Errorf("%s: hint %q, %v: want %q", name, hint, ok, c.want)
		}
	}
	if hint, ok := refusal.Of(errors.New("disk full")); ok {
		t.Errorf("an error that is not AWS's has hint %q", hint)
	}
}

func TestWords(t *testing.T) {
	for err, want := range map[error]string{
		fmt.Errorf("bucket: %w", refused("AccessDenied", "no entry")): "bucket: S3: CreateBucket: no entry",
		refused("Odd", ""):                           "S3: CreateBucket: Odd",
		fmt.Errorf("x: %w", errors.New("disk full")): "x: disk full",
	} {
		if got := refusal.Words(err); got != want {
			t.Errorf("words %q, want %q", got, want)
		}
	}
}
