package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// elsewhere are the directories outside of ours that programs of the cluster
// insist on, children before parents.
var elsewhere = []string{
	"/var/log/containers",
	"/var/lib/cni/results", "/var/lib/cni",
	"/var/lib/kubelet/device-plugins", "/var/lib/kubelet",
}

// cleanElsewhere removes the few files of ours from there, and the directories
// that this leaves empty.
func cleanElsewhere() error {
	files := []string{"/var/lib/kubelet/device-plugins/kubelet.sock"}
	results, err := filepath.Glob("/var/lib/cni/results/" + network + "-*")
	if err != nil {
		return fmt.Errorf("find the CNI plugins' results: %w", err)
	}
	logs, err := filepath.Glob("/var/log/containers/*.log")
	if err != nil {
		return fmt.Errorf("find links to containers' logs: %w", err)
	}
	logs = slices.DeleteFunc(logs, func(link string) bool {
		target, err := os.Readlink(link)
		return err != nil || !strings.HasPrefix(target, podLogDir+"/")
	})
	for _, file := range slices.Concat(files, results, logs) {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what the cluster left: %w", err)
		}
	}
	for _, directory := range elsewhere {
		_ = os.Remove(directory) // fails, rightly, while something is in it
	}
	return nil
}
