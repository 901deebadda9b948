package dynamo

// The table. The stack's template has the same names; a test compares them.
//
//	partition (pk)	       sort key (sk)        what
//	open	                 head                 the version of everything open, and the ledger's instance
//	open	                 job#123/1            an unsettled job, by its number, which outlives a rename of its repository
//	open	                 runner#NAME          a live runner
//	unroutable	           job#123/1            a job that fits no pool, until it has run elsewhere
//	job#123/1	            the same             a settled job
//	runner#NAME	          the same             a gone runner
//	log	                  version              the names of the rows that this version wrote
//	outbox	               version              effects of this version, until they are sent
//	memo	                 name                 a text of the functions, such as how far the sweep has read deliveries
//
// The indexes contain jobs and runners of all partitions, in the order of their first write.
const (
	KeyPartition = "pk" // S, hash key of the table
	KeySort      = "sk" // S, range key of the table

	IndexNewest = "newest"   // index of jobs and of runners, all attributes
	KeyKind     = "kind"     // S, hash key of IndexNewest: "job" or "runner"
	IndexJob    = "made_for" // index of a job's runners, all attributes
	KeyMadeFor  = "made_for" // S, hash key of IndexJob: key of the job
	IndexImage  = "image"    // index of the runners whose start from an image has an outcome, all attributes
	KeyImage    = "image"    // S, hash key of IndexImage: what they were started from
	KeySequence = "seq"      // N, range key of all indexes

	TTL = "expires" // N, seconds since 1970: when DynamoDB may delete the item
)

// The other attributes.
const (
	attrBody     = "body"     // S, JSON of a job, a runner, or effects
	attrVersion  = "version"  // N, the version that wrote the item
	attrInstance = "instance" // S, of the head
	attrSum      = "sum"      // N, of the head: see sum
	attrNames    = "names"    // S, of a log entry: sort keys of the written rows, one per line
	attrAt       = "at"       // N, of effects: when they were stored, in milliseconds since 1970
)

// Partitions and prefixes of sort keys.
const (
	partOpen       = "open"
	partUnroutable = "unroutable"
	partLog        = "log"
	partOutbox     = "outbox"
	partMemo       = "memo"
	sortHead       = "head"
	prefixJob      = "job#"
	prefixRunner   = "runner#"
	kindJob        = "job"
	kindRunner     = "runner"
)
