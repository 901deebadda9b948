package stack

import (
	"fmt"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
)

// An alarm is a CloudWatch alarm on one metric.
type alarm struct {
	ID, Name, Says      string
	Namespace, Metric   string
	Dimension, Value    string // Value as the template says it
	Statistic, Operator string
	Period, Periods     int // seconds; in a row
	Threshold           int
	Missing             string // what no data means
}

// alarms are what wakes a person, the most pressing first.
func alarms() []alarm {
	const above, below = "GreaterThanThreshold", "LessThanThreshold"
	all := []alarm{
		{
			ID: "Waiting", Name: "waiting", Says: "A job has waited for its runner for a quarter of an hour",
			Namespace: contract.MetricsNamespace, Metric: contract.MetricOldest, Dimension: contract.MetricsDimension, Value: `!Ref "AWS::StackName"`,
			Statistic: "Maximum", Operator: above, Period: 60, Periods: 3, Threshold: 900, Missing: "missing",
		},
		{
			ID: "DeadLetters", Name: "dead-letters", Says: "Events could not be delivered and the sweep has not taken them back",
			Namespace: "AWS/SQS", Metric: "ApproximateNumberOfMessagesVisible", Dimension: "QueueName", Value: "!GetAtt DeadLetters.QueueName",
			Statistic: "Maximum", Operator: above, Period: 60, Periods: 5, Threshold: 0, Missing: "notBreaching",
		},
		{
			ID: "Quarantine", Name: "quarantine", Says: "Deliveries could not be routed - mayfly quarantine list shows what they lack",
			Namespace: "AWS/SQS", Metric: "ApproximateNumberOfMessagesVisible", Dimension: "QueueName", Value: "!GetAtt Quarantine.QueueName",
			Statistic: "Maximum", Operator: above, Period: 60, Periods: 1, Threshold: 0, Missing: "notBreaching",
		},
		{
			ID: "Runway", Name: "runway", Says: "GitHub will refuse the runner's version within a week",
			Namespace: contract.MetricsNamespace, Metric: contract.MetricRunway, Dimension: contract.MetricsDimension, Value: `!Ref "AWS::StackName"`,
			Statistic: "Minimum", Operator: below, Period: 3600, Periods: 1, Threshold: 7, Missing: "missing",
		},
	}
	for _, function := range []string{"Webhook", "Claim", "Ledger", "Sweep", "Release"} {
		periods := 3 // what is tried again by itself may fail now and then
		if function == "Webhook" {
			periods = 1
		}
		all = append(all, alarm{
			ID: function + "Errors", Name: fmt.Sprintf("%s-errors", strings.ToLower(function)), Says: fmt.Sprintf("The function %s fails", strings.ToLower(function)),
			Namespace: "AWS/Lambda", Metric: "Errors", Dimension: "FunctionName", Value: fmt.Sprintf("!Ref %sFunction", function),
			Statistic: "Sum", Operator: above, Period: 60, Periods: periods, Threshold: 0, Missing: "notBreaching",
		})
	}
	return all
}
