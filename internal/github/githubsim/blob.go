package githubsim

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// The limits of Azure's blobs, which GitHub keeps logs in. The runner's blocks are of 2 MB.
// https://learn.microsoft.com/en-us/rest/api/storageservices/append-block
const (
	maxBlock   = 100 << 20  // bytes of one block
	maxBlocks  = 50_000     // of one append blob
	maxPutBlob = 5000 << 20 // bytes of a blob that is sent as a whole
)

// softLimit is what the results service says that a log or a summary may take, in
// bytes. The runner keeps to it with summaries only.
const softLimit = 1 << 20

// A blob is a log, or a summary, as its runner uploads it. Its content is in a file:
// logs can be larger than memory.
type blob struct {
	signature string // that its address carries; who has it may write
	kind      blobKind
	step      string // the step's id as the runner knows it; "" of a job's log
	file      string // there once something was uploaded

	size atomic.Int64 // of what has arrived; to be read without mu, which an upload holds as long as it takes

	mu     sync.Mutex // never taken with Sim.mu
	append bool       // mu; an append blob
	sealed bool       // mu
	blocks int        // mu
}

type blobKind int

const (
	stepLog blobKind = iota
	jobLog
	otherBlob // summaries and diagnostics
)

// A blobError is a refusal in the words of Azure.
// https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes
type blobError struct {
	status        int
	code, message string
}

func (e *blobError) Error() string { return e.code + ": " + e.message }

func (e *blobError) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("x-ms-error-code", e.code)
	w.WriteHeader(e.status)
	_ = xml.NewEncoder(w).Encode(struct { // whoever asked has gone
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: e.code, Message: e.message})
}

// upload takes a blob, or a block of one.
func (s *Sim) upload(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	b := s.blobs[r.PathValue("id")]
	s.mu.Unlock()
	if b == nil || subtle.ConstantTimeCompare([]byte(b.signature), []byte(r.URL.Query().Get("sig"))) != 1 {
		(&blobError{http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request."}).write(w)
		return
	}
	err := b.put(w, r)
	var refused *blobError
	switch {
	case errors.As(err, &refused):
		refused.write(w)
	case err != nil:
		s.log.Warn("storing a log", "err", err)
		(&blobError{http.StatusInternalServerError, "InternalError", "The server encountered an internal error."}).write(w)
	default:
		w.WriteHeader(http.StatusCreated)
	}
}

// put does what r asks for: a whole blob, a new append blob, or a block more of one.
func (b *blob) put(w http.ResponseWriter, r *http.Request) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	kind, operation := r.Header.Get("x-ms-blob-type"), r.URL.Query().Get("comp")
	switch {
	case operation == "appendblock":
		return b.appendBlock(w, r)
	case operation == "seal":
		b.sealed = true
		return nil
	case operation != "":
		return &blobError{http.StatusBadRequest, "InvalidQueryParameterValue", "comp: " + operation + " is not one of appendblock, seal"}
	case kind == "BlockBlob" || kind == "AppendBlob":
		return b.create(w, r, kind == "AppendBlob")
	}
	return &blobError{http.StatusBadRequest, "MissingRequiredHeader", "x-ms-blob-type: want BlockBlob or AppendBlob"}
}

// create begins the blob anew, with what r brings.
func (b *blob) create(w http.ResponseWriter, r *http.Request, appendable bool) error {
	b.size.Store(0)
	f, err := os.Create(b.file)
	if err != nil {
		return err
	}
	size, err := io.Copy(f, http.MaxBytesReader(w, r.Body, maxPutBlob))
	b.append, b.sealed, b.blocks = appendable, false, 0
	b.size.Store(size)
	return tooLarge(errors.Join(err, f.Close()))
}

// appendBlock adds a block; one that does not arrive whole is not added.
func (b *blob) appendBlock(w http.ResponseWriter, r *http.Request) error {
	at := b.size.Load()
	switch {
	case at == 0 && !b.append:
		return &blobError{http.StatusNotFound, "BlobNotFound", "The specified blob does not exist."}
	case !b.append:
		return &blobError{http.StatusConflict, "InvalidBlobType", "The blob type is invalid for this operation."}
	case b.sealed:
		return &blobError{http.StatusConflict, "BlobIsSealed", "The specified blob is sealed."}
	case b.blocks >= maxBlocks:
		return &blobError{http.StatusConflict, "BlockCountExceedsLimit",
			"The committed block count cannot exceed the maximum limit of 50,000 blocks."}
	}
	f, err := os.OpenFile(b.file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return err
	}
	size, err := io.Copy(f, http.MaxBytesReader(w, r.Body, maxBlock))
	if err != nil {
		return tooLarge(errors.Join(err, f.Truncate(at)))
	}
	w.Header().Set("x-ms-blob-append-offset", fmt.Sprint(at))
	b.blocks, b.sealed = b.blocks+1, r.URL.Query().Get("seal") == "true"
	b.size.Store(at + size)
	w.Header().Set("x-ms-blob-committed-block-count", fmt.Sprint(b.blocks))
	return nil
}

func tooLarge(err error) error {
	var limit *http.MaxBytesError
	if errors.As(err, &limit) {
		return &blobError{http.StatusRequestEntityTooLarge, "RequestBodyTooLarge",
			"The request body is too large and exceeds the maximum permissible limit."}
	}
	return err
}

// copyTo writes what there is of the blob to w.
func (b *blob) copyTo(w io.Writer) error {
	size := b.size.Load()
	if size == 0 {
		return nil
	}
	f, err := os.Open(b.file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(w, f, size)
	return err
}

// newBlob makes an address that b can be written to; one asked for again, for the same
// log, is the same. The caller holds mu.
func (s *Sim) newBlob(j *job, b *blob) (path string) {
	id := fmt.Sprintf("%s-%d-%s", j.guid, b.kind, strings.Map(plainRune, b.step))
	if known := s.blobs[id]; known != nil {
		b = known
	} else {
		b.signature, b.file = rand.Text(), filepath.Join(s.blobDir, id)
		s.blobs[id] = b
		j.logs = append(j.logs, b)
	}
	return pathBlob + "/" + id + "?sig=" + b.signature
}

// dropBlobs deletes the uploads of j. The caller holds mu.
func (s *Sim) dropBlobs(j *job) {
	for id, b := range s.blobs {
		for _, own := range j.logs {
			if own == b {
				delete(s.blobs, id)
				_ = os.Remove(b.file) // it goes with the folder at the latest
			}
		}
	}
	j.logs = nil
}

func plainRune(r rune) rune {
	if r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '_'
}

// logBlobs gives what the log of j is made of: the job's own, or the steps' one after the
// other. The caller holds mu.
func (j *job) logBlobs() []*blob {
	var steps []*blob
	for _, b := range j.logs {
		switch {
		case b.kind == jobLog && b.size.Load() > 0:
			return []*blob{b}
		case b.kind == stepLog:
			steps = append(steps, b)
		}
	}
	return steps
}

// logText gives the log of j. The caller holds mu.
func (j *job) logText() string {
	var text strings.Builder
	for _, b := range j.logBlobs() {
		if b.copyTo(&text) != nil {
			break // as far as it goes
		}
	}
	return text.String()
}
