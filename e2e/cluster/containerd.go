package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// containerdTemplate is for version 4 of containerd's configuration. All paths
// are ours, and nothing of a containerd that is installed here is read.
var containerdTemplate = template.Must(template.New("containerd").Parse(`version = 4
root = '{{.State}}/containerd'
state = '{{.Run}}/containerd'
temp = '{{.State}}/containerd-tmp'
imports = []

[plugins.'io.containerd.server.v1.grpc']
  address = '{{.Socket}}'
[plugins.'io.containerd.server.v1.ttrpc']
  address = '{{.Socket}}.ttrpc'
[plugins.'io.containerd.internal.v1.opt']
  path = '{{.State}}/opt'
[plugins.'io.containerd.shim.v1.manager']
  socket_dir = '{{.Run}}/shims'
# It would take sockets and plugins from the machine's own directories.
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.image-verifier.v1.bindir']
  bin_dir = '{{.State}}/no-verifiers'

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{{.Sandbox}}'
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '{{.Hosts}}'

[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE runc dies when asked to lower a process's score.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  cdi_spec_dirs = []
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '{{.Runc}}'
      Root = '{{.Run}}/runc'
      SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{{.CNIPlugins}}']
    conf_dir = '{{.CNI}}'
    use_internal_loopback = true
`))

// renderContainerd returns containerd's configuration for a sandbox image.
func renderContainerd(sandbox, runc string) (string, error) {
	var b strings.Builder
	err := containerdTemplate.Execute(&b, map[string]string{
		"State": StateDir, "Run": RunDir, "Socket": containerdSocket, "Sandbox": sandbox,
		"Hosts": hostsDir, "Runc": runc, "CNI": cniDir, "CNIPlugins": cniPlugins,
	})
	if err != nil {
		return "", fmt.Errorf("render containerd's configuration: %w", err)
	}
	return b.String(), nil
}

// renderHosts returns the hosts.toml that makes the registry an ordinary one
// over plain HTTP: pulled from, and asked nothing but pulls.
func renderHosts() string {
	return fmt.Sprintf("server = 'http://%[1]s'\n[host.'http://%[1]s']\n  capabilities = ['pull', 'resolve']\n", Registry)
}

// renderCNI returns the pods' network. Masquerading is one rule of ours for the
// whole network instead of the plugin's chain per pod.
func renderCNI() (string, error) {
	list := map[string]any{
		"cniVersion": "1.0.0",
		"name":       network,
		"plugins": []map[string]any{
			{
				"type": "bridge", "bridge": Bridge, "isGateway": true, "ipMasq": false,
				"hairpinMode": true, // a pod may reach itself through its service
				"ipam": map[string]any{
					"type":    "host-local",
					"dataDir": StateDir + "/addresses",
					"ranges":  [][]map[string]string{{{"subnet": PodNetwork, "gateway": NodeIP}}},
					"routes":  []map[string]string{{"dst": "0.0.0.0/0"}},
				},
			},
			{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}, "snat": true},
		},
	}
	content, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return "", fmt.Errorf("render the CNI network: %w", err)
	}
	return string(content) + "\n", nil
}

func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
