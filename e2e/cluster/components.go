package cluster

import "fmt"

// The programs, as status and log files call them.
const (
	registryDaemon          = "registry"
	etcdDaemon              = "etcd"
	apiServerDaemon         = "kube-apiserver"
	controllerManagerDaemon = "kube-controller-manager"
	schedulerDaemon         = "kube-scheduler"
	containerdDaemon        = "containerd"
	kubeletDaemon           = "kubelet"
	proxyDaemon             = "kube-proxy"
	certManagerDaemon       = "cert-manager"
)

// arguments returns the command line of each Kubernetes program.
func arguments() map[string][]string {
	return map[string][]string{
		etcdDaemon:              etcdArguments(),
		apiServerDaemon:         apiServerArguments(),
		controllerManagerDaemon: controllerManagerArguments(),
		schedulerDaemon: {
			"--kubeconfig=" + userKubeconfig("scheduler"),
			"--authentication-kubeconfig=" + userKubeconfig("scheduler"),
			"--authorization-kubeconfig=" + userKubeconfig("scheduler"),
			"--bind-address=" + loopback,
			fmt.Sprintf("--secure-port=%d", schedulerPort),
			"--tls-cert-file=" + certificateFile("apiserver"),
			"--tls-private-key-file=" + keyFile("apiserver"),
			"--leader-elect=false",
		},
		kubeletDaemon: {
			"--config=" + kubeletConfig,
			"--kubeconfig=" + userKubeconfig("kubelet"),
			"--hostname-override=" + NodeName,
			"--node-ip=" + NodeIP,
			"--root-dir=" + kubeletDir,
			"--cert-dir=" + kubeletDir + "/pki",
		},
		proxyDaemon: {"--config=" + proxyConfig},
	}
}

func etcdArguments() []string {
	client := "https://" + endpoint{loopback, etcdClientPort}.String()
	peer := "https://" + endpoint{loopback, etcdPeerPort}.String()
	return []string{
		"--name=" + NodeName,
		"--data-dir=" + StateDir + "/etcd",
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + NodeName + "=" + peer,
		// Whoever may write to etcd is root in the cluster, and so on the machine.
		"--client-cert-auth",
		"--trusted-ca-file=" + certificateFile(etcdAuthority),
		"--cert-file=" + certificateFile("etcd"),
		"--key-file=" + keyFile("etcd"),
		"--peer-client-cert-auth",
		"--peer-trusted-ca-file=" + certificateFile(etcdAuthority),
		"--peer-cert-file=" + certificateFile("etcd"),
		"--peer-key-file=" + keyFile("etcd"),
		"--unsafe-no-fsync",                // the data does not outlive the cluster
		"--quota-backend-bytes=8589934592", // 8 GiB: benchmarks make tens of thousands of pods
		"--log-level=warn",
	}
}

func apiServerArguments() []string {
	return []string{
		"--bind-address=" + NodeIP,
		"--advertise-address=" + NodeIP,
		fmt.Sprintf("--secure-port=%d", apiServerPort),
		"--tls-cert-file=" + certificateFile("apiserver"),
		"--tls-private-key-file=" + keyFile("apiserver"),
		"--client-ca-file=" + certificateFile(clusterAuthority),
		"--etcd-servers=https://" + endpoint{loopback, etcdClientPort}.String(),
		"--etcd-cafile=" + certificateFile(etcdAuthority),
		"--etcd-certfile=" + certificateFile("etcd-client"),
		"--etcd-keyfile=" + keyFile("etcd-client"),
		"--service-cluster-ip-range=" + ServiceNetwork,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + keyFile("service-accounts"),
		"--service-account-key-file=" + keyFile("service-accounts"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged",
		// kubectl logs and exec: the kubelet is reached by address, and knows us.
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-client-certificate=" + certificateFile("apiserver-kubelet"),
		"--kubelet-client-key=" + keyFile("apiserver-kubelet"),
		"--kubelet-certificate-authority=" + certificateFile(clusterAuthority),
		// A webhook's service is resolved to its pods: this host has no cluster DNS.
		"--enable-aggregator-routing",
		"--requestheader-client-ca-file=" + certificateFile(frontProxyAuthority),
		"--requestheader-allowed-names=front-proxy",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + certificateFile("front-proxy"),
		"--proxy-client-key-file=" + keyFile("front-proxy"),
	}
}

func controllerManagerArguments() []string {
	return []string{
		"--kubeconfig=" + userKubeconfig("controller-manager"),
		"--authentication-kubeconfig=" + userKubeconfig("controller-manager"),
		"--authorization-kubeconfig=" + userKubeconfig("controller-manager"),
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", controllerManagerPort),
		"--tls-cert-file=" + certificateFile("apiserver"),
		"--tls-private-key-file=" + keyFile("apiserver"),
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--kube-api-burst=200", // a token for each controller, at the start
		"--service-account-private-key-file=" + keyFile("service-accounts"),
		"--root-ca-file=" + certificateFile(clusterAuthority),
		"--cluster-signing-cert-file=" + certificateFile(clusterAuthority),
		"--cluster-signing-key-file=" + keyFile(clusterAuthority),
		"--flex-volume-plugin-dir=" + StateDir + "/volume-plugins",
	}
}
