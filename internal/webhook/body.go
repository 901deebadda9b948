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

// Anybody may send a body, and it has to be read to verify its signature. It is read into chunks
// that are allocated as its bytes arrive, whatever its declared length, and the chunks of all open
// requests are bounded. Bodies of up to smallBody, like those of job deliveries, have a reserved
// part, so that strangers who send much keep none of them out.
const (
	chunkSize   = 64 << 10
	smallBody   = 256 << 10
	smallMemory = 64 << 20
	largeMemory = 64 << 20
)

// largeLimit is the time limit for a body larger than smallBody; see [Server] for the others.
const largeLimit = 6 * time.Second

type chunk [chunkSize]byte

// chunks are the memory of all bodies that are being read. Returned chunks are reused, and released
// to the garbage collector, which runs late, only while no large body is being read.
type chunks struct {
	mu    sync.Mutex
	free  []*chunk // guarded by mu
	taken [2]int   // guarded by mu; bytes of small bodies, and of large ones beyond smallBody
	bound [2]int
}

// keptFree is how many free chunks are kept.
const keptFree = (1 << 20) / chunkSize

// newChunks returns memory for bodies of up to maxBody.
func newChunks(maxBody int64) *chunks {
	return &chunks{bound: [2]int{smallMemory, max(largeMemory, int(2*maxBody))}}
}

// share returns the part to which chunk i of a body belongs.
func share(i int) int {
	if i < smallBody/chunkSize {
		return 0
	}
	return 1
}

// take returns memory for chunk i of a body; nil if there is none left.
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

// give returns the chunks of a body.
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

// release returns the memory of b.
func (b *body) release() {
	b.memory.give(b.chunks)
	b.chunks, b.size = nil, 0
}

// each calls f with the bytes of b, piece by piece.
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

// errMemory means that other bodies use all the memory.
var errMemory = errors.New("other bodies that are being read have all the memory for them")

// readFrom reads r to its end. It calls large once when the body turns out to be large.
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
		// The deadline ends with the body. A writer without deadlines, such as a function's, has
		// its own time limit.
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

// drain reads what a proxy may still be sending of a refused body: a proxy that fails to write does
// not pass the answer on. net/http does this only for bodies with a small declared length. A client
// that waits for 100 Continue is sending nothing.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, smallBody)
	}
}

// signedByAny reports whether sum is the HMAC-SHA256 of b under one of secrets. Its duration
// reveals neither how close sum is nor to which.
func signedByAny(secrets []secret.Secret, b *body, sum []byte) bool {
	signed := false
	for _, s := range secrets {
		mac := hmac.New(sha256.New, []byte(s.Reveal()))
		b.each(func(piece []byte) { mac.Write(piece) })
		signed = hmac.Equal(mac.Sum(nil), sum) || signed
	}
	return signed
}
