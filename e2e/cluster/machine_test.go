package cluster

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBelowReturnsTheLastMountFirst(t *testing.T) {
	const mountinfo = `21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 21 0:40 / /sys/fs/cgroup/memory rw - cgroup none rw,memory
31 21 0:41 / /run/agent-stack-k8s/rootfs rw shared:1 - overlay none rw
32 31 0:42 / /run/agent-stack-k8s/rootfs/a\040b rw - tmpfs none rw
33 21 0:43 / /run/agent-stack-k8s-other rw - tmpfs none rw
34 21 0:44 / /var/lib/agent-stack-k8s rw - tmpfs none rw
broken line
`
	got := below(parseMounts(mountinfo), RunDir, StateDir)
	want := []string{"/var/lib/agent-stack-k8s", "/run/agent-stack-k8s/rootfs/a b", "/run/agent-stack-k8s/rootfs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseStartTime(t *testing.T) {
	const rest = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	cases := map[string]struct {
		stat, want string
		ok         bool
	}{
		"plain":            {"7 (etcd) S" + rest, "4711", true},
		"hostile name":     {"7 (a) Z (b) 1 2) R" + rest, "4711", true},
		"zombie":           {"7 (etcd) Z" + rest, "", false},
		"too short":        {"7 (etcd) S 1 2", "", false},
		"nothing at all":   {"", "", false},
		"no parenthesis":   {"7 etcd", "", false},
		"ends at the name": {"7 (etcd)", "", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseStartTime([]byte(tc.stat))
			if (err == nil) != tc.ok || got != tc.want {
				t.Errorf("got %q, %v; want %q, %v", got, err, tc.want, tc.ok)
			}
		})
	}
}

func TestProcessesAreOursByTheirMarkAlone(t *testing.T) {
	cases := map[string]struct {
		process process
		want    bool
	}{
		"marked":              {process{name: "kubernetes", environment: []string{"PATH=/bin", mark}}, true},
		"reads our logs":      {process{name: "tail", arguments: []string{"tail", LogDir + "/kubelet.log"}}, false},
		"another kubelet":     {process{name: "kubelet", arguments: []string{"kubelet"}}, false},
		"mark as an argument": {process{name: "grep", arguments: []string{"grep", mark}}, false},
		"longer value":        {process{environment: []string{mark + "-other"}}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.process.ours(); got != tc.want {
				t.Errorf("ours is %v, want %v", got, tc.want)
			}
		})
	}
}

func TestForeignKubelet(t *testing.T) {
	cases := map[string]struct {
		process process
		want    bool
	}{
		"kubelet":           {process{name: "kubelet", arguments: []string{"/usr/bin/kubelet", "--config=x"}, network: "net:[1]"}, true},
		"k3s":               {process{name: "k3s-server", arguments: []string{"/usr/local/bin/k3s server"}, network: "net:[1]"}, true},
		"by its command":    {process{name: "hyperkube", arguments: []string{"/opt/kubelet"}, network: "net:[1]"}, true},
		"ours":              {process{name: "kubernetes", arguments: []string{"kubelet"}, environment: []string{mark}, network: "net:[1]"}, false},
		"kind's":            {process{name: "kubelet", arguments: []string{"/usr/bin/kubelet"}, network: "net:[2]"}, false},
		"edits its config":  {process{name: "vi", arguments: []string{"vi", "kubelet"}, network: "net:[1]"}, false},
		"something similar": {process{name: "kubelet-csr-appr", arguments: []string{"/kubelet-csr-approver"}, network: "net:[1]"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, got := foreignKubelet([]process{tc.process}, "net:[1]"); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestProcessesFindsThisOne(t *testing.T) {
	all := processes()
	i := slices.IndexFunc(all, func(p process) bool { return p.pid == os.Getpid() })
	if i < 0 {
		t.Fatal("this process is not listed")
	}
	if got := filepath.Base(all[i].arguments[0]); got != filepath.Base(os.Args[0]) {
		t.Errorf("its command is %q, want %q", got, filepath.Base(os.Args[0]))
	}
}

func TestTakenBy(t *testing.T) {
	cases := map[string]struct{ route, want string }{
		"same":            {"10.244.0.0/24", PodNetwork},
		"inside":          {"10.244.0.128/25", PodNetwork},
		"a service":       {"10.96.12.0/24", ServiceNetwork},
		"wider":           {"10.0.0.0/8", ""},
		"another cluster": {"10.244.1.0/24", ""},
		"elsewhere":       {"172.17.0.0/16", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := takenBy(netip.MustParsePrefix(tc.route)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAptReason(t *testing.T) {
	failure := errors.New("exit status 100")
	cases := map[string]struct{ output, want string }{
		"says why":    {"Reading package lists...\nE: Unable to locate package runc\n", "Unable to locate package runc"},
		"says little": {"Reading package lists...\n", "exit status 100"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := aptReason(tc.output, failure); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
