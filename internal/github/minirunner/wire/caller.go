// Package wire is how GitHub's runner calls GitHub: JSON over HTTP with one
// authorization, addresses resolved as .NET resolves them, errors that count only
// when their source signs them, and pauses between attempts.
package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
)

// maxAnswer bounds an answer; the largest is a job message.
const maxAnswer = 16 << 20

// A Caller makes JSON calls.
type Caller struct {
	HTTP          *http.Client
	Authorization string // header of each call; empty means none
	UserAgent     string
}

// Post makes a POST call: see [Caller.Call].
func (c *Caller) Post(ctx context.Context, address string, in, out any) error {
	return c.Call(ctx, http.MethodPost, address, in, out)
}

// Call makes one call with in as its JSON body, if it is not nil, and reads the
// answer into out. An empty answer leaves out as it is. An answer other than 2xx
// is a [StatusError].
func (c *Caller) Call(ctx context.Context, method, address string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	answer, err := c.Do(req)
	if err != nil || out == nil || len(answer) == 0 {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("reading the answer of %s %s: %w", method, req.URL.Path, err)
	}
	return nil
}

// Do sends req with what c adds to its header and returns the answer.
func (c *Caller) Do(req *http.Request) ([]byte, error) {
	res, err := c.Open(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s %s: %w", req.Method, req.URL.Path, err)
	}
	return answer, nil
}

// Open is [Caller.Do] for a large answer: the caller reads and closes its body.
func (c *Caller) Open(req *http.Request) (*http.Response, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.UserAgent)
	if c.Authorization != "" {
		req.Header.Set("Authorization", c.Authorization)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal)) // what can be read of it has to do
	return nil, &StatusError{Call: req.Method + " " + req.URL.Path, Status: res.StatusCode, Body: body}
}

// Save downloads address to file, which it creates or truncates.
func (c *Caller) Save(ctx context.Context, address, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := c.Open(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, res.Body)
	return errors.Join(err, to.Close())
}

// Resolve resolves path against base as .NET's Uri does: what follows the last
// slash of base is dropped. So .../run/ID leads to .../run/acquirejob, and
// .../broker without its slash to .../message, which is nowhere.
// https://learn.microsoft.com/en-us/dotnet/api/system.uri.-ctor#system-uri-ctor(system-uri-system-string)
func Resolve(base, path string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("address %q: want an absolute URL", base)
	}
	to, err := u.Parse(path)
	if err != nil {
		return "", fmt.Errorf("path %q: %w", path, err)
	}
	return to.String(), nil
}
