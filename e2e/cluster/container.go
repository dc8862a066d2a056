package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// ContainerProcesses lists the processes of a container on this machine, which is the node, by
// the machine's numbers. The container is named by its id as the runtime has it,
// without "containerd://".
func ContainerProcesses(container string) ([]int, error) {
	if container == "" {
		return nil, fmt.Errorf("list a container's processes: it has no id")
	}
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return nil, fmt.Errorf("list the machine's processes: %w", err)
	}
	var processes []int
	for _, path := range groups {
		group, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(group, []byte(container)) {
			continue // it may have ended meanwhile
		}
		process, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, fmt.Errorf("read the number of the process at %s: %w", path, err)
		}
		processes = append(processes, process)
	}
	return processes, nil
}
