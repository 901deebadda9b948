package function

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/mayfly-ci/mayfly/internal/aws/contract"
)

// WriteMetrics writes values, by name, as metrics of a stack: one line in CloudWatch's
// embedded metric format, which the log of a function turns into metrics without a call
// and without a permission.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func WriteMetrics(w io.Writer, stack string, at time.Time, values map[string]float64) error {
	type metric struct{ Name string }
	var names []metric
	line := map[string]any{contract.MetricsDimension: stack}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		names = append(names, metric{name})
		line[name] = values[name]
	}
	line["_aws"] = map[string]any{
		"Timestamp": at.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": contract.MetricsNamespace, "Dimensions": [][]string{{contract.MetricsDimension}}, "Metrics": names,
		}},
	}
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
