package stack

// poller checks an event source mapping, which passes the messages of a queue to a function: Lambda must accept
// it, and a message that fails must neither be lost nor cause its whole batch to be repeated.
//
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
func (l *linter) poller(id string, p tree) {
	queue, isQueue := l.of(p["EventSourceArn"], "AWS::SQS::Queue")
	function, isFunction := l.of(p["FunctionName"], "AWS::Lambda::Function")
	if !isQueue || !isFunction {
		l.fault(id, "want a queue and a function of the template")
		return
	}
	batch, window := number(p["BatchSize"]), number(p["MaximumBatchingWindowInSeconds"])
	visible, timeout := number(queue["VisibilityTimeout"]), number(function["Timeout"])
	switch atOnce := number(at(p, "ScalingConfig")["MaximumConcurrency"]); {
	case atOnce == 0:
		l.fault(id, "without MaximumConcurrency: a burst takes the concurrency of all functions of the account")
	case atOnce < 2:
		l.fault(id, "MaximumConcurrency %d: Lambda takes 2 to 1000", atOnce)
	}
	if batch > 10 && window == 0 {
		l.fault(id, "a batch of %d without a batching window: Lambda takes 10 at most", batch)
	}
	if visible < 6*timeout {
		l.fault(id, "its messages are visible again after %d s: want six times the function's timeout, %d s", visible, 6*timeout)
	}
	if answers := list(p["FunctionResponseTypes"]); len(answers) != 1 || answers[0] != "ReportBatchItemFailures" {
		l.fault(id, "without ReportBatchItemFailures: a message that fails would have its whole batch given again")
	}
	if at(queue, "RedrivePolicy")["deadLetterTargetArn"] == nil {
		l.fault(id, "its queue has no dead letters: a message that always fails would be given again for days")
	}
	role := referred(function["Role"])
	for _, action := range []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"} {
		if !l.may(role, action, referred(p["EventSourceArn"])) {
			l.fault(id, "%s has no %s on %s", role, action, referred(p["EventSourceArn"]))
		}
	}
}

// number returns a number of a template, or 0 for anything else.
func number(value any) int {
	switch n := value.(type) {
	case uint64:
		return int(n)
	case int64:
		return int(n)
	}
	return 0
}
