package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Down stops the cluster and removes everything that it left on this machine but
// the caches and the Debian packages. Without a cluster it removes what a killed
// one left; without that it does nothing.
func Down(ctx context.Context) error {
	if err := checkRoot(); err != nil {
		return err
	}
	unlock, err := lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer unlock()
	return clean(ctx)
}

// clean removes what there is of a cluster, running or not. The order matters:
// processes hold mounts and network namespaces, mounts hold directories, and
// directories hold the record of the machine's own settings.
func clean(ctx context.Context) error {
	if err := killAll(ctx); err != nil {
		return err
	}
	if err := unmountAll(); err != nil {
		return err
	}
	err := errors.Join(
		removeCgroups(),
		cleanNetwork(),
		cleanFirewall(ctx),
		restoreSysctls(),
		cleanElsewhere(),
	)
	if err != nil {
		return err
	}
	for _, directory := range []string{RunDir, StateDir} {
		if err := removeAll(ctx, directory); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes a directory without leaving its file system: what is mounted
// below after all, by someone else, is not ours.
func removeAll(ctx context.Context, directory string) error {
	if _, err := os.Lstat(directory); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	if points := below(mounts, directory); len(points) > 0 {
		return fmt.Errorf("remove %s: %s is mounted there", directory, points[0])
	}
	output, err := exec.CommandContext(ctx, "rm", "-rf", "--one-file-system", directory).CombinedOutput()
	if err != nil {
		return fmt.Errorf("remove %s: %w: %s", directory, err, output)
	}
	return nil
}
