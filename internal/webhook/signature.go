package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// readSigned reads the body of r, and refuses it unless it is a POST within the limits and signed
// with one of the secrets.
func (h *Handler) readSigned(w http.ResponseWriter, r *http.Request, b *body) *refusal {
	if r.Method != http.MethodPost {
		return refuse(method, fmt.Sprintf("method %.80q: want POST", r.Method))
	}
	sum, no := signatureOf(r.Header)
	if no != nil {
		return no
	}
	if no := h.read(w, r, b); no != nil {
		return no
	}
	if !signedByAny(h.c.Secrets, b, sum) &&
		(h.c.Renew == nil || !signedByAny(h.c.Renew(r.Context()), b, sum)) {
		return refuse(unsigned, "signature: the body was not signed with this webhook's secret")
	}
	return nil
}

// signatureOf returns the HMAC that a request claims. It ignores X-Hub-Signature, which is SHA-1.
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

// wantJSON refuses content types other than JSON.
func wantJSON(contentType string) *refusal {
	if media, _, err := mime.ParseMediaType(contentType); err == nil && media == "application/json" {
		return nil
	}
	return refuse(mediaType, fmt.Sprintf("content type %.80q: want application/json", contentType))
}
