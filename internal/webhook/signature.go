package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// Anyone may send a body, signed or not, and it must be read to know. Bodies up
// to smallBody, which deliveries of jobs are, cost what they weigh; of larger
// ones, largeBodies are read at once, so that strangers cannot take the memory.
const (
	smallBody   = 256 << 10
	largeBodies = 8
)

// buffers hold bodies while they are checked.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *bytes.Buffer {
	if buffer, ok := b.pool.Get().(*bytes.Buffer); ok {
		return buffer
	}
	return new(bytes.Buffer)
}

// put takes a buffer back, unless it grew so large that keeping it is a waste.
func (b *buffers) put(buffer *bytes.Buffer) {
	if buffer.Cap() <= 2*smallBody {
		buffer.Reset()
		b.pool.Put(buffer)
	}
}

// readSigned reads the body of r, and refuses it unless it is a POST within the
// limit that one of the secrets has signed.
func (h *Handler) readSigned(r *http.Request, body *bytes.Buffer) *refusal {
	if r.Method != http.MethodPost {
		return refuse(method, "method "+r.Method+": want POST")
	}
	sum, no := signatureOf(r.Header)
	if no != nil {
		return no
	}
	if no := h.read(r, body); no != nil {
		return no
	}
	if !signedByAny(h.c.Secrets, body.Bytes(), sum) &&
		(h.c.Renew == nil || !signedByAny(h.c.Renew(r.Context()), body.Bytes(), sum)) {
		return refuse(unsigned, "signature: the body was not signed with this webhook's secret")
	}
	return nil
}

// read reads the body of r within the limit.
func (h *Handler) read(r *http.Request, body *bytes.Buffer) *refusal {
	if r.ContentLength > h.c.MaxBody {
		return h.tooLarge()
	}
	rest := io.LimitReader(r.Body, h.c.MaxBody+1)
	n, err := io.Copy(body, io.LimitReader(rest, smallBody))
	if err == nil && n == smallBody {
		select {
		case h.largeReads <- struct{}{}:
			defer func() { <-h.largeReads }()
		default:
			return refuse(busy, fmt.Sprintf("%d large bodies are being read already", largeBodies))
		}
		_, err = io.Copy(body, rest)
	}
	switch {
	case err != nil:
		return refuse(malformed, "reading the body: "+err.Error())
	case int64(body.Len()) > h.c.MaxBody:
		return h.tooLarge()
	}
	return nil
}

func (h *Handler) tooLarge() *refusal {
	return refuse(large, fmt.Sprintf("body: want at most %d bytes", h.c.MaxBody))
}

// signatureOf returns the HMAC that a request claims. X-Hub-Signature, which is
// SHA-1, is never looked at.
func signatureOf(header http.Header) ([]byte, *refusal) {
	value, ok := strings.CutPrefix(header.Get("X-Hub-Signature-256"), "sha256=")
	if !ok {
		return nil, refuse(unsigned, "header X-Hub-Signature-256 is missing: want sha256= and 64 hex digits")
	}
	sum, err := hex.DecodeString(value)
	if err != nil || len(sum) != sha256.Size {
		return nil, refuse(unsigned, "header X-Hub-Signature-256: want sha256= and 64 hex digits")
	}
	return sum, nil
}

// signedByAny reports whether sum is the HMAC-SHA256 of body under one of
// secrets. How long it takes does not tell how near sum came, or to which.
func signedByAny(secrets []secret.Secret, body, sum []byte) bool {
	signed := false
	for _, s := range secrets {
		mac := hmac.New(sha256.New, []byte(s.Reveal()))
		mac.Write(body)
		signed = hmac.Equal(mac.Sum(nil), sum) || signed
	}
	return signed
}

// wantJSON refuses a content type other than JSON.
func wantJSON(contentType string) *refusal {
	if media, _, err := mime.ParseMediaType(contentType); err == nil && media == "application/json" {
		return nil
	}
	return refuse(mediaType, fmt.Sprintf("content type %.80q: want application/json", contentType))
}
