package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// starter is one call of Start.
type starter struct {
	options Options
	report  Reporter
	reused  bool
	runc    string
	sandbox sandbox
	daemons []*running
}

func (s *starter) program(name string) string { return filepath.Join(s.options.Bin, name) }

func (s *starter) run(ctx context.Context) error {
	problem := s.reusable(ctx)
	s.reused = problem == nil
	if !s.reused {
		if err := s.fresh(ctx, problem); err != nil {
			return err
		}
	}
	if s.options.CertManager && livePid(certManagerDaemon) == 0 {
		return s.step(certManagerStep, func() error { return s.startCertManager(ctx) })
	}
	return nil
}

// fresh starts everything but cert-manager on a machine that it cleans first.
func (s *starter) fresh(ctx context.Context, reason error) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{machineStep, func(ctx context.Context) error { return s.prepareMachine(ctx, reason) }},
		{runtimeStep, s.startRuntime},
		{planeStep, s.startControlPlane},
		{nodeStep, s.startNode},
	}
	for _, step := range steps {
		if err := s.step(step.name, func() error { return step.do(ctx) }); err != nil {
			return err
		}
	}
	return s.remember()
}

func (s *starter) step(name string, do func() error) error {
	s.report.Start(name, 0)
	if err := do(); err != nil {
		return err
	}
	s.report.Done()
	return nil
}

func (s *starter) prepareMachine(ctx context.Context, reason error) error {
	if _, err := os.Stat(StateDir); err == nil && reason != nil {
		s.report.Note("starts over: " + reason.Error())
	}
	if err := clean(ctx); err != nil {
		return err
	}
	if err := checkMachine(); err != nil {
		return err
	}
	if err := installPackages(ctx, s.report); err != nil {
		return err
	}
	for _, do := range []func() error{makeDirectories, setSysctls, makeCgroups, func() error { return writePKI(time.Now()) }, writeKubeconfigs, s.linkKubectl} {
		if err := do(); err != nil {
			return err
		}
	}
	return makeNetwork(ctx)
}

// linkKubectl puts kubectl beside the other programs unless it is there.
func (s *starter) linkKubectl() error {
	err := os.Symlink("kubernetes", s.program("kubectl"))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make kubectl: %w", err)
	}
	return nil
}

// startRuntime starts what needs nothing else, and gives containerd its sandbox.
func (s *starter) startRuntime(ctx context.Context) error {
	if err := s.configure(); err != nil {
		return err
	}
	for path, content := range s.files() {
		if err := writeFile(path, content); err != nil {
			return err
		}
	}
	if err := s.startKubernetes(etcdDaemon); err != nil {
		return err
	}
	if err := s.startRegistry(); err != nil {
		return err
	}
	if err := s.start(daemon{name: containerdDaemon, executable: s.program("containerd"), arguments: []string{"--config", containerdConfig, "--log-level", "info"}}); err != nil {
		return err
	}
	if err := wait(ctx, time.Minute, "the registry", s.daemons, pingRegistry); err != nil {
		return err
	}
	if err := s.sandbox.push(ctx); err != nil {
		return err
	}
	return wait(ctx, time.Minute, "containerd", s.daemons, pingContainerd)
}

func (s *starter) startRegistry() error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	return s.start(daemon{
		name: registryDaemon, executable: s.program("cluster"),
		arguments: []string{"registry", "--address", Registry, "--directory", filepath.Join(cache, "registry")},
	})
}

func (s *starter) startControlPlane(ctx context.Context) error {
	if err := s.startKubernetes(apiServerDaemon); err != nil {
		return err
	}
	client, err := administrator()
	if err != nil {
		return err
	}
	return wait(ctx, 2*time.Minute, "the API server", s.daemons, client.ready)
}

func (s *starter) startNode(ctx context.Context) error {
	for _, name := range []string{kubeletDaemon, controllerManagerDaemon, schedulerDaemon, proxyDaemon} {
		if err := s.startKubernetes(name); err != nil {
			return err
		}
	}
	client, err := administrator()
	if err != nil {
		return err
	}
	return wait(ctx, 2*time.Minute, "the node", s.daemons, client.usable)
}

// startKubernetes starts one of the programs in the one binary.
func (s *starter) startKubernetes(name string) error {
	return s.start(daemon{name: name, executable: s.program("kubernetes"), arguments: arguments()[name]})
}

func (s *starter) start(d daemon) error {
	// The runtime looks for its shim, and the shim for runc, in PATH.
	r, err := d.start(s.options.Bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	if err != nil {
		return err
	}
	s.daemons = append(s.daemons, r)
	return nil
}

// configure collects what the configuration files depend on.
func (s *starter) configure() error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("find runc: %w", err)
	}
	s.runc = runc
	s.sandbox, err = makeSandbox(s.program("pause"))
	return err
}
