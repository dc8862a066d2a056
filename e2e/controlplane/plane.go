package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/buildkite/agent-stack-k8s/e2e/stack"
)

const loopback = "127.0.0.1"

// Namespaces of the manifests.
const (
	SystemNamespace = stack.SystemNamespace
	JobNamespace    = stack.JobNamespace
)

const (
	startPatience = 5 * time.Minute // a busy machine
	stopPatience  = 20 * time.Second
)

// Options say what to start.
type Options struct {
	// Bin is the directory of the built programs.
	Bin string
	// Manifests is the directory manifests of a checkout.
	Manifests string
	// Directory is for state and logs; it must be empty. Empty is a temporary one,
	// which Stop removes.
	Directory string
	// Nodes is how many nodes KWOK simulates. None is neither KWOK nor a scheduler:
	// pods stay pending.
	Nodes int
	// AgentEndpoint is what the mutator writes into pods.
	AgentEndpoint string
	// Audit has the API server write down the dispatcher's requests; see Requests.
	Audit bool
}

// Plane is a control plane that runs.
type Plane struct {
	// Kubeconfig is the administrator's, Context the only one in it.
	Kubeconfig string
	// Directory holds the logs, each under the name of its program.
	Directory string

	options     Options
	isTemporary bool
	server      string
	ports       ports
	client      kubernetes.Interface

	etcd, apiServer, scheduler, kwok, mutator *Process
}

// ports of everything, taken when the plane starts so that a program can come
// back where it was.
type ports struct {
	etcd, etcdPeer, apiServer, mutator, mutatorHealth int
}

// Up starts a control plane with the product's admission in it: its webhook, its
// policies, its namespaces and roles. Stop it even after an error.
func Up(ctx context.Context, options Options) (*Plane, error) {
	p := &Plane{options: options, Directory: options.Directory}
	if p.Directory == "" {
		directory, err := os.MkdirTemp("", "controlplane-")
		if err != nil {
			return p, fmt.Errorf("make a directory for the control plane: %w", err)
		}
		p.Directory, p.isTemporary = directory, true
	}
	for _, step := range []func(context.Context) error{
		p.takePorts, p.writeCredentials, p.startEtcd, p.StartAPIServer, p.startNodes, p.install,
	} {
		if err := step(ctx); err != nil {
			return p, fmt.Errorf("start the control plane: %w", err)
		}
	}
	return p, nil
}

// Stop ends all programs and removes a temporary directory.
func (p *Plane) Stop() error {
	if p == nil {
		return nil
	}
	for _, process := range []*Process{p.kwok, p.scheduler, p.mutator, p.apiServer, p.etcd} {
		if process != nil {
			process.Kill() // the data does not outlive the plane
		}
	}
	if p.isTemporary {
		return os.RemoveAll(p.Directory)
	}
	return nil
}

// Client has all rights, and no limit of its own on requests: the server has one.
func (p *Plane) Client() kubernetes.Interface { return p.client }

// APIServer, Etcd, Scheduler, KWOK and Mutator are the processes; those that do
// not run are nil.
func (p *Plane) APIServer() *Process { return p.apiServer }

// Etcd is the API server's store.
func (p *Plane) Etcd() *Process { return p.etcd }

// EtcdURL is the store's address, which serves its API as JSON too.
func (p *Plane) EtcdURL() string { return "http://" + address(p.ports.etcd) }

// Scheduler gives pods their nodes.
func (p *Plane) Scheduler() *Process { return p.scheduler }

// KWOK simulates the nodes.
func (p *Plane) KWOK() *Process { return p.kwok }

// Mutator is the product's webhook.
func (p *Plane) Mutator() *Process { return p.mutator }

// program describes one of ours.
func (p *Plane) program(name, executable string, arguments ...string) Program {
	return Program{
		Name: name, Path: filepath.Join(p.options.Bin, executable), Arguments: arguments,
		Log: filepath.Join(p.Directory, name+".log"), Home: p.Directory,
	}
}

// takePorts finds ports that nothing listens on.
func (p *Plane) takePorts(context.Context) error {
	var listeners []net.Listener
	defer func() {
		for _, listener := range listeners {
			listener.Close()
		}
	}()
	for _, port := range []*int{&p.ports.etcd, &p.ports.etcdPeer, &p.ports.apiServer, &p.ports.mutator, &p.ports.mutatorHealth} {
		listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		listeners = append(listeners, listener)
		address, isTCP := listener.Addr().(*net.TCPAddr)
		if !isTCP {
			return errors.New("find a free port: not a TCP address")
		}
		*port = address.Port
	}
	p.server = "https://" + address(p.ports.apiServer)
	return nil
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
