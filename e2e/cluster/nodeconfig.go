package cluster

import (
	"fmt"
	"net/netip"
	"strings"

	"sigs.k8s.io/yaml"
)

// kubeletConfiguration is what of kubelet.config.k8s.io/v1beta1 differs from its
// defaults.
//
// The resolver is the machine's own: there is no DNS in the cluster, and saying so
// here spares every pod a warning event. resolver is the path of a resolv.conf.
func kubeletConfiguration(resolver string, nameservers []string) map[string]any {
	return map[string]any{
		"apiVersion":               "kubelet.config.k8s.io/v1beta1",
		"kind":                     "KubeletConfiguration",
		"address":                  NodeIP,
		"port":                     kubeletPort,
		"healthzBindAddress":       loopback,
		"healthzPort":              kubeletHealthPort,
		"tlsCertFile":              certificateFile("kubelet"),
		"tlsPrivateKeyFile":        keyFile("kubelet"),
		"authentication":           map[string]any{"x509": map[string]string{"clientCAFile": certificateFile(clusterAuthority)}},
		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"podLogsDir":               podLogDir,
		"volumePluginDir":          StateDir + "/volume-plugins",
		"resolvConf":               resolver,
		"clusterDNS":               nameservers,

		// The machine is not ours: own parent cgroup, no reservations, and it may
		// have version 1 cgroups and swap.
		"cgroupRoot":             cgroupRoot,
		"cgroupDriver":           "cgroupfs",
		"enforceNodeAllocatable": []string{"none"},
		"failCgroupV1":           false,
		"failSwapOn":             false,
		"oomScoreAdj":            0,
		"evictionHard":           map[string]string{"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},

		// Tests wait for pods: nothing is rationed, no image goes while unused.
		"registryPullQPS":             0,
		"eventRecordQPS":              0,
		"serializeImagePulls":         false,
		"maxParallelImagePulls":       4,
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
	}
}

// proxyConfiguration is the same for kubeproxy.config.k8s.io/v1alpha1.
func proxyConfiguration() map[string]any {
	return map[string]any{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"clientConnection":   map[string]any{"kubeconfig": userKubeconfig("proxy")},
		"hostnameOverride":   NodeName,
		"bindAddress":        NodeIP,
		"healthzBindAddress": endpoint{loopback, proxyHealthPort}.String(),
		"metricsBindAddress": endpoint{loopback, proxyMetricsPort}.String(),
		"mode":               "iptables",
		"clusterCIDR":        PodNetwork,
		"oomScoreAdj":        0,
		// Connection tracking limits and 127.0.0.0/8 routing are the machine's.
		"conntrack": map[string]any{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
		"iptables":  map[string]any{"localhostNodePorts": false, "minSyncPeriod": "200ms"},
		// A node port answers on the node's address, not on all of the machine's.
		"nodePortAddresses": []string{NodeIP + "/32"},
	}
}

func render(configuration map[string]any) (string, error) {
	content, err := yaml.Marshal(configuration)
	if err != nil {
		return "", fmt.Errorf("render %v: %w", configuration["kind"], err)
	}
	return string(content), nil
}

// resolvers returns the nameservers in a resolv.conf that a pod can reach: the
// loopback ones answer only on the machine itself.
func resolvers(content string) []string {
	var found []string
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		address, err := netip.ParseAddr(fields[1])
		if err == nil && !address.IsLoopback() && address.Zone() == "" {
			found = append(found, fields[1])
		}
	}
	return found[:min(len(found), maxNameservers)]
}

// maxNameservers is how many the C library uses; the kubelet warns of more.
const maxNameservers = 3
