package simulation

// Prices in USD, us-east-1, on demand, without free tiers, as docs/aws.md has them (June 2026).
const (
	priceLambdaCall   = 0.20 / 1e6      // https://aws.amazon.com/lambda/pricing/
	priceLambdaSecond = 0.0000133334    // of a GB, arm64
	priceEvent        = 1.00 / 1e6      // https://aws.amazon.com/eventbridge/pricing/ (custom events)
	priceQueueCall    = 0.40 / 1e6      // https://aws.amazon.com/sqs/pricing/
	priceWrite        = 0.625 / 1e6     // https://aws.amazon.com/dynamodb/pricing/on-demand/
	priceRead         = 0.125 / 1e6     // of a unit
	priceLogGB        = 0.50            // https://aws.amazon.com/cloudwatch/pricing/
	eventLogged       = 9e3 / 1e9       // GB of an event in the log of events and the archive
	priceDiskHour     = 50 * 0.08 / 730 // https://aws.amazon.com/ebs/pricing/: gp3, 50 GB
	priceAddressHour  = 0.005           // https://aws.amazon.com/vpc/pricing/: public IPv4
	callsOfBatch      = 2 + 2           // receive and delete, in tens: what a poller pays a batch at least
)

// bill adds up dollars for 1,000 jobs: what Mayfly's own part cost, and the hosts.
func (w *world) bill() {
	t, own, hosts := &w.tally, 0.0, 0.0
	for _, f := range w.lambda.functions {
		own += float64(f.counts.calls)*priceLambdaCall + f.counts.billed.Seconds()*float64(f.memory)/1024*priceLambdaSecond
	}
	own += float64(t.events) * (priceEvent + eventLogged*priceLogGB)
	own += float64(t.batches*callsOfBatch+t.batched/receiveMost) * priceQueueCall
	own += t.writes*priceWrite + t.reads*priceRead
	for _, g := range w.ecs.groups {
		hosts += g.hours() * (instanceTypes[g.kind].hourly + priceDiskHour + priceAddressHour)
	}
	thousand := float64(w.jobs) / 1000
	t.dollars, t.hostDollars = own/thousand, hosts/thousand
}
