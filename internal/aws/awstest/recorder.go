package awstest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/middleware"
)

// A Recorder notes the permissions that the calls of clients need, in the form of
// IAM policies ("ecs:DescribeTasks"). Its zero value is ready, and it may be used from several
// goroutines at once.
type Recorder struct {
	mu      sync.Mutex
	actions map[string]bool // guarded by mu
}

// Watch returns c with r watching the clients made from it. Recorders may watch one
// after another, such as one for each function.
func (r *Recorder) Watch(c aws.Config) aws.Config {
	c = c.Copy()
	c.APIOptions = append(slices.Clip(c.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc(fmt.Sprintf("Recorder %p", r), r.note), middleware.After)
	})
	return c
}

// Actions returns what was needed so far, sorted, each once.
func (r *Recorder) Actions() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.actions))
}

func (r *Recorder) note(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	r.mu.Lock()
	if r.actions == nil {
		r.actions = map[string]bool{}
	}
	for _, operation := range permissions(awsmiddleware.GetOperationName(ctx), in.Parameters) {
		r.actions[prefix(awsmiddleware.GetServiceID(ctx))+":"+operation] = true
	}
	r.mu.Unlock()
	return next.HandleInitialize(ctx, in)
}

// prefix is how policies call the service that the SDK calls id.
func prefix(id string) string {
	id = strings.ToLower(strings.ReplaceAll(id, " ", ""))
	return cmp.Or(map[string]string{"eventbridge": "events", "cloudwatchlogs": "logs"}[id], id)
}

// renamed are the operations for which policies have another name.
//
// https://docs.aws.amazon.com/service-authorization/latest/reference/
var renamed = map[string][]string{
	"DeleteMessageBatch":           {"DeleteMessage"},
	"SendMessageBatch":             {"SendMessage"},
	"ChangeMessageVisibilityBatch": {"ChangeMessageVisibility"},
	"HeadObject":                   {"GetObject"},
	"ListObjectsV2":                {"ListBucket"},
	"ListObjectVersions":           {"ListBucketVersions"},
	"DeleteObjects":                {"DeleteObject", "DeleteObjectVersion"},
	"HeadBucket":                   {"ListBucket"},
	"Invoke":                       {"InvokeFunction"},
}

// permissions returns what a call of operation needs. A transaction needs what its
// parts do: there is no permission for transactions.
func permissions(operation string, in any) (needed []string) {
	tx, ok := in.(*dynamodb.TransactWriteItemsInput)
	if !ok {
		if other, ok := renamed[operation]; ok {
			return other
		}
		return []string{operation}
	}
	for _, item := range tx.TransactItems {
		switch {
		case item.Put != nil:
			needed = append(needed, "PutItem")
		case item.Update != nil:
			needed = append(needed, "UpdateItem")
		case item.Delete != nil:
			needed = append(needed, "DeleteItem")
		case item.ConditionCheck != nil:
			needed = append(needed, "ConditionCheckItem")
		}
	}
	return needed
}
