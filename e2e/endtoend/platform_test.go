package endtoend

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPlatformSettings runs a job on a platform with hooks of its own, with a
// proxy that answers nobody, and with a Buildkite that only its own bundle of
// certificate authorities knows.
func TestPlatformSettings(t *testing.T) {
	t.Parallel()
	front := startTLSFront(t)
	hooks := createConfigMap(t, "platform-hooks", "pre-command", `echo "the hook of $TEAM has proxy $http_proxy"`)
	bundle := createConfigMap(t, "platform-bundle", "bundle.pem", string(front.authority))
	installMutator(t, "platform", map[string]any{
		"agentEndpoint": front.url + "/v3",
		"agent": map[string]any{
			"hooks": map[string]any{"volume": map[string]any{"configMap": map[string]any{"name": hooks}}},
			"env":   map[string]any{"TEAM": "platform"},
		},
		// A network for documentation, which routes to nobody.
		"proxy":    map[string]any{"httpProxy": "http://192.0.2.1:3128", "httpsProxy": "http://192.0.2.1:3129", "noProxy": nodeIP},
		"caBundle": map[string]any{"configMap": bundle, "key": "bundle.pem"},
	})

	b := start(t, manualStep)
	runByHand(t, b, podOptions{
		labels: "buildkite.com/mutator: platform",
		plugin: `{podSpecPatch: {containers: [{name: mine, env: [{name: http_proxy, value: "http://mine"}]}]}}`,
		command: `echo "the command has proxy $http_proxy, ${HTTP_PROXY-none}, $https_proxy"
buildkite-agent meta-data set platform "$TEAM"
echo "stored $(buildkite-agent meta-data get platform), trusting $SSL_CERT_FILE"
echo delivered > report.txt`,
	})
	b.job(t, "manual").logs(t,
		"the hook of platform has proxy http://192.0.2.1:3128",
		"the command has proxy http://mine, none, http://192.0.2.1:3129",
		"stored platform, trusting /buildkite/ca/ca.crt")
	b.hasArtifact(t, "report.txt", "delivered\n")
	for _, path := range []string{"/v3/register", "/v3/jobs/"} {
		if !front.saw(path) {
			t.Errorf("no request for %s came through TLS", path)
		}
	}
}

// tlsFront is the simulator behind a certificate that no image trusts.
type tlsFront struct {
	url       string
	authority []byte

	lock  sync.Mutex
	paths []string
}

func startTLSFront(t *testing.T) *tlsFront {
	t.Helper()
	chain, key, authority := nodeCertificate(t)
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(nodeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	behind, err := url.Parse(simulatorURL)
	if err != nil {
		t.Fatal(err)
	}
	front := &tlsFront{url: "https://" + listener.Addr().String(), authority: authority}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			front.note(r.URL.Path)
			proxy.ServeHTTP(w, r)
		}),
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	return front
}

func (f *tlsFront) note(path string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.paths = append(f.paths, path)
}

func (f *tlsFront) saw(prefix string) bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, path := range f.paths {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}
