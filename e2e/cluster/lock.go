package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockFile is held while the cluster is started or stopped. It lies beside RunDir,
// which comes and goes.
const lockFile = RunDir + ".lock"

// lock waits until no other process starts or stops the cluster. waiting is
// called once if there is one. The lock goes with the process.
func lock(ctx context.Context, waiting func()) (unlock func(), err error) {
	for said := false; ; {
		file, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock the cluster: %w", err)
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && isCurrent(file) {
			return func() {
				_ = os.Remove(lockFile) // those who opened it before find that out
				file.Close()
			}, nil
		}
		file.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the cluster: %w", err)
		}
		if !said && err != nil {
			said = true
			waiting()
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another start or stop of the cluster: %w", ctx.Err())
		}
	}
}

// isCurrent tells whether the file still has its name.
func isCurrent(file *os.File) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(lockFile)
	return err == nil && os.SameFile(held, named)
}
