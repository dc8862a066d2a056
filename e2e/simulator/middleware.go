package simulator

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// surviving answers 500 where a handler panics, and says so in the log.
func surviving(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(reason) // the server's own way to drop a connection
			}
			log.Error("handler panicked", slog.String("path", r.URL.Path), slog.Any("reason", reason), slog.String("stack", string(debug.Stack())))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"message":"the simulator made a mistake; see its log"}`))
		}()
		next.ServeHTTP(w, r)
	})
}

// answer remembers the status of a response.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the writer below.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// logged notes every request, refused ones more loudly. Never a query string or
// a header: tokens are in them.
func logged(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		observed := &answer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(observed, r)
		level := slog.LevelDebug
		if observed.status >= http.StatusBadRequest {
			level = slog.LevelInfo
		}
		log.Log(r.Context(), level, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Int("status", observed.status), slog.Duration("took", time.Since(started)))
	})
}
