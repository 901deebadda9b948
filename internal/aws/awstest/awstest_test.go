package awstest_test

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
)

func TestCloudKeepsWhatItIsTold(t *testing.T) {
	cloud := awstest.Start(t)
	queues := sqs.NewFromConfig(cloud.Config)
	made, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("letters")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = queues.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{
		QueueUrl: made.QueueUrl, Entries: []sqstypes.SendMessageBatchRequestEntry{{Id: aws.String("1"), MessageBody: aws.String("hello")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl})
	if err != nil || len(got.Messages) != 1 || *got.Messages[0].Body != "hello" {
		t.Errorf("received %+v, %v: want what was sent", got, err)
	}
}

func TestRecorderNamesPermissions(t *testing.T) {
	cloud := awstest.Start(t)
	var own awstest.Recorder
	tables := dynamodb.NewFromConfig(own.Watch(cloud.Config))
	item := map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: "a"}}
	if _, err := tables.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: aws.String("none"), Item: item}},
		{Delete: &types.Delete{TableName: aws.String("none"), Key: item}},
	}}); err == nil {
		t.Error("no error for a table that is not there")
	}
	if _, err := eventbridge.NewFromConfig(cloud.Config).ListEventBuses(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"dynamodb:DeleteItem", "dynamodb:PutItem"}, own.Actions()); diff != "" {
		t.Errorf("actions of one (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dynamodb:DeleteItem", "dynamodb:PutItem", "events:ListEventBuses"}, cloud.Recorder.Actions()); diff != "" {
		t.Errorf("actions of all (-want +got):\n%s", diff)
	}
}

// TestCloudEndsWithItsTest: what one test has told its cloud, no other finds, and nobody
// reaches that cloud any more.
func TestCloudEndsWithItsTest(t *testing.T) {
	url := ""
	for range 2 {
		t.Run("its test", func(t *testing.T) {
			cloud := awstest.Start(t)
			queues := sqs.NewFromConfig(cloud.Config)
			list, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{})
			if err != nil || len(list.QueueUrls) != 0 {
				t.Errorf("queues %v, %v: want none", list, err)
			}
			if _, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("letters")}); err != nil {
				t.Fatal(err)
			}
			url = cloud.URL
		})
	}
	if url == "" {
		t.Skip("SKIPPED, NOT TESTED: moto_server is not installed")
	}
	if resp, err := http.Get(url); err == nil {
		_ = resp.Body.Close()
		t.Errorf("%s answers after its test: want nothing there", url)
	}
}
