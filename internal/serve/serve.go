// Package serve runs the HTTP servers of one machine: deliveries, metrics, orders of commands, and the page.
package serve

import (
	"context"
	"net"
	"net/http"
	"time"
)

// grace is how long requests under way may take once a server is to end.
const grace = 10 * time.Second

// Until serves l until ctx ends, then finishes requests under way.
func Until(ctx context.Context, server *http.Server, l net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return server.Shutdown(ending)
}
