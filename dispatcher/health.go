package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// beatPatience is how long the loop may be busy with one poll: a large
	// backlog is many pages, and pages wait for the budget.
	beatPatience = 15 * time.Minute
	httpTimeout  = 10 * time.Second
	drainTimeout = 5 * time.Second
)

// health knows how the dispatcher is, for probes.
type health struct {
	problems *problems
	// leading is set while this replica dispatches, or is about to.
	leading atomic.Bool
	// synced is set once the pod cache is full.
	synced atomic.Bool
	// beat is when the loop last came round, in Unix nanoseconds.
	beat atomic.Int64
}

// live reports an error if the loop hangs, which only a restart mends.
func (h *health) live() error {
	last := h.beat.Load()
	if !h.leading.Load() || last == 0 {
		return nil
	}
	if silent := time.Since(time.Unix(0, last)); silent > beatPatience {
		return fmt.Errorf("the dispatch loop has not come round for %s", silent.Round(time.Second))
	}
	return nil
}

// ready reports why the dispatcher cannot do its work. A replica that stands by
// is ready to.
func (h *health) ready() error {
	if !h.leading.Load() {
		return nil
	}
	if !h.synced.Load() {
		return errors.New("pods are not listed yet")
	}
	if problem := h.problems.any(); problem != "" {
		return errors.New("problem: " + problem)
	}
	return nil
}

// probesAndMetrics answers probes and serves metrics.
func probesAndMetrics(health *health, registry prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(health.live))
	mux.Handle("GET /readyz", probe(health.ready))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return http.TimeoutHandler(mux, httpTimeout, "took too long\n")
}

// profiles serves what go tool pprof reads.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// serveHTTP serves at an option's address until the context ends. An empty
// address serves nothing.
func serveHTTP(ctx context.Context, option, address string, handler http.Handler, log *slog.Logger) (wait func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve on %s (choose another --%s, or \"none\"): %w", address, option, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: httpTimeout}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("an HTTP server ended", slog.String("option", option), slog.Any("error", err))
		}
	}()
	return func() {
		shutdownCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if err := server.Shutdown(shutdownCtx); err != nil {
			log.Warn("an HTTP server did not end in time", slog.String("option", option), slog.Any("error", err))
		}
		<-done
	}, nil
}

// probe answers 200, or 503 with the reason.
func probe(check func() error) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(writer, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(writer, "ok") // a prober that hung up needs no answer
	})
}
