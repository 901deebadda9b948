package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Anyone may send a body, signed or not, and it must be read to know. It is kept in chunks that
// are taken as its bytes arrive, whatever its length is said to be, and what all open
// requests have taken is bounded. Bodies of up to smallBody, which deliveries of jobs are, have memory of
// their own, so that strangers who send much keep none of them out.
const (
	chunkSize   = 64 << 10
	smallBody   = 256 << 10
	smallMemory = 64 << 20
	largeMemory = 64 << 20
)

// largeLimit is how long a body may take that is larger than smallBody; see [Server] for the others.
const largeLimit = 6 * time.Second

type chunk [chunkSize]byte

// chunks are the memory of all bodies that are being read. What was given back is used again, and left
// to the garbage collector, which comes late, only when no large body is being read.
type chunks struct {
	mu    sync.Mutex
	free  []*chunk // under mu
	taken [2]int   // under mu; bytes for small bodies, and for what large ones have beyond that
	bound [2]int
}

// keptFree is how many chunks stay when few are needed.
const keptFree = (1 << 20) / chunkSize

// newChunks returns memory for bodies of up to maxBody.
func newChunks(maxBody int64) *chunks {
	return &chunks{bound: [2]int{smallMemory, max(largeMemory, int(2*maxBody))}}
}

// share says of which part chunk i of a body is.
func share(i int) int {
	if i < smallBody/chunkSize {
		return 0
	}
	return 1
}

// take returns memory for chunk i of a body; nil when there is none left.
func (c *chunks) take(i int) *chunk {
	c.mu.Lock()
	defer c.mu.Unlock()
	part := share(i)
	if c.taken[part]+chunkSize > c.bound[part] {
		return nil
	}
	c.taken[part] += chunkSize
	last := len(c.free) - 1
	if last < 0 {
		return new(chunk)
	}
	one := c.free[last]
	c.free = c.free[:last]
	return one
}

// give takes the chunks of a body back.
func (c *chunks) give(all []*chunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range all {
		c.taken[share(i)] -= chunkSize
	}
	c.free = append(c.free, all...)
	if c.taken[1] == 0 && len(c.free) > keptFree {
		c.free = slices.Clone(c.free[:keptFree])
	}
}

// A body is what was read of a request.
type body struct {
	memory *chunks
	chunks []*chunk
	size   int
}

// release gives the memory of b back.
func (b *body) release() {
	b.memory.give(b.chunks)
	b.chunks, b.size = nil, 0
}

// each calls f with the bytes of b, in pieces.
func (b *body) each(f func([]byte)) {
	for i, one := range b.chunks {
		f(one[:min(chunkSize, b.size-i*chunkSize)])
	}
}

// bytes returns a copy of b.
func (b *body) bytes() []byte {
	all := make([]byte, 0, b.size)
	b.each(func(piece []byte) { all = append(all, piece...) })
	return all
}

// errMemory says that other bodies have all the memory.
var errMemory = errors.New("other bodies that are being read have all the memory for them")

// readFrom reads r to its end. large is called once when it turns out to be a large body.
func (b *body) readFrom(r io.Reader, large func()) error {
	for i := 0; ; i++ {
		one := b.memory.take(i)
		if one == nil {
			return errMemory
		}
		b.chunks = append(b.chunks, one)
		if i == smallBody/chunkSize {
			large()
		}
		for n := 0; n < chunkSize; {
			more, err := r.Read(one[n:])
			n, b.size = n+more, b.size+more
			if errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
}

// read reads the body of r within the limits of size, memory and time.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, b *body) *refusal {
	if r.ContentLength > h.c.MaxBody {
		return h.tooLarge()
	}
	err := b.readFrom(io.LimitReader(r.Body, h.c.MaxBody+1), func() {
		// The deadline ends with the body. What has none, such as a function, has a limit of its own.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(largeLimit))
	})
	switch {
	case errors.Is(err, errMemory):
		return refuse(busy, err.Error())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(slow, fmt.Sprintf("body: %d bytes came in time, and not all", b.size))
	case err != nil:
		return refuse(malformed, "reading the body: "+err.Error())
	case int64(b.size) > h.c.MaxBody:
		return h.tooLarge()
	}
	return nil
}

func (h *Handler) tooLarge() *refusal {
	return refuse(large, fmt.Sprintf("body: want at most %d bytes", h.c.MaxBody))
}

// drain reads of a body that was refused what a proxy may have on its way: a proxy whose writing
// fails does not pass the answer on. net/http does so only for bodies that say to be small. A client
// that waits to be told to go on has nothing on its way.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, smallBody)
	}
}

// signedByAny reports whether sum is the HMAC-SHA256 of b under one of
// secrets. How long it takes does not tell how near sum came, or to which.
func signedByAny(secrets []secret.Secret, b *body, sum []byte) bool {
	signed := false
	for _, s := range secrets {
		mac := hmac.New(sha256.New, []byte(s.Reveal()))
		b.each(func(piece []byte) { mac.Write(piece) })
		signed = hmac.Equal(mac.Sum(nil), sum) || signed
	}
	return signed
}
