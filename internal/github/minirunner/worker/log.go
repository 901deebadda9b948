package worker

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// blockSize is how much of a log is sent at once (PagingLogger.cs).
const blockSize = 2 << 20

// byteOrderMark is how .NET begins a text file.
const byteOrderMark = "\ufeff"

// A logUpload is the log of a step, or of the whole job. It is written to blocks
// in files, and each is sent when it is full: a short log as a blob when it is
// complete, a long one as an append blob that the last block seals
// (ResultsHttpClient.cs). So a log takes no memory. It may be written by several
// goroutines.
type logUpload struct {
	results *results
	step    string // id of the step; empty for the log of the whole job

	mu     sync.Mutex
	file   *os.File // the block that is written; nil when it cannot be
	out    *bufio.Writer
	size   int
	number int // of the block
	lines  int

	queue chan block
	sent  chan struct{}
}

type block struct {
	file  string
	first bool
	last  bool
}

// maxQueue is how many blocks may wait for a slow server before the job waits, too.
const maxQueue = 64

// upload begins a log.
func (r *results) upload(step string) *logUpload {
	u := &logUpload{results: r, step: step, queue: make(chan block, maxQueue), sent: make(chan struct{})}
	u.next()
	u.write(byteOrderMark)
	go u.send()
	return u
}

// line adds a line and returns its number.
func (u *logUpload) line(text string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.write(text + "\n")
	u.lines++
	if u.size >= blockSize {
		u.finish(false)
		u.next()
	}
	return u.lines
}

// next begins a block. The caller holds mu.
func (u *logUpload) next() {
	u.number++
	u.size = 0
	name := u.step
	if name == "" {
		name = "job"
	}
	if os.MkdirAll(u.results.blocks, 0o755) == nil {
		u.file, _ = os.Create(filepath.Join(u.results.blocks, name+"."+strconv.Itoa(u.number))) // on a full disk there is no log
	}
	if u.file != nil {
		u.out = bufio.NewWriter(u.file)
	}
}

// write adds to the block. The caller holds mu.
func (u *logUpload) write(text string) {
	u.size += len(text)
	if u.file != nil {
		_, _ = u.out.WriteString(text) // on a full disk lines are lost
	}
}

// finish ends a block and queues it. The caller holds mu.
func (u *logUpload) finish(last bool) {
	if u.file == nil {
		return
	}
	_ = u.out.Flush()
	_ = u.file.Close()
	u.queue <- block{file: u.file.Name(), first: u.number == 1, last: last}
	u.file = nil
}

// close sends the rest and tells how long the log is.
func (u *logUpload) close(now time.Time) {
	u.mu.Lock()
	u.finish(true)
	close(u.queue)
	u.mu.Unlock()
	<-u.sent
	in := u.results.ids(u.step)
	in["uploaded_at"], in["line_count"] = now.UTC(), u.lines
	_ = u.results.call(receiver+u.method("CreateStepLogsMetadata", "CreateJobLogsMetadata"), in, nil)
}

func (u *logUpload) method(step, job string) string {
	if u.step == "" {
		return job
	}
	return step
}

// send sends blocks as they come. What was refused is lost, and so is the rest.
func (u *logUpload) send() {
	defer close(u.sent)
	var where string
	var err error
	for b := range u.queue {
		if b.first {
			where, err = u.address()
		}
		if err == nil && where != "" {
			err = u.sendBlock(where, b)
		}
		os.Remove(b.file)
	}
}

// address is where the log goes.
func (u *logUpload) address() (string, error) {
	var where struct {
		URL string `json:"logs_url"`
	}
	err := u.results.call(receiver+u.method("GetStepLogsSignedBlobURL", "GetJobLogsSignedBlobURL"), u.results.ids(u.step), &where)
	return where.URL, err
}

func (u *logUpload) sendBlock(where string, b block) error {
	if b.first && b.last {
		return u.results.putFile(where, b.file, map[string]string{"x-ms-blob-type": "BlockBlob", "Content-Type": "text/plain"})
	}
	if b.first {
		header := map[string]string{"x-ms-blob-type": "AppendBlob", "Content-Type": "text/plain"}
		if err := u.results.put(where, nil, 0, header); err != nil {
			return err
		}
	}
	where += "&comp=appendblock"
	if b.last {
		where += "&seal=true"
	}
	return u.results.putFile(where, b.file, map[string]string{"x-ms-blob-sealed": strconv.FormatBool(b.last)})
}
