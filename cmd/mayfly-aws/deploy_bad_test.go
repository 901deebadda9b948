package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/inspect"
)

// cut loses the first call of a name, in the way that loss says, and whatever is called
// after it: from then on, whoever calls is as good as gone. It returns whether it did.
func (w *cloudWorld) cut(call string, loss awstest.Loss) (happened func() bool) {
	var gone atomic.Bool
	w.front.SetLose(func(c string) awstest.Loss {
		if gone.Load() {
			return awstest.RequestLost
		}
		if c == call {
			gone.Store(true)
			return loss
		}
		return awstest.Kept
	})
	return gone.Load
}

// TestDeployIsInterruptedAtEachStep ends a deploy at each call that changes something,
// before it is carried out and after, and runs the next one.
func TestDeployIsInterruptedAtEachStep(t *testing.T) {
	w := newCloudWorld(t)
	for _, call := range []string{
		"s3:CreateBucket", "s3:PutObject", "cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet", "secretsmanager:PutSecretValue",
		"codecommit:CreateCommit", "codebuild:StartBuild", "cloudformation:ExecuteChangeSet",
	} {
		for _, loss := range []awstest.Loss{awstest.RequestLost, awstest.ResponseLost} {
			happened := w.cut(call, loss)
			_, errs, code := w.deploy(t)
			if happened() && (code != 5 || !strings.Contains(errs, "hint:")) {
				t.Errorf("%s lost: exit code %d, want 5 and a hint\n%s", call, code, errs)
			}
			if loss == awstest.RequestLost && !happened() {
				t.Errorf("%s was not called:\n%s", call, errs)
			}
		}
	}
	w.front.SetLose(nil)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	if _, commits := w.git.Files("ci-image"); commits != 1 || w.builds.Started() != 1 {
		t.Errorf("%d commits, %d builds: want one of each", commits, w.builds.Started())
	}
	if got := w.cloud.Secret(t, "ci-webhook"); got != w.secret {
		t.Errorf("webhook secret %q, want the configuration's", got)
	}
	if status := asJSON[inspect.Status](t, w, "status", "--json"); !status.Running {
		t.Errorf("status %+v: want it running", status)
	}
}

// TestDestroyIsInterruptedAtEachStep does the same to a destroy.
func TestDestroyIsInterruptedAtEachStep(t *testing.T) {
	w := newCloudWorld(t)
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	for _, call := range []string{"events:DisableRule", "autoscaling:UpdateAutoScalingGroup", "ecr:BatchDeleteImage", "cloudformation:DeleteStack", "s3:DeleteBucket"} {
		for _, loss := range []awstest.Loss{awstest.RequestLost, awstest.ResponseLost} {
			happened := w.cut(call, loss)
			if _, errs, code := w.run(t, nil, "destroy", "--yes", "--look", "5ms"); happened() && code != 5 {
				t.Errorf("%s lost: exit code %d, want 5\n%s", call, code, errs)
			}
		}
	}
	w.front.SetLose(nil)
	out, errs, code = w.run(t, nil, "destroy", "--yes", "--look", "5ms")
	w.must(t, out, errs, code)
}

// TestDeployRefusesBeforeItMakesAnything has what would stop it halfway said at once.
func TestDeployRefusesBeforeItMakesAnything(t *testing.T) {
	w := newCloudWorld(t)
	expired := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(rw, `<ErrorResponse><Error><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>`)
	}))
	t.Cleanup(expired.Close)
	yaml := w.cloudYAML()
	for name, c := range map[string]struct {
		yaml   string
		denied string
		status string
		env    []string
		code   int
		want   []string
	}{
		"stack name":          {yaml: strings.Replace(yaml, "stack: ci", "stack: aws-ci", 1), code: 2, want: []string{"aws-ci"}},
		"long stack name":     {yaml: strings.Replace(yaml, "stack: ci", "stack: a-name-that-goes-on-and-on", 1), code: 2, want: []string{"a-name-that-goes-on-and-on"}},
		"permission":          {denied: "lambda:CreateFunction", code: 5, want: []string{"may not: lambda:CreateFunction", "docs/aws-deploy-policy.json", "--ignore-permissions"}},
		"service":             {env: []string{"AWS_ENDPOINT_URL_CODECOMMIT=http://codecommit.nowhere.invalid"}, code: 5, want: []string{"this region has no CodeCommit"}},
		"rolled back in vain": {status: "ROLLBACK_FAILED", code: 5, want: []string{"ROLLBACK_FAILED", "mayfly destroy"}},
		"update rolled back":  {status: "UPDATE_ROLLBACK_FAILED", code: 5, want: []string{"continue-update-rollback --stack-name ci"}},
		"subnet":              {yaml: strings.Replace(yaml, w.network.Subnet, "subnet-0123456789abcdef0", 1), code: 5, want: []string{"subnet-0123456789abcdef0 is not there", "aws ec2 describe-subnets"}},
		"functions":           {yaml: strings.Replace(yaml, "subnets: [", "functions_in_vpc: true, subnets: [", 1), code: 2, want: []string{"functions_in_vpc with public_addresses"}},
		"expired":             {env: []string{"AWS_ENDPOINT_URL_STS=" + expired.URL}, code: 5, want: []string{"is expired", "aws sso login"}},
		"no region":           {yaml: strings.Replace(yaml, "region: "+awstest.Region+", ", "", 1), env: []string{"AWS_REGION="}, code: 5, want: []string{"aws.region"}},
		"no credentials":      {env: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}, code: 5, want: []string{"no credentials"}},
		"no token at GitHub":  {env: []string{"GITHUB_TOKEN=wrong"}, code: 4, want: []string{"401"}},
	} {
		if c.status != "" {
			w.stands(t, c.status)
		}
		w.denied.Store(c.denied)
		text := c.yaml
		if text == "" {
			text = yaml
		}
		if err := os.WriteFile(w.config(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, errs, code := w.run(t, c.env, "deploy", "--programs", w.programs, "--look", "5ms")
		for _, want := range append(c.want, "hint: ") {
			if code != c.code || !strings.Contains(errs, want) {
				t.Errorf("%s: exit code %d, want %d, and %q in\n%s", name, code, c.code, want, errs)
			}
		}
		w.stack.SetStatus("")
	}
	for call := range w.front.Calls() {
		if _, operation, _ := strings.Cut(call, ":"); strings.HasPrefix(operation, "Create") || strings.HasPrefix(operation, "Put") {
			t.Errorf("%s was called", call)
		}
	}
}

// stands has the stack be there, in a status that moto does not bring it to.
func (w *cloudWorld) stands(t *testing.T, status string) {
	t.Helper()
	w.cloud.MakeStack(t, "ci")
	w.stack.SetStatus(status)
}

// TestDeployGoesOnAfterAFailedCreation removes what that left.
func TestDeployGoesOnAfterAFailedCreation(t *testing.T) {
	w := newCloudWorld(t)
	w.stands(t, "ROLLBACK_COMPLETE")
	out, errs, code := w.deploy(t)
	w.must(t, out, errs, code)
	if n := w.front.Calls()["cloudformation:DeleteStack"]; n != 1 {
		t.Errorf("%d stacks deleted, want the failed one: %s", n, fmt.Sprint(errs))
	}
}
