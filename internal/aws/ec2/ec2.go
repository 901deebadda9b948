// Package ec2 makes the three read calls of EC2 that a deploy needs. The SDK's client of EC2 is
// larger than the rest of Mayfly together (30 MB of a program), so this one speaks EC2's query
// protocol itself, over the SDK's signer, credentials and retries.
//
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
package ec2

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/ec2query"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// apiVersion is of the calls below: EC2's API has had this one since 2016.
const apiVersion = "2016-11-15"

// maxAnswer bounds one page of an answer, in bytes. The largest page that EC2 gives has a
// thousand instances of a few KiB each.
const maxAnswer = 32 << 20

// A Client calls EC2 as whoever the configuration says.
type Client struct {
	config aws.Config
	retry  aws.Retryer
	sign   *signer.Signer
}

// New returns a client for the region of c.
func New(c aws.Config) *Client {
	client := &Client{config: c, retry: retry.NewStandard(), sign: signer.NewSigner()}
	if c.Retryer != nil {
		client.retry = c.Retryer()
	}
	return client
}

// A Filter keeps what has one of the values under a name, such as vpc-id.
type Filter struct {
	Name   string
	Values []string
}

// A page is an answer of a list: what it holds, and the token of the page after it.
type page interface{ next() string }

// list calls action for page after page and gives each to take. The answers are decoded into
// values that empty makes.
func list[P page](ctx context.Context, c *Client, action string, filters []Filter, empty func() P, take func(P)) error {
	for token := ""; ; {
		answer := empty()
		if err := c.call(ctx, action, parameters(action, filters, token), answer); err != nil {
			return &smithy.OperationError{ServiceID: "EC2", OperationName: action, Err: err}
		}
		take(answer)
		if token = answer.next(); token == "" {
			return nil
		}
	}
}

// parameters are the form of a call, with lists numbered from 1.
func parameters(action string, filters []Filter, token string) url.Values {
	form := url.Values{"Action": {action}, "Version": {apiVersion}}
	for i, f := range filters {
		form.Set(fmt.Sprintf("Filter.%d.Name", i+1), f.Name)
		for k, v := range f.Values {
			form.Set(fmt.Sprintf("Filter.%d.Value.%d", i+1, k+1), v)
		}
	}
	if token != "" {
		form.Set("NextToken", token)
	}
	return form
}

// call makes one call, again where the retryer says that it may help.
func (c *Client) call(ctx context.Context, action string, form url.Values, answer any) error {
	for attempt := 1; ; attempt++ {
		err := c.once(ctx, form, answer)
		if err == nil || attempt >= c.retry.MaxAttempts() || !c.retry.IsErrorRetryable(err) {
			return err
		}
		pause, errDelay := c.retry.RetryDelay(attempt, err)
		if errDelay != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

func (c *Client) once(ctx context.Context, form url.Values, answer any) error {
	request, err := c.request(ctx, form.Encode())
	if err != nil {
		return err
	}
	response, err := c.http().Do(request)
	if err != nil {
		return &smithyhttp.RequestSendError{Err: err}
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode != http.StatusOK {
		return refused(response, body)
	}
	if err := xml.NewDecoder(body).Decode(answer); err != nil {
		return fmt.Errorf("reading the answer of EC2: %w", err)
	}
	return nil
}

// request is the signed request of a form.
func (c *Client) request(ctx context.Context, form string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint(), strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if c.config.Credentials == nil {
		return nil, errors.New("get credentials: there are none in the configuration")
	}
	credentials, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("get credentials: %w", err)
	}
	hash := sha256.Sum256([]byte(form))
	return request, c.sign.SignHTTP(ctx, credentials, request, hex.EncodeToString(hash[:]), "ec2", c.config.Region, time.Now())
}

// refused is what an answer that is no success says.
func refused(response *http.Response, body io.Reader) error {
	parts, err := ec2query.GetErrorResponseComponents(body)
	if err != nil {
		parts.Message = response.Status
	}
	fault := smithy.FaultClient
	if response.StatusCode >= 500 {
		fault = smithy.FaultServer
	}
	return &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: response},
		Err:      &smithy.GenericAPIError{Code: parts.Code, Message: parts.Message, Fault: fault},
	}
}

// endpoint is where EC2 answers in the region.
// https://docs.aws.amazon.com/general/latest/gr/ec2-service.html
func (c *Client) endpoint() string {
	if c.config.BaseEndpoint != nil {
		return *c.config.BaseEndpoint
	}
	suffix := "amazonaws.com"
	if strings.HasPrefix(c.config.Region, "cn-") {
		suffix += ".cn"
	}
	return "https://ec2." + c.config.Region + "." + suffix + "/"
}

func (c *Client) http() aws.HTTPClient {
	if c.config.HTTPClient != nil {
		return c.config.HTTPClient
	}
	return http.DefaultClient
}
