package awstest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// Absent are the types of resources that moto's CloudFormation passes over in silence:
// nothing of them is tested by it.
func Absent() []string {
	return []string{
		"AWS::CloudWatch::Alarm", "AWS::CodeBuild::Project", "AWS::CodeCommit::Repository", "AWS::ECS::CapacityProvider",
		"AWS::ECS::ClusterCapacityProviderAssociations", "AWS::EventSchemas::Discoverer", "AWS::Lambda::Url",
		"AWS::SQS::QueuePolicy", "AWS::SecretsManager::Secret",
	}
}

// CloudFormation stands before moto's, so that stand-ins can have what moto passes over
// ([Absent]): it tells when a stack is made and gone, and puts into the stack's outputs what
// refers to them.
type CloudFormation struct {
	Made, Gone func(stack string)
	Outputs    map[string]string // by name

	// Lacks has the types that the region does not have. moto knows no types.
	Lacks []string

	status atomic.Value // in place of the stack's own, until it is deleted; see SetStatus

	moto http.Handler
}

// CloudFormation returns one before c.
func (c *Cloud) CloudFormation() *CloudFormation { return &CloudFormation{moto: c.proxy()} }

// ServeHTTP implements [http.Handler].
func (c *CloudFormation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, _ := url.ParseQuery(string(body)) // moto says what is wrong with it
	if form.Get("Action") == "DescribeType" {
		c.describeType(w, form.Get("TypeName"))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	c.moto.ServeHTTP(answer, r)
	text := answer.Body.String()
	if answer.Code == http.StatusOK {
		switch form.Get("Action") {
		case "ExecuteChangeSet":
			c.Made(form.Get("StackName"))
		case "DeleteStack":
			c.SetStatus("")
			c.Gone(form.Get("StackName"))
		case "DescribeStacks":
			text = c.filled(text)
		}
	}
	maps.Copy(w.Header(), answer.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(answer.Code)
	_, _ = io.WriteString(w, text) // who is gone hears nothing
}

// describeType answers as AWS does of a type that a region has, or has not.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeType.html
func (c *CloudFormation) describeType(w http.ResponseWriter, name string) {
	if slices.Contains(c.Lacks, name) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<ErrorResponse><Error><Type>Sender</Type><Code>TypeNotFoundException</Code><Message>The type '"+name+"' cannot be found.</Message></Error></ErrorResponse>")
		return
	}
	_, _ = io.WriteString(w, "<DescribeTypeResponse><DescribeTypeResult><TypeName>"+name+"</TypeName></DescribeTypeResult></DescribeTypeResponse>")
}

// SetStatus has the stack stand as it cannot in moto, such as ROLLBACK_COMPLETE, until it
// is deleted.
func (c *CloudFormation) SetStatus(status string) { c.status.Store(status) }

// filled returns an answer with outputs as AWS would have them.
func (c *CloudFormation) filled(text string) string {
	for name, value := range c.Outputs {
		before, after, found := strings.Cut(text, "<OutputKey>"+name+"</OutputKey>")
		_, rest, closed := strings.Cut(after, "</OutputValue>")
		if found && closed {
			text = before + "<OutputKey>" + name + "</OutputKey><OutputValue>" + value + "</OutputValue>" + rest
		}
	}
	if status, _ := c.status.Load().(string); status != "" {
		before, after, _ := strings.Cut(text, "<StackStatus>")
		_, rest, _ := strings.Cut(after, "</StackStatus>")
		text = before + "<StackStatus>" + status + "</StackStatus>" + rest
	}
	return text
}
