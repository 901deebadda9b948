package webhook

import (
	"log/slog"
	"net/http"
	"time"
)

// Server returns an HTTP server for h with limits for a public endpoint: clients that are slow or
// send much are cut off, which is logged at level debug. The caller provides the listener and shuts
// the server down.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // of headers and body; GitHub gives up after 10
		WriteTimeout:      30 * time.Second, // from the end of the headers: reading, keeping and answering
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
