package cluster

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	// StateDir holds everything that the cluster keeps on disk; Down removes it.
	StateDir = "/var/lib/agent-stack-k8s"
	// RunDir holds sockets and mounts; Down removes it. Short, because socket
	// paths may have 107 bytes.
	RunDir = "/run/agent-stack-k8s"
	// Kubeconfig is the administrator's; readable by root alone.
	Kubeconfig = StateDir + "/kubeconfig"
	// LogDir holds one file per program.
	LogDir = StateDir + "/logs"

	stateFile        = StateDir + "/cluster.json"
	sysctlFile       = StateDir + "/sysctls.json"
	pidDir           = StateDir + "/pids"
	pkiDir           = StateDir + "/pki"
	configDir        = StateDir + "/config"
	cniDir           = configDir + "/cni"
	hostsDir         = configDir + "/registries"
	kubeletDir       = StateDir + "/kubelet"
	podLogDir        = StateDir + "/pod-logs"
	containerdSocket = RunDir + "/containerd.sock"
	containerdConfig = configDir + "/containerd.toml"
	kubeletConfig    = configDir + "/kubelet.yaml"
	proxyConfig      = configDir + "/kube-proxy.yaml"
)

// CacheDir returns where things stay that a later start can use again:
// ${XDG_CACHE_HOME:-~/.cache}/agent-stack-k8s.
func CacheDir() (string, error) {
	directory, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w; set XDG_CACHE_HOME", err)
	}
	return filepath.Join(directory, "agent-stack-k8s"), nil
}

func makeDirectories() error {
	for _, path := range []string{LogDir, pidDir, configDir, cniDir, kubeletDir, podLogDir, RunDir} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("make the cluster's directories: %w", err)
		}
	}
	// Private keys and the administrator's kubeconfig lie below.
	if err := os.MkdirAll(pkiDir, 0o700); err != nil {
		return fmt.Errorf("make the cluster's directories: %w", err)
	}
	return nil
}
