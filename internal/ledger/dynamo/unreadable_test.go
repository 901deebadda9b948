package dynamo_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/event"
	"github.com/mayfly-ci/mayfly/internal/ledger"
	"github.com/mayfly-ci/mayfly/internal/ledger/dynamo"
	"github.com/mayfly-ci/mayfly/internal/pool"
)

// TestUnreadableItem: an item that cannot be read is told of, and all else goes on.
func TestUnreadableItem(t *testing.T) {
	cloud := awstest.Start(t)
	client := makeTable(t, cloud, cloud.Config, "unreadable")
	open := func() *dynamo.Ledger {
		return dynamo.New(client, dynamo.Config{
			Table: "unreadable", Limits: ledger.Limits{Pools: pool.Set{{Name: "small", Labels: []string{"linux"}}}}, Log: slog.New(slog.DiscardHandler),
			Emit: func(context.Context, []ledger.Effect) error { return nil },
		})
	}
	queue := func(l *dynamo.Ledger, id int64) {
		t.Helper()
		in := ledger.JobSeen{Job: event.WorkflowJob{Action: "queued", Repository: "acme/web", ID: id, Attempt: 1, Labels: []string{"linux"}}}
		if _, err := l.Apply(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	l := open()
	queue(l, 1)
	_, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String("unreadable"),
		Key: map[string]types.AttributeValue{
			dynamo.KeyPartition: &types.AttributeValueMemberS{Value: "open"}, dynamo.KeySort: &types.AttributeValueMemberS{Value: "job#1/1"},
		},
		UpdateExpression:          aws.String("SET body = :b"),
		ConditionExpression:       aws.String("attribute_exists(body)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":b": &types.AttributeValueMemberS{Value: `{"job":"acme/web/-1/1"}`}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l = open()
	queue(l, 2)
	state, err := l.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if aside := state.Unreadable(); len(aside) != 1 || aside[0].Row != "job#1/1" || !strings.Contains(aside[0].Reason, "want owner/name/id/attempt") {
		t.Errorf("set aside: %+v: want the item and why", aside)
	}
	if jobs, err := l.Jobs(t.Context(), ledger.JobQuery{}); err != nil || len(jobs) != 1 {
		t.Errorf("%v, %v: want the sound job", jobs, err)
	}
	queue(l, 1) // GitHub tells of it again
	if state, err := open().Snapshot(t.Context()); err != nil || len(state.Unreadable()) != 0 {
		t.Errorf("%v: want nothing set aside after it was written anew", err)
	}
}
