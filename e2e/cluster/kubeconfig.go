package cluster

import (
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// users of the API server that have a kubeconfig of their own, by its path.
var users = map[string]string{
	Kubeconfig:                           "user-admin",
	userKubeconfig("controller-manager"): "user-controller-manager",
	userKubeconfig("scheduler"):          "user-scheduler",
	userKubeconfig("kubelet"):            "user-kubelet",
	userKubeconfig("proxy"):              "user-proxy",
	userKubeconfig("cert-manager"):       "user-cert-manager",
}

func userKubeconfig(user string) string { return configDir + "/" + user + ".kubeconfig" }

// writeKubeconfigs writes a file for each user, keys included, so that it can be
// copied elsewhere.
func writeKubeconfigs() error {
	for path, user := range users {
		authority, err := os.ReadFile(certificateFile(clusterAuthority))
		if err != nil {
			return fmt.Errorf("read the cluster's authority: %w", err)
		}
		certificate, err := os.ReadFile(certificateFile(user))
		if err != nil {
			return fmt.Errorf("read the certificate of %s: %w", user, err)
		}
		key, err := os.ReadFile(keyFile(user))
		if err != nil {
			return fmt.Errorf("read the key of %s: %w", user, err)
		}
		config := api.NewConfig()
		config.Clusters[network] = &api.Cluster{Server: Server, CertificateAuthorityData: authority}
		config.AuthInfos[user] = &api.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
		config.Contexts[network] = &api.Context{Cluster: network, AuthInfo: user}
		config.CurrentContext = network
		if err := clientcmd.WriteToFile(*config, path); err != nil {
			return fmt.Errorf("write kubeconfig: %w", err)
		}
	}
	return nil
}

// Config returns the administrator's connection, without a limit on requests of
// the client's own: the server has one.
func (c *Cluster) Config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.Kubeconfig, err)
	}
	config.QPS = -1
	return config, nil
}
