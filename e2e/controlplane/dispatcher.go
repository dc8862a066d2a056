package controlplane

import (
	"context"
	"fmt"
	"net"
)

// Dispatcher is a dispatcher that runs as the manifests' service account.
type Dispatcher struct {
	*Process
	// HTTP and Profiler are where it serves its probes and metrics, and pprof.
	HTTP, Profiler string
}

// DispatcherOptions say how to start one.
type DispatcherOptions struct {
	// Name is what its log and errors call it.
	Name string
	// Executable is the program; empty is the built one.
	Executable string
	// Kubeconfig is that of its service account; see ServiceAccountKubeconfig.
	Kubeconfig string
	// HTTP and Profiler are addresses to serve on. Empty are free ports.
	HTTP, Profiler string
	// Arguments are what it is told beside where its cluster and namespace are.
	Arguments []string
	// Environment is added to its own.
	Environment []string
}

// StartDispatcher starts a dispatcher and does not wait for it.
func (p *Plane) StartDispatcher(options DispatcherOptions) (*Dispatcher, error) {
	d := &Dispatcher{HTTP: options.HTTP, Profiler: options.Profiler}
	for _, where := range []*string{&d.HTTP, &d.Profiler} {
		if *where == "" {
			free, err := freeAddress()
			if err != nil {
				return nil, err
			}
			*where = free
		}
	}
	program := p.program(options.Name, "dispatcher", append([]string{
		"--kubeconfig=" + options.Kubeconfig, "--context=" + ContextName, "--namespace=" + JobNamespace,
		"--http-address=" + d.HTTP, "--profiler-address=" + d.Profiler, "--lease-namespace=" + SystemNamespace,
	}, options.Arguments...)...)
	if options.Executable != "" {
		program.Path = options.Executable
	}
	program.Environment = options.Environment
	var err error
	d.Process, err = Start(program)
	return d, err
}

// WaitReady waits until the dispatcher says that it can work.
func (d *Dispatcher) WaitReady(ctx context.Context) error {
	return d.waitFor(ctx, func(ctx context.Context) error { return get(ctx, "http://"+d.HTTP+"/readyz") })
}

// Metrics is the address of its metrics.
func (d *Dispatcher) Metrics() string { return "http://" + d.HTTP + "/metrics" }

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
