package webhook

import (
	"log/slog"
	"net/http"
	"time"
)

// Server returns an HTTP server for h with limits that suit a public endpoint: a
// client that is slow, or sends much, is cut off. What connections say that are
// cut goes to log as debug. The caller gives it a listener and shuts it down.
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
