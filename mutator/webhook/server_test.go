package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate makes a self-signed certificate that ends at notAfter, and
// replaces the files of the one before.
func writeCertificate(t *testing.T, directory, name string, notAfter time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    notAfter.Add(-24 * time.Hour),
		NotAfter:     notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key")
	replace(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	replace(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return certFile, keyFile
}

func replace(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// running is a server under test.
type running struct {
	Options

	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, certFile, keyFile string, drain time.Duration) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	server := &running{stop: stop, done: make(chan error, 1), Options: Options{
		Config: testConfig(t), Host: "127.0.0.1", Port: freePort(t), HealthPort: freePort(t),
		CertFile: certFile, KeyFile: keyFile, DrainDelay: drain, MaxInFlight: 8,
	}}
	go func() { server.done <- Run(ctx, server.Options, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(stop)
	eventually(t, "the server answers", func() bool {
		_, err := get(t, server.health("/healthz"))
		return err == nil && server.servedName(t) != ""
	})
	return server
}

func (r *running) health(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", r.HealthPort, path)
}

// servedName is the name in the certificate that the webhook serves; empty
// while it does not.
func (r *running) servedName(t *testing.T) string {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	connection, err := dialer.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", r.Port))
	if err != nil {
		return ""
	}
	defer connection.Close()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

// get returns status and body.
func get(t *testing.T, url string) (string, error) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, body), err
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("not within 30 seconds: %s", what)
}

func TestRunServesReloadsAndDrains(t *testing.T) {
	directory := t.TempDir()
	certFile, keyFile := writeCertificate(t, directory, "first", time.Now().Add(time.Hour))
	const drain = 500 * time.Millisecond
	server := start(t, certFile, keyFile, drain)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	url := fmt.Sprintf("https://127.0.0.1:%d%s", server.Port, Path)
	pod := []byte(`{"spec":{"containers":[{"name":"a","image":"b"}]}}`)
	if response := review(t, client, url, pod); !response.Allowed || len(response.Patch) == 0 {
		t.Errorf("review over TLS: allowed %t, patch %s", response.Allowed, response.Patch)
	}
	if got, err := get(t, server.health("/readyz")); err != nil || got != "200 ok\n" {
		t.Errorf("readyz = %q, %v, want ok", got, err)
	}
	if got, err := get(t, server.health("/metrics")); err != nil || !strings.Contains(got, `buildkite_mutator_reviews_total{outcome="mutated"} 1`) {
		t.Errorf("metrics do not count the review: %v\n%s", err, got)
	}

	writeCertificate(t, directory, "expired", time.Now().Add(-time.Minute))
	eventually(t, "the new certificate is served", func() bool { return server.servedName(t) == "expired" })
	if got, err := get(t, server.health("/readyz")); err != nil || !strings.HasPrefix(got, "503 the serving certificate expired at ") {
		t.Errorf("readyz with an expired certificate = %q, %v", got, err)
	}
	writeCertificate(t, directory, "third", time.Now().Add(time.Hour))
	eventually(t, "the newest certificate is served", func() bool { return server.servedName(t) == "third" })

	stopped := time.Now()
	server.stop()
	eventually(t, "readiness fails", func() bool {
		got, err := get(t, server.health("/readyz"))
		return err == nil && got == "503 shutting down\n"
	})
	if response := review(t, client, url, pod); !response.Allowed {
		t.Error("a review during the drain was refused")
	}
	if err := <-server.done; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if after := time.Since(stopped); after < drain {
		t.Errorf("stopped after %s, want %s of drain", after, drain)
	}
}

func TestRunErrors(t *testing.T) {
	certFile, keyFile := writeCertificate(t, t.TempDir(), "a", time.Now().Add(time.Hour))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().(*net.TCPAddr).Port
	cases := map[string]struct {
		change func(*Options)
		want   string
	}{
		"no certificate":    {func(o *Options) { o.CertFile = "/nonexistent" }, "load serving certificate /nonexistent with key "},
		"port taken":        {func(o *Options) { o.Port = taken }, "serve admission reviews on port "},
		"health port taken": {func(o *Options) { o.HealthPort = taken }, "serve health on 127.0.0.1:"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := Options{Config: testConfig(t), Host: "127.0.0.1", Port: freePort(t), HealthPort: freePort(t), CertFile: certFile, KeyFile: keyFile, MaxInFlight: 1}
			tc.change(&options)
			err := Run(t.Context(), options, slog.New(slog.DiscardHandler))
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("Run = %v, want %s", err, tc.want)
			}
		})
	}
}
