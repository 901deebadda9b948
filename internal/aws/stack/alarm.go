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
	Dimensions          []dimension
	Statistic, Operator string
	Period, Periods     int // in seconds; how many in a row
	Threshold           int
	Missing             string // how CloudWatch treats missing data
	OnlyUp              bool   // whether it is active only while rules are on
}

// A dimension is one of a metric. Its Value is in the template's syntax.
type dimension struct{ Name, Value string }

const above, below = "GreaterThanThreshold", "LessThanThreshold"

// alarms returns the alarms of a stack, most urgent first.
func alarms(s Settings, hosts []hostsView, builds []buildView) []alarm {
	stack := []dimension{{contract.MetricsDimension, `!Ref "AWS::StackName"`}}
	all := []alarm{
		{
			ID: "Waiting", Name: "waiting", Says: "A job has waited for its runner for a quarter of an hour",
			Namespace: contract.MetricsNamespace, Metric: contract.MetricOldest, Dimensions: stack,
			Statistic: "Maximum", Operator: above, Period: 60, Periods: 3, Threshold: 900, Missing: "missing",
		},
		visible("DeadLetters", "dead-letters", "Events could not be delivered and the sweep has not taken them back", 5),
		visible("Quarantine", "quarantine", "Deliveries could not be routed - mayfly quarantine list shows what they lack", 1),
		{
			ID: "Runway", Name: "runway", Says: "GitHub will refuse the runner's version within a week",
			Namespace: contract.MetricsNamespace, Metric: contract.MetricRunway, Dimensions: stack,
			Statistic: "Minimum", Operator: below, Period: 3600, Periods: 1, Threshold: 7, Missing: "missing",
		},
	}
	for _, function := range []string{"Webhook", "Claim", "Ledger", "Sweep", "Release"} {
		periods := 3 // an occasional failure is normal, because events are retried
		if function == "Webhook" {
			periods = 1
		}
		all = append(all, ofFunction(function, "Errors", fmt.Sprintf("The function %s fails", strings.ToLower(function)), periods))
	}
	for _, function := range []string{"Webhook", "Claim", "Sweep"} { // throttled calls of the ledger wait in a queue
		says := fmt.Sprintf("Lambda refuses calls of the function %s - the account's concurrency is used up", strings.ToLower(function))
		all = append(all, ofFunction(function, "Throttles", says, 3))
	}
	return append(append(all, silences(s)...), ofHosts(hosts, builds)...)
}

// visible returns an alarm on messages in a queue.
func visible(queue, name, says string, periods int) alarm {
	return alarm{
		ID: queue, Name: name, Says: says, Namespace: "AWS/SQS", Metric: "ApproximateNumberOfMessagesVisible",
		Dimensions: []dimension{{"QueueName", "!GetAtt " + queue + ".QueueName"}},
		Statistic:  "Maximum", Operator: above, Period: 60, Periods: periods, Missing: "notBreaching",
	}
}

// ofFunction returns an alarm on a metric of a function that should be zero.
func ofFunction(function, metric, says string, periods int) alarm {
	return alarm{
		ID: function + metric, Name: strings.ToLower(function + "-" + metric), Says: says, Namespace: "AWS/Lambda", Metric: metric,
		Dimensions: []dimension{{"FunctionName", "!Ref " + function + "Function"}},
		Statistic:  "Sum", Operator: above, Period: 60, Periods: periods, Missing: "notBreaching",
	}
}

// silences returns alarms on calls that stop, which no error metric shows.
func silences(s Settings) []alarm {
	silent := func(function, name, says string, period, periods int) alarm {
		a := ofFunction(function, "Invocations", says, periods)
		a.ID, a.Name, a.Operator, a.Period, a.Threshold, a.Missing, a.OnlyUp = function+"Silent", name, below, period, 1, "breaching", true
		return a
	}
	all := []alarm{silent("Sweep", "sweep-silent", "The sweep has not run for five minutes", 60, 5)}
	if s.QuietHours > 0 {
		says := fmt.Sprintf("GitHub has sent nothing for %d hours - mayfly webhook ping shows whether it can", s.QuietHours)
		all = append(all, silent("Webhook", "webhook-silent", says, 3600, s.QuietHours))
	}
	return all
}

// ofHosts returns the alarms for each group of hosts and each build.
func ofHosts(hosts []hostsView, builds []buildView) (all []alarm) {
	for _, h := range hosts {
		all = append(all, alarm{
			ID: "Host" + h.ID + "Full", Name: "full-" + h.Name, Says: "Tasks have waited for hosts of " + h.For + " for a quarter of an hour - aws.hosts.max, a quota or AWS has no more",
			Namespace: "AWS/ECS/ManagedScaling", Metric: "CapacityProviderReservation",
			Dimensions: []dimension{{"CapacityProviderName", "!Ref Host" + h.ID + "CapacityProvider"}, {"ClusterName", "!Ref Cluster"}},
			Statistic:  "Minimum", Operator: above, Period: 60, Periods: 15, Threshold: 100, Missing: "notBreaching",
		})
	}
	for _, b := range builds {
		all = append(all, alarm{
			ID: "Build" + b.ID + "Failed", Name: "build-failed-" + b.Architecture, Says: "The runner image could not be built for " + b.Architecture,
			Namespace: "AWS/CodeBuild", Metric: "FailedBuilds", Dimensions: []dimension{{"ProjectName", "!Ref Build" + b.ID}},
			Statistic: "Sum", Operator: above, Period: 300, Periods: 1, Missing: "notBreaching",
		})
	}
	return all
}
