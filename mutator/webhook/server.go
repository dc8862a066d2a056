package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/buildkite/agent-stack-k8s/mutator"
)

// Path is where admission reviews are served.
const Path = "/mutate"

// Options are a server's.
type Options struct {
	// Config is what is done to pods.
	Config mutator.Config
	// Host is the address to listen on; empty is all.
	Host string
	// Port serves admission reviews over TLS, HealthPort health and metrics in
	// the clear.
	Port, HealthPort int
	// CertFile and KeyFile hold the serving certificate in PEM. They are read
	// again when they change.
	CertFile, KeyFile string
	// DrainDelay is how long the listener stays open once the server is told
	// to stop: until the API server has heard that this replica is gone.
	DrainDelay time.Duration
	// MaxInFlight is how many reviews may be under way at once.
	MaxInFlight int
}

// Run serves until the context ends, and then drains. The error says why it
// could not start or go on.
func Run(ctx context.Context, options Options, log *slog.Logger) error {
	logf.SetLogger(logr.FromSlogHandler(log.Handler()))
	certificate, err := loadCertificate(options.CertFile, options.KeyFile)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	metrics := NewMetrics(registry, options.Config.Version, certificate.notAfter)
	health := &health{certificate: certificate}
	server := webhook.NewServer(webhook.Options{
		Host: options.Host,
		Port: options.Port,
		TLSOpts: []func(*tls.Config){func(config *tls.Config) {
			config.MinVersion = tls.VersionTLS13
			config.GetCertificate = certificate.GetCertificate
		}},
	})
	reviews := &admission.Webhook{Handler: NewHandler(options.Config, metrics, log)}
	server.Register(Path, Limit(options.MaxInFlight, metrics, reviews))

	// What serves must outlast the signal by the drain delay.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, groupCtx := errgroup.WithContext(serving)
	group.Go(func() error { return certificate.Start(groupCtx) })
	group.Go(func() error {
		if err := server.Start(groupCtx); err != nil {
			return fmt.Errorf("serve admission reviews on port %d: %w", options.Port, err)
		}
		return nil
	})
	group.Go(func() error {
		return serveHealth(groupCtx, net.JoinHostPort(options.Host, fmt.Sprint(options.HealthPort)), health.handler(registry))
	})
	group.Go(func() error {
		select {
		case <-groupCtx.Done():
			return nil
		case <-ctx.Done():
		}
		log.LogAttrs(groupCtx, slog.LevelInfo, "draining", slog.Duration("delay", options.DrainDelay))
		health.draining.Store(true)
		wait(groupCtx, options.DrainDelay)
		stop()
		return nil
	})
	log.LogAttrs(ctx, slog.LevelInfo, "serving", slog.Int("port", options.Port), slog.Int("health_port", options.HealthPort),
		slog.String("version", options.Config.Version), slog.String("config", options.Config.Digest()))
	return group.Wait()
}

// serveHealth serves until the context ends.
func serveHealth(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		// Nothing here is worth waiting for.
		_ = server.Close()
	}()
	err := server.ListenAndServe()
	if errors.Is(err, http.ErrServerClosed) {
		<-done
		return nil
	}
	return fmt.Errorf("serve health on %s: %w", address, err)
}

// wait returns after the delay, or when the context ends.
func wait(ctx context.Context, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
