package cluster

import "strconv"

// Every address, name and port that the cluster takes on this machine.
const (
	// Bridge is the pods' network; the node's address is its gateway's, so that
	// it exists before the first pod does.
	Bridge         = "asks0"
	NodeIP         = "10.244.0.1"
	NodeName       = "local"
	PodNetwork     = "10.244.0.0/24"
	ServiceNetwork = "10.96.0.0/16"
	// serviceIP is the first of ServiceNetwork: the API server's service.
	serviceIP = "10.96.0.1"

	// Registry is the OCI registry, over plain HTTP, from which containerd pulls.
	Registry = "127.0.0.1:5010"
	// apiServerPort is on NodeIP, as is kubeletPort.
	apiServerPort = 6443
	kubeletPort   = 10250

	// Below are ports on loopback: past the range that the kernel hands out to
	// clients, where few programs listen.
	etcdClientPort        = 61001
	etcdPeerPort          = 61002
	kubeletHealthPort     = 61003
	controllerManagerPort = 61004
	schedulerPort         = 61005
	proxyHealthPort       = 61006
	proxyMetricsPort      = 61007

	// network names the CNI network, and is the comment on our firewall rules.
	network = "agent-stack-k8s"
	// cgroupRoot is the parent of all pods' cgroups in every hierarchy.
	cgroupRoot = "/agent-stack-k8s"
	loopback   = "127.0.0.1"
)

// Server is the API server's URL.
var Server = "https://" + endpoint{NodeIP, apiServerPort}.String()

// endpoint is an address that one of our programs listens on.
type endpoint struct {
	host string
	port int
}

func (e endpoint) String() string { return e.host + ":" + strconv.Itoa(e.port) }

// endpoints says who listens where.
func endpoints() map[string]endpoint {
	return map[string]endpoint{
		"registry":                {loopback, 5010},
		"etcd":                    {loopback, etcdClientPort},
		"etcd's peers":            {loopback, etcdPeerPort},
		"kube-apiserver":          {NodeIP, apiServerPort},
		"kube-controller-manager": {loopback, controllerManagerPort},
		"kube-scheduler":          {loopback, schedulerPort},
		"kubelet":                 {NodeIP, kubeletPort},
		"kubelet's health":        {loopback, kubeletHealthPort},
		"kube-proxy's health":     {loopback, proxyHealthPort},
		"kube-proxy's metrics":    {loopback, proxyMetricsPort},
	}
}
