package cluster

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListening(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
`
	const table6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1392 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 555 1 0 100 0 0 10 0
`
	var got []string
	for _, s := range append(listening(table), listening(table6)...) {
		got = append(got, s.address.String()+" "+s.inode)
	}
	want := []string{"127.0.0.1:8080 111", "0.0.0.0:6443 222", "[::]:10250 444", "127.0.0.1:5010 555"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConflicts(t *testing.T) {
	cases := map[string]struct {
		listening string // as in /proc/net/tcp
		wanted    endpoint
		want      bool
	}{
		"same":          {"0100F40A:192B", endpoint{NodeIP, 6443}, true},
		"wildcard":      {"00000000:192B", endpoint{NodeIP, 6443}, true},
		"wildcard, 6":   {strings.Repeat("0", 32) + ":192B", endpoint{NodeIP, 6443}, true},
		"other address": {"0100007F:192B", endpoint{NodeIP, 6443}, false},
		"other port":    {"00000000:192C", endpoint{NodeIP, 6443}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			address, err := parseSocketAddress(tc.listening)
			if err != nil {
				t.Fatal(err)
			}
			if got := (socket{address: address}).conflicts(tc.wanted); got != tc.want {
				t.Errorf("%s conflicts with %s: %v, want %v", address, tc.wanted, got, tc.want)
			}
		})
	}
}

func TestPortErrorNamesTheProcess(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	content, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range listening(string(content)) {
		if s.conflicts(endpoint{loopback, port}) {
			got := portError("etcd", endpoint{loopback, port}, owner(s.inode)).Error()
			want := fmt.Sprintf("port %d, which etcd needs, is in use by cluster.test (process %d): stop it", port, os.Getpid())
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			return
		}
	}
	t.Error("the socket was not found")
}

func TestParseSocketAddressRefusesNonsense(t *testing.T) {
	for _, text := range []string{"", "0100007F", "0100007F:", "0100007F:XX", "01:1F90", "ZZ00007F:1F90"} {
		if got, err := parseSocketAddress(text); err == nil {
			t.Errorf("%q was read as %s", text, got)
		}
	}
}
