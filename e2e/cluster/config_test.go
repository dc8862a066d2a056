package cluster

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

func TestContainerdConfiguration(t *testing.T) {
	rendered, err := renderContainerd("127.0.0.1:5010/pause:abc", "/usr/sbin/runc")
	if err != nil {
		t.Fatal(err)
	}
	var parsed map[string]any
	if err := toml.Unmarshal([]byte(rendered), &parsed); err != nil {
		t.Fatalf("%v in\n%s", err, rendered)
	}
	const cri = "io.containerd.cri.v1."
	cases := map[string]struct {
		path []string
		want any
	}{
		"version":         {[]string{"version"}, int64(4)},
		"sandbox":         {[]string{"plugins", cri + "images", "pinned_images", "sandbox"}, "127.0.0.1:5010/pause:abc"},
		"registry":        {[]string{"plugins", cri + "images", "registry", "config_path"}, hostsDir},
		"oom score":       {[]string{"plugins", cri + "runtime", "restrict_oom_score_adj"}, true},
		"namespace paths": {[]string{"plugins", cri + "runtime", "netns_mounts_under_state_dir"}, true},
		"runc":            {[]string{"plugins", cri + "runtime", "containerd", "runtimes", "runc", "options", "BinaryName"}, "/usr/sbin/runc"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got any = parsed
			for _, key := range tc.path {
				table, ok := got.(map[string]any)
				if !ok {
					t.Fatalf("%v is no table", tc.path)
				}
				got = table[key]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", tc.path, diff)
			}
		})
	}
	// The shim manager refuses a longer directory.
	if socketDir := RunDir + "/shims"; len(socketDir) > 38 || !strings.Contains(rendered, "'"+socketDir+"'") {
		t.Errorf("socket directory %s is too long or not configured", socketDir)
	}
}

func TestHostsFileIsTOML(t *testing.T) {
	var parsed struct {
		Server string
		Host   map[string]struct{ Capabilities []string }
	}
	if err := toml.Unmarshal([]byte(renderHosts()), &parsed); err != nil {
		t.Fatal(err)
	}
	if host, ok := parsed.Host[parsed.Server]; !ok || !slices.Equal(host.Capabilities, []string{"pull", "resolve"}) {
		t.Errorf("parsed %+v", parsed)
	}
}

func TestCNINetworkMatchesTheBridge(t *testing.T) {
	rendered, err := renderCNI()
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Name    string `json:"name"`
		Plugins []struct {
			Type   string `json:"type"`
			Bridge string `json:"bridge"`
			IPAM   struct {
				Ranges [][]struct {
					Subnet  string `json:"subnet"`
					Gateway string `json:"gateway"`
				} `json:"ranges"`
			} `json:"ipam"`
		} `json:"plugins"`
	}
	if err := json.Unmarshal([]byte(rendered), &list); err != nil {
		t.Fatal(err)
	}
	first := list.Plugins[0]
	if list.Name != network || first.Type != "bridge" || first.Bridge != Bridge {
		t.Errorf("network %s, plugin %s, bridge %s", list.Name, first.Type, first.Bridge)
	}
	_, subnet, err := net.ParseCIDR(first.IPAM.Ranges[0][0].Subnet)
	if err != nil {
		t.Fatal(err)
	}
	if gateway := first.IPAM.Ranges[0][0].Gateway; gateway != NodeIP || !subnet.Contains(net.ParseIP(gateway)) {
		t.Errorf("gateway %s, want %s inside %s", gateway, NodeIP, subnet)
	}
}

func TestResolvers(t *testing.T) {
	cases := map[string]struct {
		content string
		want    []string
	}{
		"plain":         {"# mine\nnameserver 10.0.0.2\nsearch example.com\n", []string{"10.0.0.2"}},
		"stub":          {"nameserver 127.0.0.53\noptions edns0\n", nil},
		"mixed":         {"nameserver ::1\nnameserver 1.1.1.1\nnameserver 2606:4700::1\n", []string{"1.1.1.1", "2606:4700::1"}},
		"at most three": {"nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n", []string{"1.1.1.1", "1.1.1.2", "1.1.1.3"}},
		"link-local":    {"nameserver fe80::1%eth0\nnameserver nonsense\nnameserver\n", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, resolvers(tc.content)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEndpointsDoNotCollide(t *testing.T) {
	seen := map[endpoint]string{}
	for user, e := range endpoints() {
		if other, taken := seen[e]; taken {
			t.Errorf("%s and %s both listen on %s", user, other, e)
		}
		seen[e] = user
	}
	if got := endpoints()["registry"].String(); got != Registry {
		t.Errorf("the registry's port is checked on %s, and it listens on %s", got, Registry)
	}
}

func TestCertificatesAreGoodForWhatTheyAreFor(t *testing.T) {
	now := time.Now()
	authorities := map[string]authority{}
	for _, name := range []string{clusterAuthority, etcdAuthority, frontProxyAuthority} {
		a, err := newAuthority(name, now)
		if err != nil {
			t.Fatal(err)
		}
		authorities[name] = a
	}
	for _, id := range identities {
		t.Run(id.name, func(t *testing.T) {
			der, key, err := authorities[id.authorityName].issue(id, now)
			if err != nil {
				t.Fatal(err)
			}
			certificate, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			if !key.PublicKey.Equal(certificate.PublicKey) {
				t.Error("the key is not the certificate's")
			}
			for name, a := range authorities {
				pool := x509.NewCertPool()
				pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
				_, err := certificate.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
				if (err == nil) != (name == id.authorityName) {
					t.Errorf("verified by %s: %v", name, err)
				}
			}
			for _, address := range id.addresses {
				if err := certificate.VerifyHostname(address); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
