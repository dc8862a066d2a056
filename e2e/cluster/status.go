package cluster

import (
	"context"
	"os"
	"path/filepath"
	"slices"
)

// Status is how the cluster is now.
type Status struct {
	// Exists is false after Down, and where there never was a cluster.
	Exists bool
	// Programs are the cluster's, cert-manager among them where it was started.
	Programs []Program
	// Problem is why the cluster cannot be used; nil: it can.
	Problem error
}

// Program is one of the cluster's.
type Program struct {
	Name string
	Pid  int // 0: it does not run
	Log  string
}

// CurrentStatus looks at the processes and asks the API server. It needs root, as
// the cluster does.
func CurrentStatus(ctx context.Context) Status {
	if _, err := os.Stat(StateDir); err != nil {
		return Status{}
	}
	status := Status{Exists: true}
	names := coreDaemons
	if _, err := os.Stat(filepath.Join(pidDir, certManagerDaemon)); err == nil {
		names = append(slices.Clip(names), certManagerDaemon)
	}
	for _, name := range names {
		status.Programs = append(status.Programs, Program{Name: name, Pid: livePid(name), Log: daemon{name: name}.log()})
	}
	if status.Problem = healthy(ctx); status.Problem == nil {
		_, status.Problem = readState()
	}
	return status
}
