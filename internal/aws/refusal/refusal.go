// Package refusal says what to do about errors of AWS: one table from error codes to
// hints. The SDK's errors say what was refused, in its words; a person wants to know
// what to do next.
package refusal

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
)

// An Error is one of ours about AWS, with the next thing to do.
type Error struct {
	Err  error
	Next string // the hint
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// New gives err the next thing to do.
func New(err error, format string, args ...any) error {
	return &Error{err, fmt.Sprintf(format, args...)}
}

// Of reports whether err comes of AWS, or of not reaching it, and returns the next
// thing to do; "" when there is nothing to say.
func Of(err error) (hint string, ok bool) {
	var own *Error
	var code smithy.APIError
	var noProfile config.SharedConfigProfileNotExistError
	var call *smithy.OperationError
	called := errors.As(err, &call)
	switch {
	case errors.As(err, &own):
		return own.Next, true
	case errors.As(err, &noProfile):
		return "AWS_PROFILE names a profile that is not in ~/.aws/config: aws configure list-profiles shows them", true
	case errors.As(err, &code):
		return ofCode(code), true
	case isMissingRegion(err):
		return "set aws.region in the configuration, or AWS_REGION", true
	case called:
		return ofNetwork(err, call), true
	}
	return "", false
}

// Code returns AWS's code for err, such as AccessDenied; "" when it has none.
func Code(err error) string {
	var code smithy.APIError
	if errors.As(err, &code) {
		return code.ErrorCode()
	}
	return ""
}

// Is reports whether AWS's code for err is one of codes.
func Is(err error, codes ...string) bool {
	for _, c := range codes {
		if Code(err) == c {
			return true
		}
	}
	return false
}

// hints are by error code. What is left after the whole code has not been found is
// found by how the code begins, so that AccessDeniedException is AccessDenied.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html#CommonErrors
var hints = []struct{ codes, hint string }{
	{"ExpiredToken RequestExpired TokenRefreshRequired", "the credentials have expired: get new ones, such as with aws sso login, and run it again"},
	{"InvalidClientTokenId UnrecognizedClient InvalidAccessKeyId SignatureDoesNotMatch InvalidSignature AuthFailure MissingAuthenticationToken IncompleteSignature",
		"AWS does not know these credentials: aws sts get-caller-identity shows who you are; check AWS_PROFILE, AWS_ACCESS_KEY_ID and this machine's clock"},
	{"OptInRequired SubscriptionRequired", "the account has to enable this region or service first, on AWS's console"},
	{"Throttl RequestLimitExceeded TooManyRequests SlowDown", "AWS asks for patience: wait a minute and run it again, it goes on where it was"},
	{"LimitExceeded ServiceQuotaExceeded ResourceLimitExceeded AccountLimitExceeded", "a quota of the account is used up: Service Quotas on AWS's console raises it, or remove what is not needed"},
	{"InternalFailure InternalServerError InternalError ServiceUnavailable ServerException", "that is AWS's own fault: run it again, it goes on where it was"},
}

// denied are the codes of what is not allowed.
const denied = "AccessDenied UnauthorizedOperation Unauthorized AuthorizationError NotAuthorized Forbidden 403"

// action finds the permission that is missing in what AWS says of it.
var action = regexp.MustCompile(`(?:not authorized to perform:?|perform) ([a-z0-9-]+:[A-Za-z*]+)`)

func ofCode(err smithy.APIError) string {
	if begins(err.ErrorCode(), denied) {
		return "allow " + cmp.Or(Action(err), "it") + " for whoever runs this: docs/aws.md lists the permissions, and an organization's policies may take away what a role allows"
	}
	for _, h := range hints {
		if begins(err.ErrorCode(), h.codes) {
			return h.hint
		}
	}
	return ""
}

// Action returns the permission that err says is missing, such as s3:CreateBucket.
func Action(err error) string {
	if m := action.FindStringSubmatch(err.Error()); m != nil {
		return m[1]
	}
	return ""
}

// Denied reports whether AWS refused err's call for want of a permission.
func Denied(err error) bool { return begins(Code(err), denied) }

func begins(code, codes string) bool {
	for _, c := range strings.Fields(codes) {
		if code != "" && strings.HasPrefix(code, c) {
			return true
		}
	}
	return false
}

func isMissingRegion(err error) bool {
	var missing *aws.MissingRegionError
	return errors.As(err, &missing) || strings.Contains(err.Error(), "Missing Region")
}

// ofNetwork is about calls that had no answer.
func ofNetwork(err error, call *smithy.OperationError) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf("there is no %s: this region has no %s, or this machine has no network", name.Name, call.ServiceID)
	case strings.Contains(err.Error(), "get credentials") || strings.Contains(err.Error(), "refresh cached credentials"):
		return "no credentials for AWS were found: aws configure or aws sso login, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	}
	return "AWS was out of reach: check the network and AWS_REGION, and run it again"
}

// Words returns what err says, with the SDK's part of it cut to who refused what, and
// why: no status codes and no ids.
func Words(err error) string {
	var call *smithy.OperationError
	var code smithy.APIError
	if !errors.As(err, &call) || !errors.As(call, &code) {
		return err.Error()
	}
	short := fmt.Sprintf("%s: %s: %s", call.ServiceID, call.OperationName, cmp.Or(code.ErrorMessage(), code.ErrorCode()))
	return strings.Replace(err.Error(), call.Error(), short, 1)
}
