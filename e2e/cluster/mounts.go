package cluster

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a line of /proc/self/mountinfo; see proc_pid_mountinfo(5).
type mount struct {
	point      string
	filesystem string
	options    []string // of the file system: cgroup controllers
}

func readMounts() ([]mount, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the mounts: %w", err)
	}
	return parseMounts(string(content)), nil
}

func parseMounts(mountinfo string) []mount {
	var mounts []mount
	for line := range strings.Lines(mountinfo) {
		before, after, found := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !found || len(left) < 5 || len(right) < 3 {
			continue
		}
		mounts = append(mounts, mount{point: unescape(left[4]), filesystem: right[0], options: strings.Split(right[2], ",")})
	}
	return mounts
}

// unescape turns \040 and the like back into characters.
func unescape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if code, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// below returns the mount points under any of the directories, the last mounted
// first.
func below(mounts []mount, directories ...string) []string {
	var points []string
	for _, m := range mounts {
		for _, directory := range directories {
			if m.point == directory || strings.HasPrefix(m.point, directory+"/") {
				points = append([]string{m.point}, points...)
			}
		}
	}
	return points
}

// unmountAll unmounts everything under the cluster's directories. It fails if
// anything stays: what is removed through a bind mount is the machine's own.
func unmountAll() error {
	const attempts = 3 // mounts can lie above each other, and others' can arrive
	for range attempts {
		mounts, err := readMounts()
		if err != nil {
			return err
		}
		points := below(mounts, StateDir, RunDir)
		if len(points) == 0 {
			return nil
		}
		for _, point := range points {
			err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
			if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("unmount %s: %w", point, err)
			}
		}
	}
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	if points := below(mounts, StateDir, RunDir); len(points) > 0 {
		return fmt.Errorf("unmount: %s stays mounted", strings.Join(points, ", "))
	}
	return nil
}
