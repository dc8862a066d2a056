package controlplane

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func (p *Plane) startEtcd(ctx context.Context) (err error) {
	client, peer := "http://"+address(p.ports.etcd), "http://"+address(p.ports.etcdPeer)
	p.etcd, err = Start(p.program("etcd", "kubernetes", "etcd",
		"--name=etcd",
		"--data-dir="+filepath.Join(p.Directory, "etcd"),
		// Plain HTTP: nothing of worth is behind it, and no container runs here.
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=etcd="+peer,
		"--unsafe-no-fsync", // the data does not outlive the plane
		"--quota-backend-bytes=8589934592",
		"--log-level=warn",
	))
	if err != nil {
		return err
	}
	return p.etcd.waitFor(ctx, func(ctx context.Context) error { return get(ctx, client+"/health") })
}

// StartAPIServer starts the API server and waits until it serves.
func (p *Plane) StartAPIServer(ctx context.Context) (err error) {
	audit, err := p.auditArguments()
	if err != nil {
		return err
	}
	p.apiServer, err = Start(p.program("kube-apiserver", "kubernetes", append([]string{
		"kube-apiserver",
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", p.ports.apiServer),
		"--cert-dir=" + filepath.Join(p.Directory, "pki"),
		"--token-auth-file=" + p.tokenFile(),
		"--etcd-servers=http://" + address(p.ports.etcd),
		"--endpoint-reconciler-type=none", // a loopback address is no endpoint
		"--service-cluster-ip-range=10.97.0.0/24",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + p.accountKeyFile(),
		"--service-account-key-file=" + p.accountKeyFile(),
		"--authorization-mode=RBAC",
		// There is no controller to take the taint off again.
		"--disable-admission-plugins=TaintNodesByCondition",
	}, audit...)...))
	if err != nil {
		return err
	}
	return p.apiServer.waitFor(ctx, p.ready)
}

// ready makes the client when it is asked first: the certificate that it trusts
// comes with the server.
func (p *Plane) ready(ctx context.Context) error {
	if p.client == nil {
		config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig)
		if err != nil {
			return err
		}
		config.QPS = -1 // the server has a limit
		config.WarningHandler = rest.NoWarnings{}
		if p.client, err = kubernetes.NewForConfig(config); err != nil {
			return err
		}
	}
	_, err := p.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err
}

// StopAPIServer asks the API server to end, as for an upgrade, and kills it when
// it takes long: watches keep it.
func (p *Plane) StopAPIServer() { _ = p.apiServer.Stop(stopPatience) }

func (p *Plane) startScheduler() (err error) {
	p.scheduler, err = Start(p.program("kube-scheduler", "kubernetes", "kube-scheduler",
		"--kubeconfig="+p.kubeconfigFile(schedulerUser),
		"--authentication-tolerate-lookup-failure",
		"--leader-elect=false",
		"--secure-port=0",
		// The server shares its time out by itself.
		"--kube-api-qps=2000", "--kube-api-burst=2000",
	))
	return err
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s", url, response.Status)
	}
	return nil
}
