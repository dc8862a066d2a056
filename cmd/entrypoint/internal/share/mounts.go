//go:build linux

package share

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Mounts returns the paths at which something is mounted. The format is that of
// /proc/self/mountinfo, see proc_pid_mountinfo(5).
func Mounts(mountinfo io.Reader) (map[string]bool, error) {
	mounts := map[string]bool{}
	lines := bufio.NewScanner(mountinfo)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		const mountPoint = 4
		if len(fields) > mountPoint {
			mounts[unescape(fields[mountPoint])] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the mounts: %w", err)
	}

	return mounts, nil
}

// unescape replaces the octal numbers that stand for spaces and the like.
func unescape(path string) string {
	var text strings.Builder
	for {
		before, after, found := strings.Cut(path, `\`)
		text.WriteString(before)
		if !found {
			return text.String()
		}
		const digits = 3
		code, err := strconv.ParseUint(after[:min(digits, len(after))], 8, 8)
		if err != nil || len(after) < digits {
			text.WriteString(`\`)
			path = after

			continue
		}
		text.WriteByte(byte(code))
		path = after[digits:]
	}
}
