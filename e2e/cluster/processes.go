package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// writePid remembers a daemon's process with the time it started: process numbers
// are used again.
func writePid(name string, pid int) error {
	started, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("remember %s: %w", name, err)
	}
	path := filepath.Join(pidDir, name)
	if err := os.WriteFile(path, []byte(fmt.Sprintf("%d %s\n", pid, started)), 0o644); err != nil {
		return fmt.Errorf("remember %s: %w", name, err)
	}
	return nil
}

// livePid returns the process of a daemon, or 0 when it does not run.
func livePid(name string) int {
	content, err := os.ReadFile(filepath.Join(pidDir, name))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(content))
	if len(fields) != 2 {
		return 0
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	if started, err := startTime(pid); err != nil || started != fields[1] {
		return 0
	}
	return pid
}

// startTime returns when a process started, in the kernel's ticks since boot. A
// zombie counts as gone.
func startTime(pid int) (string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("read process %d: %w", pid, err)
	}
	return parseStartTime(content)
}

// parseStartTime reads field 22 of /proc/PID/stat; see proc(5). The second field
// is a name that may hold anything.
func parseStartTime(stat []byte) (string, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, start = 0, 19
	if len(fields) <= start {
		return "", errors.New("read /proc/PID/stat: too short")
	}
	if bytes.ContainsAny(fields[state], "ZX") {
		return "", errors.New("the process has ended")
	}
	return string(fields[start]), nil
}

// process is what /proc tells of one.
type process struct {
	pid         int
	name        string   // comm, 15 bytes of the executable's name
	arguments   []string // may be changed by the process itself
	environment []string // as it was at the start
	network     string   // its network namespace
}

// processes returns all but the kernel's own.
func processes() []process {
	directories, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil // the pattern is right
	}
	var found []process
	for _, directory := range directories {
		arguments, err := os.ReadFile(directory + "/cmdline")
		if err != nil || len(arguments) == 0 {
			continue // gone, a thread of the kernel, or a zombie
		}
		pid, err := strconv.Atoi(filepath.Base(directory))
		if err != nil {
			continue
		}
		name, _ := os.ReadFile(directory + "/comm")
		environment, _ := os.ReadFile(directory + "/environ")
		networkNamespace, _ := os.Readlink(directory + "/ns/net")
		found = append(found, process{
			pid: pid, name: strings.TrimSpace(string(name)), arguments: nulls(arguments),
			environment: nulls(environment), network: networkNamespace,
		})
	}
	return found
}

// nulls splits text whose elements end with a null byte.
func nulls(text []byte) []string {
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}

// ours tells whether the cluster's programs started this one.
func (p process) ours() bool { return slices.Contains(p.environment, mark) }

// killAll ends every process of the cluster: those that carry the mark, and those
// in our cgroups, as containers have an environment of their own.
func killAll(ctx context.Context) error {
	const patience = 15 * time.Second
	deadline := time.Now().Add(patience)
	for {
		pids := cgroupProcesses()
		for _, p := range processes() {
			if p.ours() {
				pids = append(pids, p.pid)
			}
		}
		pids = slices.DeleteFunc(pids, func(pid int) bool {
			_, err := startTime(pid)
			return err != nil || pid == os.Getpid()
		})
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("stop the cluster's processes: %v do not end", pids)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop process %d: %w", pid, err)
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("stop the cluster's processes: %w", ctx.Err())
		}
	}
}
