package cluster

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// ContextName is the one context of Kubeconfig.
const ContextName = network

// StartGuest runs a program beside the cluster, detached from the caller, until
// Down. One of the same name that runs already is replaced. Its output goes to
// LogDir/<name>.log.
func StartGuest(name, executable string, arguments ...string) error {
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); ; {
		pid := livePid(name)
		if pid == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("replace %s: process %d does not end", name, pid)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("replace %s: %w", name, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	_, err := daemon{name: name, executable: executable, arguments: arguments}.start(os.Getenv("PATH"))
	return err
}
