package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/buildkite/agent-stack-k8s/e2e/progress"
)

// Options says how to start. The zero value is a cluster from the programs beside
// this one, without cert-manager, in silence.
type Options struct {
	// Bin is the directory of the programs: kubernetes, containerd,
	// containerd-shim-runc-v2, pause, cluster and, if wanted, cert-manager. Empty:
	// the directory of the running program.
	Bin string
	// CertManager adds cert-manager's controllers and cainjector. It has no
	// webhook: resources are neither defaulted nor validated beyond their schema.
	CertManager bool
	// CustomResources is a directory with cert-manager's CustomResourceDefinitions;
	// empty: asks the Go command, in Checkout, for the one of its module.
	CustomResources string
	// Checkout is a directory in a clone of this repository; empty: the working
	// directory. It is needed for cert-manager without CustomResources.
	Checkout string
	// Progress hears of each step; nil: nobody does.
	Progress Reporter
}

// Reporter hears of steps, one after the other; progress.Progress is one.
type Reporter interface {
	// Start begins a step; an estimate of 0 leaves it to the reporter.
	Start(step string, estimate time.Duration)
	// Note says how far the step is.
	Note(text string)
	Done()
	Fail(err error)
}

var _ Reporter = (*progress.Progress)(nil)

// Cluster is a running cluster.
type Cluster struct {
	// Kubeconfig is the path of the administrator's kubeconfig, whose one context
	// is "agent-stack-k8s". It goes with the cluster.
	Kubeconfig string
	// Bin is the directory that the programs, kubectl among them, run from.
	Bin string
	// Reused says that the cluster ran already.
	Reused bool
}

// The steps of a start; for the reporter.
const (
	machineStep     = "prepare the machine"
	runtimeStep     = "registry and container runtime"
	planeStep       = "control plane"
	nodeStep        = "node"
	certManagerStep = "cert-manager"
)

// Steps returns what Start will report, with times of a slow machine.
func Steps(certManager bool) []progress.Step {
	steps := []progress.Step{
		{Name: machineStep, Estimate: 2 * time.Second},
		{Name: runtimeStep, Estimate: 2 * time.Second},
		{Name: planeStep, Estimate: 8 * time.Second},
		{Name: nodeStep, Estimate: 6 * time.Second},
	}
	if certManager {
		steps = append(steps, progress.Step{Name: certManagerStep, Estimate: 6 * time.Second})
	}
	return steps
}

// Start makes sure that a cluster runs and its node is ready. One that runs from
// the same programs and configuration is used as it is; anything else of an
// earlier cluster is removed first. A start that fails or is cancelled leaves its
// logs and processes, for a look at them; the next start or Down removes them.
//
// Errors that a person can do something about are one sentence that says what: no
// root, a port in use, no space, a package that cannot be installed, a kubelet of
// someone else's.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	s := &starter{options: options, report: options.Progress}
	if s.report == nil {
		s.report = silence{}
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, func() { s.report.Start("wait for another start or stop", 0) })
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.run(ctx); err != nil {
		s.report.Fail(err)
		return nil, err
	}
	return &Cluster{Kubeconfig: Kubeconfig, Bin: s.options.Bin, Reused: s.reused}, nil
}

// prepare checks the options.
func (s *starter) prepare() error {
	if err := checkRoot(); err != nil {
		return err
	}
	if s.options.Bin == "" {
		executable, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the cluster's programs: %w", err)
		}
		s.options.Bin = filepath.Dir(executable)
	}
	bin, err := filepath.Abs(s.options.Bin)
	if err != nil {
		return fmt.Errorf("find the cluster's programs: %w", err)
	}
	s.options.Bin = bin
	needed := []string{"kubernetes", "containerd", "containerd-shim-runc-v2", "pause", "cluster"}
	if s.options.CertManager {
		needed = append(needed, "cert-manager")
	}
	for _, name := range needed {
		if _, err := os.Stat(s.program(name)); err != nil {
			return fmt.Errorf("find the cluster's programs: %w; build them first", err)
		}
	}
	return nil
}

type silence struct{}

func (silence) Start(string, time.Duration) {}
func (silence) Note(string)                 {}
func (silence) Done()                       {}
func (silence) Fail(error)                  {}
