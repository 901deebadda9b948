// Command bare is the least that a webhook on Lambda can be, as AWS's own examples
// have it: what comes goes on the bus. It checks nothing and is deployed nowhere; it is what
// `mayfly-bench lambda` measures beside the webhook.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func main() {
	c, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		panic(err)
	}
	client, bus := eventbridge.NewFromConfig(c), os.Getenv("MAYFLY_BUS")
	lambda.Start(func(ctx context.Context, e events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		_, err := client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
			EventBusName: &bus, Source: aws.String("github.com"), DetailType: aws.String(e.Headers["x-github-event"]), Detail: &e.Body,
		}}})
		return events.LambdaFunctionURLResponse{StatusCode: 202}, err
	})
}
