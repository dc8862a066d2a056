package dispatcher

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		problems := newProblems(slog.New(slog.DiscardHandler))
		h := &health{problems: problems}
		if h.ready() != nil || h.live() != nil {
			t.Error("a replica that stands by is not well")
		}
		h.leading.Store(true)
		if h.ready() == nil {
			t.Error("ready before pods are listed")
		}
		h.synced.Store(true)
		h.beat.Store(time.Now().UnixNano())
		if h.ready() != nil {
			t.Error("not ready although all is well")
		}
		problems.report("source", errors.New("x"))
		if h.ready() == nil || h.live() != nil {
			t.Error("a problem of Buildkite's must show in readiness, and not cost a restart")
		}
		time.Sleep(beatPatience + time.Minute)
		if h.live() == nil {
			t.Error("alive although the loop hangs")
		}
	})
}

func TestServeHTTP(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	h := &health{problems: newProblems(slog.New(slog.DiscardHandler))}
	registry := prometheus.NewRegistry()
	newMetrics(registry)
	handler := probesAndMetrics(h, registry)
	if _, err := serveHTTP(t.Context(), "http-address", address, handler, slog.Default()); err == nil || !strings.Contains(err.Error(), "--http-address") {
		t.Errorf("a port in use gives %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	stop, err := serveHTTP(t.Context(), "http-address", address, handler, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/metrics": "buildkite_dispatcher_leader 0"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.Body.Close() != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %v, %s", path, err, body)
		}
	}
}

func TestProblemsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := newProblems(slog.New(slog.NewTextHandler(&out, nil)))
		lines := func() int { return strings.Count(out.String(), "\n") }
		for range 150 {
			p.report("source", &Problem{Kind: "a", Advice: "x"})
			time.Sleep(time.Second)
		}
		if lines() != 3 {
			t.Errorf("%d lines in two and a half minutes, want 3", lines())
		}
		p.report("cluster", errors.New("y"))
		p.report("source", &Problem{Kind: "b", Advice: "z"})
		if lines() != 5 || p.any() != "cluster/error" {
			t.Errorf("%d lines, first problem %q", lines(), p.any())
		}
		p.report("cluster", nil)
		p.report("source", nil)
		p.report("source", nil)
		if lines() != 7 || p.any() != "" {
			t.Errorf("%d lines, problem %q left", lines(), p.any())
		}
	})
}
