package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hierarchies returns where cgroups are mounted: one place for version 2, one per
// controller for version 1, or both.
func hierarchies() []string {
	mounts, err := readMounts()
	if err != nil {
		return nil
	}
	var points []string
	for _, m := range mounts {
		if m.filesystem == "cgroup" || m.filesystem == "cgroup2" {
			points = append(points, m.point)
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// neededControllers are those without which the kubelet does not start.
var neededControllers = []string{"cpu", "cpuacct", "cpuset", "memory", "pids"}

// missingControllers returns what of neededControllers this machine lacks.
func missingControllers() []string {
	mounts, err := readMounts()
	if err != nil {
		return neededControllers
	}
	have := map[string]bool{}
	for _, m := range mounts {
		switch m.filesystem {
		case "cgroup":
			for _, option := range m.options {
				have[option] = true
			}
		case "cgroup2":
			content, _ := os.ReadFile(filepath.Join(m.point, "cgroup.controllers"))
			for controller := range strings.FieldsSeq(string(content)) {
				have[controller] = true
				have["cpuacct"] = have["cpuacct"] || controller == "cpu"
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(neededControllers), func(controller string) bool { return have[controller] })
}

// makeCgroups makes our parent cgroup in every hierarchy; the kubelet wants it to
// exist.
func makeCgroups() error {
	for _, hierarchy := range hierarchies() {
		root := filepath.Join(hierarchy, cgroupRoot)
		if err := os.MkdirAll(root, 0o755); err != nil {
			return fmt.Errorf("make the cluster's cgroup: %w", err)
		}
		// In version 1 a new cpuset is empty, and its children can be no larger.
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inherit(hierarchy, root, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// inherit copies a setting of the parent where it exists and the child has none.
func inherit(parent, child, name string) error {
	value, err := os.ReadFile(filepath.Join(child, name))
	if err != nil || len(bytes.TrimSpace(value)) > 0 {
		return nil //nolint:nilerr // another controller's hierarchy
	}
	value, err = os.ReadFile(filepath.Join(parent, name))
	if err != nil || len(bytes.TrimSpace(value)) == 0 {
		return nil //nolint:nilerr // version 2: the root has none
	}
	if err := os.WriteFile(filepath.Join(child, name), value, 0o644); err != nil {
		return fmt.Errorf("set %s of the cluster's cgroup: %w", name, err)
	}
	return nil
}

// ourCgroups returns all cgroups of the cluster, children before parents.
func ourCgroups() []string {
	var found []string
	for _, hierarchy := range hierarchies() {
		root := filepath.Join(hierarchy, cgroupRoot)
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				found = append(found, path)
			}
			return nil // a cgroup can go while we walk
		})
	}
	slices.Reverse(found)
	return found
}

// cgroupProcesses returns the processes in our cgroups.
func cgroupProcesses() []int {
	var pids []int
	for _, cgroup := range ourCgroups() {
		content, _ := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
		for field := range strings.FieldsSeq(string(content)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// removeCgroups removes our cgroups. The kernel lets go of a cgroup a moment
// after its last process.
func removeCgroups() error {
	const patience, interval = 5 * time.Second, 20 * time.Millisecond
	deadline := time.Now().Add(patience)
	for {
		var failure error
		for _, cgroup := range ourCgroups() {
			if err := os.Remove(cgroup); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failure = err
			}
		}
		if failure == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("remove the cluster's cgroups: %w", failure)
		}
		time.Sleep(interval)
	}
}
